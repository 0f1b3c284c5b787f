//! The process.

use super::registry::{Kind, Setting, inert, setting};

const TABLE: &str = "Tables grow as needed.";

pub(super) const ENTRIES: &[Setting] = &[
    inert(
        "worker-processes",
        "",
        "The flag --workers sets the number of workers.",
    ),
    inert("worker-cpu-affinity", "", "The scheduler places workers."),
    setting(
        "worker-shutdown-timeout",
        Kind::Duration,
        "240s",
        "Time for requests in flight to end at a stop.",
    ),
    inert("enable-serial-reloads", "false", "There are no reloads."),
    setting(
        "max-worker-connections",
        Kind::Int,
        "0",
        "Connections of one worker; 0 derives it from the limit of open files.",
    ),
    inert(
        "max-worker-open-files",
        "0",
        "The limit of open files is raised as far as allowed.",
    ),
    inert(
        "enable-aio-write",
        "true",
        "Nothing is written to files on the way.",
    ),
    inert("map-hash-bucket-size", "64", TABLE),
    inert("variables-hash-bucket-size", "256", TABLE),
    inert("variables-hash-max-size", "2048", TABLE),
    inert("server-name-hash-bucket-size", "", TABLE),
    inert("server-name-hash-max-size", "1024", TABLE),
    inert("proxy-headers-hash-bucket-size", "64", TABLE),
    inert("proxy-headers-hash-max-size", "512", TABLE),
    inert("lua-shared-dicts", "", "There is no Lua."),
    inert(
        "nginx-status-ipv4-whitelist",
        "127.0.0.1",
        "The admin port has its own address.",
    ),
    inert(
        "nginx-status-ipv6-whitelist",
        "::1",
        "The admin port has its own address.",
    ),
];
