//! Settings of the process.

use std::time::Duration;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use crate::ingress::registry::{keys, types};

const TABLE: &str = "Tables grow as needed.";

keys! { Setting {
    WORKER_PROCESSES: String = inert("worker-processes", "", "The flag --workers sets the number of workers.");
    WORKER_CPU_AFFINITY: String = inert("worker-cpu-affinity", "", "The scheduler places workers.");
    WORKER_SHUTDOWN_TIMEOUT: Duration =
        setting("worker-shutdown-timeout", types::DURATION, "240s", "Time for requests in flight to end at shutdown.");
    ENABLE_SERIAL_RELOADS: String = inert("enable-serial-reloads", "false", "There are no reloads.");
    MAX_WORKER_CONNECTIONS: i64 =
        not_yet("max-worker-connections", types::INT, "0",
            "Connections of one worker; 0 derives it from the limit of open files.");
    MAX_WORKER_OPEN_FILES: String =
        inert("max-worker-open-files", "0", "The limit of open files is raised as far as allowed.");
    ENABLE_AIO_WRITE: String = inert("enable-aio-write", "true", "No data is written to files in transit.");
    MAP_HASH_BUCKET_SIZE: String = inert("map-hash-bucket-size", "64", TABLE);
    VARIABLES_HASH_BUCKET_SIZE: String = inert("variables-hash-bucket-size", "256", TABLE);
    VARIABLES_HASH_MAX_SIZE: String = inert("variables-hash-max-size", "2048", TABLE);
    SERVER_NAME_HASH_BUCKET_SIZE: String = inert("server-name-hash-bucket-size", "", TABLE);
    SERVER_NAME_HASH_MAX_SIZE: String = inert("server-name-hash-max-size", "1024", TABLE);
    PROXY_HEADERS_HASH_BUCKET_SIZE: String = inert("proxy-headers-hash-bucket-size", "64", TABLE);
    PROXY_HEADERS_HASH_MAX_SIZE: String = inert("proxy-headers-hash-max-size", "512", TABLE);
    LUA_SHARED_DICTS: String = inert("lua-shared-dicts", "", "There is no Lua.");
    NGINX_STATUS_IPV4_WHITELIST: String =
        inert("nginx-status-ipv4-whitelist", "127.0.0.1", "The admin port has its own address.");
    NGINX_STATUS_IPV6_WHITELIST: String =
        inert("nginx-status-ipv6-whitelist", "::1", "The admin port has its own address.");
} }

/// Time for requests in flight to end at shutdown.
pub(super) fn drain(source: &Source<'_>) -> Duration {
    source.get(&WORKER_SHUTDOWN_TIMEOUT)
}
