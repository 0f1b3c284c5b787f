//! Names and help of all metrics (ingress-nginx reference 7, and some of our own).

use prometheus::proto::MetricType;

/// A metric's name, meaning and kind.
#[derive(Debug)]
pub(super) struct Name {
    /// As exposed.
    pub(super) name: &'static str,
    /// One line for people.
    pub(super) help: &'static str,
    /// What sort of numbers it holds.
    pub(super) kind: MetricType,
}

/// Declares the metrics, and `ALL` with every one of them.
macro_rules! names {
    ($($constant:ident $kind:ident $name:literal $help:literal;)*) => {
        $(pub(super) const $constant: Name = Name { name: $name, help: $help, kind: MetricType::$kind };)*

        /// Every metric that is exposed.
        pub(super) const ALL: &[&Name] = &[$(&$constant),*];
    };
}

names! {
    REQUESTS COUNTER "nginx_ingress_controller_requests"
        "Requests of clients";
    REQUEST_DURATION HISTOGRAM "nginx_ingress_controller_request_duration_seconds"
        "Time from the head of a request to the end of its answer";
    RESPONSE_DURATION HISTOGRAM "nginx_ingress_controller_response_duration_seconds"
        "Time from the start of the last try at an endpoint to the end of its answer";
    HEADER_DURATION HISTOGRAM "nginx_ingress_controller_header_duration_seconds"
        "Time from the start of the last try at an endpoint to the head of its answer";
    CONNECT_DURATION HISTOGRAM "nginx_ingress_controller_connect_duration_seconds"
        "Time that the last try at an endpoint took to connect; zero on a kept connection";
    REQUEST_SIZE HISTOGRAM "nginx_ingress_controller_request_size"
        "Bytes of a request, head and body";
    RESPONSE_SIZE HISTOGRAM "nginx_ingress_controller_response_size"
        "Bytes of an answer's body";
    BYTES_SENT HISTOGRAM "nginx_ingress_controller_bytes_sent"
        "Bytes of an answer's body; deprecated, use response_size";
    CONNECTIONS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_connections_total"
        "Connections of clients since the start, by state accepted or handled";
    REQUESTS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_requests_total"
        "Requests of clients since the start";
    CONNECTIONS GAUGE "nginx_ingress_controller_nginx_process_connections"
        "Open connections of clients, by state active, reading, writing or waiting";
    NUM_PROCS GAUGE "nginx_ingress_controller_nginx_process_num_procs"
        "Processes that serve";
    CPU_SECONDS COUNTER "nginx_ingress_controller_nginx_process_cpu_seconds_total"
        "CPU time used";
    READ_BYTES COUNTER "nginx_ingress_controller_nginx_process_read_bytes_total"
        "Bytes read from storage";
    WRITE_BYTES COUNTER "nginx_ingress_controller_nginx_process_write_bytes_total"
        "Bytes written to storage";
    RESIDENT_MEMORY GAUGE "nginx_ingress_controller_nginx_process_resident_memory_bytes"
        "Memory in use";
    VIRTUAL_MEMORY GAUGE "nginx_ingress_controller_nginx_process_virtual_memory_bytes"
        "Address space in use";
    START_TIME GAUGE "nginx_ingress_controller_nginx_process_oldest_start_time_seconds"
        "When the process started, seconds since 1970";
    BUILD_INFO GAUGE "nginx_ingress_controller_build_info"
        "Always 1; the labels say what was built";
    CONFIG_HASH GAUGE "nginx_ingress_controller_config_hash"
        "Hash of the configuration that is served";
    LAST_RELOAD_SUCCESSFUL GAUGE "nginx_ingress_controller_config_last_reload_successful"
        "Whether the last change of configuration could be served";
    LAST_RELOAD_TIME GAUGE "nginx_ingress_controller_config_last_reload_successful_timestamp_seconds"
        "When a change of configuration was last served, seconds since 1970";
    SUCCESS COUNTER "nginx_ingress_controller_success"
        "Changes of configuration that were served";
    ERRORS COUNTER "nginx_ingress_controller_errors"
        "Changes of configuration that could not be served";
    CERTIFICATE_EXPIRY GAUGE "nginx_ingress_controller_ssl_expire_time_seconds"
        "When the certificate of a host ends, seconds since 1970";
    CERTIFICATE_INFO GAUGE "nginx_ingress_controller_ssl_certificate_info"
        "Always 1; the labels describe the certificate of a host";
    ORPHANS GAUGE "nginx_ingress_controller_orphan_ingress"
        "1 for an Ingress with a Service that is missing or has no endpoints, by type no-service or no-endpoint";
    REFUSED COUNTER "headgate_requests_refused_total"
        "Requests and connections refused, by the limit that refused them";
    PANICS COUNTER "headgate_panics_total"
        "Faults of this program that ended a request";
    PUBLISH_DURATION HISTOGRAM "headgate_publish_seconds"
        "Time from the arrival of a changed object to its being served";
    FINDINGS GAUGE "headgate_findings"
        "Problems of objects, by severity";
    LOG_DROPPED COUNTER "headgate_access_log_dropped_total"
        "Lines of the access log that could not be written in time or at all";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = ALL.iter().map(|name| name.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
