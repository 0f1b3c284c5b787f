//! Settings of the process.

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table::IpSet;

use super::read::Source;
use super::registry::{Setting, inert, setting};
use crate::ingress::registry::{When, differences, keys, parse_cidr, types};

const TABLE: &str = "Tables grow as needed.";

keys! { Setting {
    WORKER_PROCESSES: String = inert("worker-processes", "", "The flag --workers sets the number of workers.");
    WORKER_CPU_AFFINITY: String = inert("worker-cpu-affinity", "", "The scheduler places workers.");
    WORKER_SHUTDOWN_TIMEOUT: Duration =
        setting("worker-shutdown-timeout", types::DURATION, "240s", "Time for requests in flight to end at shutdown.");
    ENABLE_SERIAL_RELOADS: String = inert("enable-serial-reloads", "false", "There are no reloads.");
    MAX_WORKER_CONNECTIONS: i64 =
        setting("max-worker-connections", types::INT, "0",
            "Client connections of one worker, by their sum; never more than the limit of open files allows, which is all with 0 (16384 in ingress-nginx, connections to endpoints included).")
            .differs(differences![
                When::Set =>
                    "Counts connections of clients; in ingress-nginx those to endpoints, too.",
            ]);
    MAX_WORKER_OPEN_FILES: String =
        inert("max-worker-open-files", "0", "The limit of open files is raised as far as allowed.");
    ENABLE_AIO_WRITE: String = inert("enable-aio-write", "true", "Buffered bodies are written to files by threads of their own.");
    MAP_HASH_BUCKET_SIZE: String = inert("map-hash-bucket-size", "64", TABLE);
    VARIABLES_HASH_BUCKET_SIZE: String = inert("variables-hash-bucket-size", "256", TABLE);
    VARIABLES_HASH_MAX_SIZE: String = inert("variables-hash-max-size", "2048", TABLE);
    SERVER_NAME_HASH_BUCKET_SIZE: String = inert("server-name-hash-bucket-size", "", TABLE);
    SERVER_NAME_HASH_MAX_SIZE: String = inert("server-name-hash-max-size", "1024", TABLE);
    PROXY_HEADERS_HASH_BUCKET_SIZE: String = inert("proxy-headers-hash-bucket-size", "64", TABLE);
    PROXY_HEADERS_HASH_MAX_SIZE: String = inert("proxy-headers-hash-max-size", "512", TABLE);
    LUA_SHARED_DICTS: String = inert("lua-shared-dicts", "", "There is no Lua.");
    NGINX_STATUS_IPV4_WHITELIST: Vec<String> =
        setting("nginx-status-ipv4-whitelist", types::LIST, "127.0.0.1",
            "Peers that get /nginx_status, the page of connection counters; addresses of proxies count, not of clients behind them.")
            .differs(differences![
                When::Sometimes =>
                    "The address of the TCP peer decides; in ingress-nginx the forwarded one of a trusted proxy.",
            ]);
    NGINX_STATUS_IPV6_WHITELIST: Vec<String> =
        setting("nginx-status-ipv6-whitelist", types::LIST, "::1", "The same for IPv6.")
            .differs(differences![
                When::Sometimes =>
                    "The address of the TCP peer decides; in ingress-nginx the forwarded one of a trusted proxy.",
            ]);
} }

/// Client connections of one worker; `None`: as many as there may be files.
pub(super) fn connections(source: &mut Source<'_>) -> Option<NonZeroU32> {
    NonZeroU32::new(source.count(&MAX_WORKER_CONNECTIONS))
}

/// Peers that get the page of connection counters. An address that is none is left out.
pub(super) fn counter_clients(source: &mut Source<'_>) -> IpSet {
    let lists = [&NGINX_STATUS_IPV4_WHITELIST, &NGINX_STATUS_IPV6_WHITELIST];
    let mut nets = Vec::new();
    for key in lists {
        let listed = source.each(key, parse_cidr);
        let default = || parse_cidr(key.row().default).into_iter().collect();
        nets.extend(listed.unwrap_or_else(default));
    }
    nets.into_iter().collect()
}

/// Time for requests in flight to end at shutdown.
pub(super) fn drain(source: &Source<'_>) -> Duration {
    source.get(&WORKER_SHUTDOWN_TIMEOUT)
}
