//! Names and help of all metrics: those of ingress-nginx (behaviour.md 7) and some more.

use prometheus::proto::MetricType;

#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
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
        "Client requests";
    REQUEST_DURATION HISTOGRAM "nginx_ingress_controller_request_duration_seconds"
        "Time from the head of a request to the end of its response";
    RESPONSE_DURATION HISTOGRAM "nginx_ingress_controller_response_duration_seconds"
        "Time from the start of the last upstream attempt to the end of its response";
    HEADER_DURATION HISTOGRAM "nginx_ingress_controller_header_duration_seconds"
        "Time from the start of the last upstream attempt to the head of its response";
    CONNECT_DURATION HISTOGRAM "nginx_ingress_controller_connect_duration_seconds"
        "Time that the last upstream attempt took to connect; zero on a kept connection";
    REQUEST_SIZE HISTOGRAM "nginx_ingress_controller_request_size"
        "Size of a request in bytes, head and body";
    RESPONSE_SIZE HISTOGRAM "nginx_ingress_controller_response_size"
        "Size of a response body in bytes";
    BYTES_SENT HISTOGRAM "nginx_ingress_controller_bytes_sent"
        "Size of a response body in bytes; deprecated, use response_size";
    CONNECTIONS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_connections_total"
        "Client connections since the start, by state accepted or handled";
    REQUESTS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_requests_total"
        "Client requests since the start";
    CONNECTIONS GAUGE "nginx_ingress_controller_nginx_process_connections"
        "Open client connections, by state active, reading, writing or waiting";
    NUM_PROCS GAUGE "nginx_ingress_controller_nginx_process_num_procs"
        "Number of serving processes";
    CPU_SECONDS COUNTER "nginx_ingress_controller_nginx_process_cpu_seconds_total"
        "CPU time in seconds";
    READ_BYTES COUNTER "nginx_ingress_controller_nginx_process_read_bytes_total"
        "Bytes read from storage";
    WRITE_BYTES COUNTER "nginx_ingress_controller_nginx_process_write_bytes_total"
        "Bytes written to storage";
    RESIDENT_MEMORY GAUGE "nginx_ingress_controller_nginx_process_resident_memory_bytes"
        "Resident memory in bytes";
    VIRTUAL_MEMORY GAUGE "nginx_ingress_controller_nginx_process_virtual_memory_bytes"
        "Virtual memory in bytes";
    START_TIME GAUGE "nginx_ingress_controller_nginx_process_oldest_start_time_seconds"
        "Start time of the process in seconds since 1970";
    BUILD_INFO GAUGE "nginx_ingress_controller_build_info"
        "Always 1; the labels identify the build";
    CONFIG_HASH GAUGE "nginx_ingress_controller_config_hash"
        "Hash of the configuration in service";
    LAST_RELOAD_SUCCESSFUL GAUGE "nginx_ingress_controller_config_last_reload_successful"
        "Whether the last configuration change was published: 1 or 0";
    LAST_RELOAD_TIME GAUGE "nginx_ingress_controller_config_last_reload_successful_timestamp_seconds"
        "Time of the last published configuration change in seconds since 1970";
    SUCCESS COUNTER "nginx_ingress_controller_success"
        "Published configuration changes";
    ERRORS COUNTER "nginx_ingress_controller_errors"
        "Configuration changes that could not be published";
    CERTIFICATE_EXPIRY GAUGE "nginx_ingress_controller_ssl_expire_time_seconds"
        "Expiry of the certificate of a host in seconds since 1970";
    CERTIFICATE_INFO GAUGE "nginx_ingress_controller_ssl_certificate_info"
        "Always 1; the labels describe the certificate of a host";
    ORPHANS GAUGE "nginx_ingress_controller_orphan_ingress"
        "1 for an Ingress whose Service is missing or has no endpoints, by type no-service or no-endpoint";
    REFUSED COUNTER "headgate_requests_refused_total"
        "Refused requests and connections, by limit";
    REQUEST_ERRORS COUNTER "headgate_request_errors_total"
        "Error responses made by the proxy and responses that were cut, by reason";
    MIRRORED COUNTER "headgate_mirrored_requests_total"
        "Copies of requests for mirrors, by outcome";
    PANICS COUNTER "headgate_panics_total"
        "Panics, each of which ended a request or a connection";
    PUBLISH_DURATION HISTOGRAM "headgate_publish_seconds"
        "Time from the arrival of a changed object to its publication";
    FINDINGS GAUGE "headgate_findings"
        "Findings about objects, by severity";
    LOG_DROPPED COUNTER "headgate_access_log_dropped_total"
        "Access log lines dropped because they could not be written, or not in time";
}

/// The metrics of requests, which `--exclude-socket-metrics` can leave out.
const OF_REQUESTS: [&Name; 8] = [
    &REQUESTS,
    &REQUEST_DURATION,
    &RESPONSE_DURATION,
    &HEADER_DURATION,
    &CONNECT_DURATION,
    &REQUEST_SIZE,
    &RESPONSE_SIZE,
    &BYTES_SENT,
];

/// Those of `listed` that are metrics of requests; in the list, the prefix is optional.
pub(super) fn of_requests(listed: &[String]) -> Vec<&'static str> {
    const PREFIX: &str = "nginx_ingress_controller_";
    let short = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    OF_REQUESTS
        .iter()
        .map(|metric| metric.name)
        .filter(|name| {
            listed
                .iter()
                .any(|item| item == name || item == short(name))
        })
        .collect()
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

    #[test]
    fn only_metrics_of_requests_can_be_left_out() {
        let listed = [
            "request_size",
            "nginx_ingress_controller_bytes_sent",
            "build_info",
            "nonsense",
        ];
        assert_eq!(
            of_requests(&listed.map(str::to_owned)),
            [REQUEST_SIZE.name, BYTES_SENT.name]
        );
    }
}
