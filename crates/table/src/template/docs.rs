//! The documentation table of the variables.

use std::fmt::Write as _;

use super::{GeoVariable, Variable};

/// Names of the same variable, separated by spaces, and what it is. `<name>` stands for any name.
const MEANINGS: &[(&str, &str)] = &[
    (
        "remote_addr the_real_ip",
        "Address of the client, after real-IP processing",
    ),
    ("binary_remote_addr", "The same; in the log as bytes"),
    ("remote_port", "Port of the client"),
    (
        "realip_remote_addr",
        "Address of the peer of the connection",
    ),
    ("realip_remote_port", "Its port"),
    ("proxy_protocol_addr", "Source address of the PROXY header"),
    ("proxy_protocol_port", "Its port"),
    (
        "proxy_protocol_server_addr",
        "Destination address of the PROXY header",
    ),
    ("proxy_protocol_server_port", "Its port"),
    (
        "proxy_add_x_forwarded_for full_x_forwarded_for",
        "`X-Forwarded-For` of the client with the client address appended",
    ),
    ("remote_user", "User of Basic credentials"),
    ("request", "Request line, as HTTP/1 writes it"),
    ("request_method", "Method"),
    ("request_uri", "Path and query as received"),
    (
        "escaped_request_uri",
        "The same, percent-encoded as a part of a query",
    ),
    ("uri document_uri", "Path, decoded and normalised"),
    ("args query_string", "Query as received"),
    ("is_args", "`?` if there is a query"),
    ("arg_<name>", "Argument of the query"),
    ("cookie_<name>", "Cookie of the request"),
    (
        "http_<name>",
        "Header field of the request, with `_` for `-`",
    ),
    ("content_length", "`Content-Length` of the request"),
    ("content_type", "`Content-Type` of the request"),
    (
        "connection_upgrade",
        "`upgrade` if the client sent `Upgrade`, else empty",
    ),
    ("host", "Host of the request, without port"),
    ("best_http_host", "`Host` as it is forwarded"),
    ("scheme", "`http` or `https`, of the listener"),
    ("https", "`on` with TLS"),
    (
        "pass_access_scheme",
        "Scheme, after forwarded fields are applied",
    ),
    ("server_addr", "Address of the proxy on the connection"),
    ("server_port", "Port of the listener"),
    (
        "pass_server_port pass_port",
        "Port that is sent to the upstream",
    ),
    ("server_name", "Host as configured"),
    ("server_protocol", "Such as `HTTP/1.1`"),
    ("http2", "`h2`, `h2c` or empty"),
    (
        "request_id req_id",
        "`X-Request-ID` of the request, or the generated one",
    ),
    ("connection", "Serial number of the connection"),
    ("connection_requests", "Requests on the connection so far"),
    ("namespace", "Namespace of the object of the route"),
    ("ingress_name", "Its name"),
    ("service_name", "Service of the route"),
    ("service_port", "Its port"),
    ("location_path", "Path of the route as its object has it"),
    (
        "proxy_upstream_name proxy_host",
        "`<namespace>-<service>-<port>`",
    ),
    (
        "proxy_alternative_upstream_name",
        "The same of the alternative, such as a canary, that serves",
    ),
    ("msec", "Time, seconds with milliseconds"),
    ("time_iso8601", "Time, such as `2026-03-12T10:00:00+00:00`"),
    ("time_local", "Time, such as `12/Mar/2026:10:00:00 +0000`"),
    ("hostname", "Name of the machine"),
    ("pid", "Number of the process"),
    (
        "geoip2_<name>",
        "Location of the client; the names are below",
    ),
    ("ssl_protocol", "Such as `TLSv1.3`"),
    ("ssl_cipher", "Cipher suite, by OpenSSL name"),
    ("ssl_ciphers", "Cipher suites that the client offers"),
    ("ssl_curve", "Key exchange, such as `X25519`"),
    ("ssl_curves", "Key exchanges that the client offers"),
    ("ssl_server_name", "Server name of the handshake"),
    ("ssl_alpn_protocol", "Such as `h2`"),
    ("ssl_session_reused", "`r` or `.`"),
    ("ssl_early_data ssl_session_id", "Always empty"),
    (
        "ssl_client_verify",
        "`SUCCESS`, `FAILED:reason`, or `NONE` without a client certificate",
    ),
    (
        "ssl_client_s_dn",
        "Subject of the client certificate (RFC 2253)",
    ),
    ("ssl_client_i_dn", "Its issuer"),
    (
        "ssl_client_s_dn_legacy",
        "Its subject as `/O=shop/CN=alice`",
    ),
    ("ssl_client_i_dn_legacy", "Its issuer in that form"),
    ("ssl_client_serial", "Its serial number, hexadecimal"),
    ("ssl_client_fingerprint", "Its SHA-1, hexadecimal"),
    ("ssl_client_v_start", "Start of its validity"),
    ("ssl_client_v_end", "End of its validity"),
    ("ssl_client_v_remain", "Whole days until then"),
    ("ssl_client_raw_cert", "The certificate as PEM"),
    (
        "ssl_client_cert",
        "The same with a tab before each line but the first",
    ),
    ("ssl_client_escaped_cert", "The same, percent-encoded"),
    (
        "status",
        "Status of the response; 499 if the client closed the connection before",
    ),
    ("request_length", "Bytes received, head and body"),
    (
        "request_time",
        "Seconds since the head of the request was complete",
    ),
    ("sent_http_<name>", "Header field of the response"),
    ("upstream_addr", "Endpoints that were tried"),
    ("upstream_status", "Their statuses"),
    ("upstream_connect_time", "Seconds that each took to connect"),
    (
        "upstream_header_time",
        "Seconds to the head of each response",
    ),
    (
        "upstream_response_time",
        "Seconds to the end of each response",
    ),
    (
        "upstream_response_length upstream_bytes_received",
        "Bytes of each response body",
    ),
    (
        "upstream_http_<name>",
        "Header field of the last upstream response",
    ),
    ("upstream_cookie_<name>", "Cookie that it sets"),
    ("body_bytes_sent", "Bytes of the response body sent"),
    ("bytes_sent", "The same with the head"),
    (
        "request_completion",
        "`OK`, or empty if the response was cut",
    ),
    (
        "upstream_cache_status upstream_cache_key gzip_ratio",
        "Always empty",
    ),
    ("pipe", "Always `.`"),
    ("document_root", "Always `/usr/local/nginx/html`"),
    (
        "fastcgi_script_name",
        "Path of the FastCGI application, with `fastcgi-index`; in `fastcgi-params-configmap`",
    ),
    ("fastcgi_path_info", "Always empty"),
    ("literal_dollar", "A dollar sign"),
    (
        "opentelemetry_trace_id",
        "Trace of the request, 32 hexadecimal digits; empty if it is not traced, as of the following",
    ),
    (
        "opentelemetry_span_id",
        "Span of the request, 16 hexadecimal digits",
    ),
    (
        "opentelemetry_sampled",
        "`1` if the request is sampled, else `0`",
    ),
    (
        "opentelemetry_context_traceparent",
        "Field `traceparent` of W3C Trace Context",
    ),
    (
        "opentelemetry_context_tracestate",
        "Field `tracestate`, as received",
    ),
    ("opentelemetry_context_b3", "The single field of B3"),
    ("nginx_version", "Always `1.27.1`"),
];

/// Every variable as a Markdown table: names, meaning, and when it is known.
pub fn variables_markdown() -> String {
    let mut page = String::from("| Variable | What it is | Known |\n|---|---|---|\n");
    for (names, meaning) in MEANINGS {
        let known = variable(names).map(|variable| variable.phase().to_string());
        let names: Vec<String> = names.split(' ').map(|name| format!("`${name}`")).collect();
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "| {} | {meaning} | {} |",
            names.join(", "),
            known.unwrap_or_default()
        );
    }
    let locations: Vec<String> = GeoVariable::names()
        .map(|name| format!("`$geoip2_{name}`"))
        .collect();
    let _ = writeln!(page, "\nLocations: {}.", locations.join(", "));
    page
}

/// The variable of the first name.
fn variable(names: &str) -> Option<Variable> {
    let first = names.split(' ').next().unwrap_or_default();
    let example = match first {
        "geoip2_<name>" => "geoip2_city".to_owned(),
        family => family.replace("<name>", "x"),
    };
    Variable::named(&example)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn documented() -> BTreeSet<&'static str> {
        MEANINGS
            .iter()
            .flat_map(|(names, _)| names.split(' '))
            .collect()
    }

    #[test]
    fn names_in_a_row_are_the_same_variable() {
        for (names, _) in MEANINGS {
            let meant = variable(names);
            assert!(meant.is_some(), "{names}");
            for name in names.split(' ').filter(|name| !name.contains('<')) {
                assert_eq!(Variable::named(name), meant, "{name}");
            }
        }
    }

    /// The names stand in the arms of matches, by function with a prefix.
    #[test]
    fn every_name_is_documented() {
        let source = include_str!("names.rs");
        let (source, _) = source
            .split_once("/// Names of header fields")
            .unwrap_or((source, ""));
        let of_trace = include_str!("trace.rs");
        let documented = documented();
        let mut prefix = "";
        let mut names = 0;
        for line in source.lines().chain(of_trace.lines()) {
            match line.trim() {
                "fn of_tls(name: &str) -> Option<Variable> {" => prefix = "ssl_",
                "fn of_client(name: &str) -> Option<ClientVariable> {" => prefix = "ssl_client_",
                "pub(super) fn named(name: &str) -> Option<Self> {" => prefix = "opentelemetry_",
                line if line.starts_with("fn ") => prefix = "",
                line if line.contains("=>") => {
                    let (pattern, _) = line.split_once("=>").unwrap_or_default();
                    for name in pattern.split('"').skip(1).step_by(2) {
                        names += 1;
                        assert!(
                            documented.contains(&*format!("{prefix}{name}")),
                            "{prefix}{name}"
                        );
                    }
                }
                _ => {}
            }
        }
        assert!(names > 70, "{names}");
    }

    #[test]
    fn the_page_has_whole_rows() {
        let page = variables_markdown();
        assert!(
            page.lines()
                .filter(|line| line.starts_with('|'))
                .all(|row| row.matches('|').count() == 4),
            "{page}"
        );
        assert!(
            page.contains(
                "| `$body_bytes_sent` | Bytes of the response body sent | in the log |\n"
            )
        );
        assert!(page.contains("`$geoip2_city`"));
    }
}
