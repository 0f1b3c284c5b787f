//! The table of all metrics: those of ingress-nginx (behaviour.md 7), of its Prometheus library, and some more.

use prometheus::proto::MetricType;

/// A metric: a row of the table that exposition and documentation share.
#[derive(Debug)]
pub struct Name {
    /// Its full name.
    pub name: &'static str,
    /// Its meaning in one line.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricType,
    /// Its labels, besides those that all metrics with a prefix of their own carry ([`MetricLabels`](crate::MetricLabels)).
    pub labels: &'static [&'static str],
}

/// Labels of request metrics.
const REQUEST: &[&str] = &[
    "status",
    "method",
    "path",
    "namespace",
    "ingress",
    "service",
    "canary",
    "host",
];
/// All labels of certificates: they do not carry the common ones.
const CERTIFICATE: &[&str] = &["namespace", "class", "host", "secret_name", "identifier"];
const CERTIFICATE_AND_ISSUER: &[&str] = &[
    "namespace",
    "class",
    "host",
    "secret_name",
    "identifier",
    "issuer_organization",
    "issuer_common_name",
    "serial_number",
    "public_key_algorithm",
];

/// Declares the metrics, and `ALL` with every one of them.
macro_rules! names {
    ($($constant:ident $kind:ident $name:literal $labels:expr, $help:literal;)*) => {
        $(pub(super) const $constant: Name = Name {
            name: $name,
            help: $help,
            kind: MetricType::$kind,
            labels: $labels,
        };)*

        /// Every metric that is exposed.
        pub static ALL: &[&Name] = &[$(&$constant),*];
    };
}

names! {
    REQUESTS COUNTER "nginx_ingress_controller_requests" REQUEST,
        "Client requests";
    REQUEST_DURATION HISTOGRAM "nginx_ingress_controller_request_duration_seconds" REQUEST,
        "Time from the head of a request to the end of its response";
    RESPONSE_DURATION HISTOGRAM "nginx_ingress_controller_response_duration_seconds" REQUEST,
        "Time from the start of the last upstream attempt to the end of its response";
    HEADER_DURATION HISTOGRAM "nginx_ingress_controller_header_duration_seconds" REQUEST,
        "Time from the start of the last upstream attempt to the head of its response";
    CONNECT_DURATION HISTOGRAM "nginx_ingress_controller_connect_duration_seconds" REQUEST,
        "Time that the last upstream attempt took to connect; zero on a kept connection";
    REQUEST_SIZE HISTOGRAM "nginx_ingress_controller_request_size" REQUEST,
        "Size of a request in bytes, head and body";
    RESPONSE_SIZE HISTOGRAM "nginx_ingress_controller_response_size" REQUEST,
        "Size of a response in bytes, head and body";
    BYTES_SENT HISTOGRAM "nginx_ingress_controller_bytes_sent" REQUEST,
        "Size of a response in bytes, head and body; deprecated, use response_size";
    CONNECTIONS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_connections_total" &["state"],
        "Client connections since the start, by state accepted or handled";
    REQUESTS_TOTAL COUNTER "nginx_ingress_controller_nginx_process_requests_total" &[],
        "Client requests since the start";
    CONNECTIONS GAUGE "nginx_ingress_controller_nginx_process_connections" &["state"],
        "Open client connections, by state active, reading, writing or waiting";
    NUM_PROCS GAUGE "nginx_ingress_controller_nginx_process_num_procs" &[],
        "Number of serving processes";
    CPU_SECONDS COUNTER "nginx_ingress_controller_nginx_process_cpu_seconds_total" &[],
        "CPU time in seconds";
    READ_BYTES COUNTER "nginx_ingress_controller_nginx_process_read_bytes_total" &[],
        "Bytes read from storage";
    WRITE_BYTES COUNTER "nginx_ingress_controller_nginx_process_write_bytes_total" &[],
        "Bytes written to storage";
    RESIDENT_MEMORY GAUGE "nginx_ingress_controller_nginx_process_resident_memory_bytes" &[],
        "Resident memory in bytes";
    VIRTUAL_MEMORY GAUGE "nginx_ingress_controller_nginx_process_virtual_memory_bytes" &[],
        "Virtual memory in bytes";
    START_TIME GAUGE "nginx_ingress_controller_nginx_process_oldest_start_time_seconds" &[],
        "Start time of the process in seconds since 1970";
    BUILD_INFO GAUGE "nginx_ingress_controller_build_info" &["build", "release", "repository"],
        "Always 1; the labels identify the build";
    CONFIG_HASH GAUGE "nginx_ingress_controller_config_hash" &[],
        "Hash of the configuration in service, without endpoints: equal in replicas that serve the same";
    LAST_RELOAD_SUCCESSFUL GAUGE "nginx_ingress_controller_config_last_reload_successful" &[],
        "1 once a configuration is in service: a change cannot fail to be published";
    LAST_RELOAD_TIME GAUGE "nginx_ingress_controller_config_last_reload_successful_timestamp_seconds" &[],
        "Time of the last published configuration change in seconds since 1970";
    SUCCESS COUNTER "nginx_ingress_controller_success" &[],
        "Published configuration changes";
    ERRORS COUNTER "nginx_ingress_controller_errors" &[],
        "Always 0: a change cannot fail to be published; what is wrong with objects is in headgate_findings";
    CERTIFICATE_EXPIRY GAUGE "nginx_ingress_controller_ssl_expire_time_seconds" CERTIFICATE,
        "Expiry of the certificate of a host in seconds since 1970";
    CERTIFICATE_INFO GAUGE "nginx_ingress_controller_ssl_certificate_info" CERTIFICATE_AND_ISSUER,
        "Always 1; the labels describe the certificate of a host";
    ORPHANS GAUGE "nginx_ingress_controller_orphan_ingress" &["namespace", "ingress", "type"],
        "1 for an Ingress whose Service is missing or has no endpoints, by type no-service or no-endpoint";
    REFUSED COUNTER "headgate_requests_refused_total" &["limit"],
        "Refused requests and connections, by limit";
    REQUEST_ERRORS COUNTER "headgate_request_errors_total" &["reason"],
        "Error responses made by the proxy and responses that were cut, by reason";
    EJECTED GAUGE "headgate_ejected_endpoints" &[],
        "Endpoints that get no requests for now because of consecutive failures";
    UNHEALTHY GAUGE "headgate_unhealthy_endpoints" &[],
        "Endpoints that get no requests because their health checks have failed";
    MIRRORED COUNTER "headgate_mirrored_requests_total" &["outcome"],
        "Copies of requests for mirrors, by outcome";
    STREAM_OPEN GAUGE "headgate_stream_sessions" &["protocol", "port"],
        "Open TCP and UDP sessions, by protocol and port";
    STREAM_SESSIONS COUNTER "headgate_stream_sessions_total" &["protocol", "port", "status"],
        "TCP and UDP sessions that ended, by protocol, port and status";
    STREAM_BYTES COUNTER "headgate_stream_bytes_total" &["protocol", "port", "direction"],
        "Bytes of TCP and UDP sessions, by protocol, port and direction as seen from the proxy";
    PANICS COUNTER "headgate_panics_total" &[],
        "Panics, each of which ended a request or a connection";
    GENERATION GAUGE "headgate_table_generation" &[],
        "Number of the routing table in service, counted from the start of the process";
    PUBLISH_DURATION HISTOGRAM "headgate_publish_seconds" &[],
        "Time from the arrival of a changed object to its publication";
    FINDINGS GAUGE "headgate_findings" &["severity"],
        "Findings about objects, by severity";
    SPANS COUNTER "headgate_trace_spans_total" &["outcome"],
        "Spans of sampled requests, by outcome exported, dropped (the queue was full) or failed (the collector did not take them)";
    LOG_DROPPED COUNTER "headgate_access_log_dropped_total" &[],
        "Access log lines dropped because they could not be written, or not in time";
    STANDARD_CPU COUNTER "process_cpu_seconds_total" &[],
        "CPU time in seconds";
    STANDARD_OPEN_FILES GAUGE "process_open_fds" &[],
        "Open file descriptors";
    STANDARD_MAX_FILES GAUGE "process_max_fds" &[],
        "Maximum number of open file descriptors";
    STANDARD_RESIDENT GAUGE "process_resident_memory_bytes" &[],
        "Resident memory in bytes";
    STANDARD_VIRTUAL GAUGE "process_virtual_memory_bytes" &[],
        "Virtual memory in bytes";
    STANDARD_START GAUGE "process_start_time_seconds" &[],
        "Start time of the process in seconds since 1970";
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
