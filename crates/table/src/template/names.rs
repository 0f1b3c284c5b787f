//! Names of variables.

use http::HeaderName;

use super::{ClientVariable, GeoVariable, TlsVariable, TraceVariable, UpstreamVariable, Variable};

impl Variable {
    /// The variable of this name, without `$`; letters of either case.
    pub fn named(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        fixed(&lower).or_else(|| family(&lower, name))
    }
}

fn fixed(name: &str) -> Option<Variable> {
    use Variable as V;
    Some(match name {
        "remote_addr" | "the_real_ip" => V::RemoteAddr,
        "binary_remote_addr" => V::BinaryRemoteAddr,
        "remote_port" => V::RemotePort,
        "realip_remote_addr" => V::PeerAddr,
        "realip_remote_port" => V::PeerPort,
        "proxy_protocol_addr" => V::ProxyProtocolAddr,
        "proxy_protocol_port" => V::ProxyProtocolPort,
        "proxy_protocol_server_addr" => V::ProxyProtocolServerAddr,
        "proxy_protocol_server_port" => V::ProxyProtocolServerPort,
        "proxy_add_x_forwarded_for" | "full_x_forwarded_for" => V::ProxyAddForwardedFor,
        "host" => V::Host,
        "best_http_host" => V::BestHttpHost,
        "request" => V::RequestLine,
        "request_uri" => V::RequestUri,
        "escaped_request_uri" => V::EscapedRequestUri,
        "uri" | "document_uri" => V::Uri,
        "args" | "query_string" => V::Args,
        "is_args" => V::IsArgs,
        "request_method" => V::RequestMethod,
        "scheme" => V::Scheme,
        "https" => V::Https,
        "pass_access_scheme" => V::PassAccessScheme,
        "server_addr" => V::ServerAddr,
        "server_port" => V::ServerPort,
        "pass_server_port" | "pass_port" => V::PassServerPort,
        "server_name" => V::ServerName,
        "server_protocol" => V::ServerProtocol,
        "http2" => V::Http2,
        "request_id" | "req_id" => V::RequestId,
        "content_length" => V::ContentLength,
        "content_type" => V::ContentType,
        "remote_user" => V::RemoteUser,
        "connection_upgrade" => V::ConnectionUpgrade,
        "connection" => V::Connection,
        "connection_requests" => V::ConnectionRequests,
        _ => return of_route(name).or_else(|| of_response(name)),
    })
}

fn of_route(name: &str) -> Option<Variable> {
    use Variable as V;
    Some(match name {
        "namespace" => V::Namespace,
        "ingress_name" => V::ObjectName,
        "service_name" => V::ServiceName,
        "service_port" => V::ServicePort,
        "location_path" => V::LocationPath,
        "proxy_upstream_name" | "proxy_host" => V::ProxyUpstreamName,
        "proxy_alternative_upstream_name" => V::ProxyAlternativeUpstreamName,
        "msec" => V::Msec,
        "time_iso8601" => V::TimeIso8601,
        "time_local" => V::TimeLocal,
        "hostname" => V::Hostname,
        "pid" => V::Pid,
        _ => return name.strip_prefix("ssl_").and_then(of_tls),
    })
}

fn of_tls(name: &str) -> Option<Variable> {
    use TlsVariable as T;
    Some(Variable::Tls(match name {
        "protocol" => T::Protocol,
        "cipher" => T::Cipher,
        "ciphers" => T::Ciphers,
        "curve" => T::Curve,
        "curves" => T::Curves,
        "server_name" => T::ServerName,
        "alpn_protocol" => T::Alpn,
        "session_reused" => T::SessionReused,
        // 0-RTT data is never accepted, and the library does not tell the id.
        "early_data" | "session_id" => return Some(Variable::Constant("")),
        _ => T::Client(name.strip_prefix("client_").and_then(of_client)?),
    }))
}

fn of_client(name: &str) -> Option<ClientVariable> {
    use ClientVariable as C;
    Some(match name {
        "verify" => C::Verify,
        "s_dn" => C::Subject,
        "i_dn" => C::Issuer,
        "s_dn_legacy" => C::SubjectLegacy,
        "i_dn_legacy" => C::IssuerLegacy,
        "serial" => C::Serial,
        "fingerprint" => C::Fingerprint,
        "v_start" => C::Start,
        "v_end" => C::End,
        "v_remain" => C::Remain,
        "raw_cert" => C::RawCertificate,
        "cert" => C::Certificate,
        "escaped_cert" => C::EscapedCertificate,
        _ => return None,
    })
}

fn of_response(name: &str) -> Option<Variable> {
    use UpstreamVariable as U;
    use Variable as V;
    Some(match name {
        "status" => V::Status,
        "request_length" => V::RequestLength,
        "request_time" => V::RequestTime,
        "body_bytes_sent" => V::BodyBytesSent,
        "bytes_sent" => V::BytesSent,
        "request_completion" => V::RequestCompletion,
        "upstream_addr" => V::Upstream(U::Addr),
        "upstream_status" => V::Upstream(U::Status),
        "upstream_connect_time" => V::Upstream(U::ConnectTime),
        "upstream_header_time" => V::Upstream(U::HeaderTime),
        "upstream_response_time" => V::Upstream(U::ResponseTime),
        "upstream_response_length" | "upstream_bytes_received" => V::Upstream(U::ResponseLength),
        // There is no cache, pipelining is answered in order, and compression counts no ratio.
        "upstream_cache_status" | "upstream_cache_key" | "gzip_ratio" => V::Constant(""),
        "pipe" => V::Constant("."),
        // The root of nginx while none is configured.
        "document_root" => V::Constant("/usr/local/nginx/html"),
        "fastcgi_script_name" => V::FastCgiScriptName,
        // Only `fastcgi_split_path_info` would set it, which nothing configures.
        "fastcgi_path_info" => V::Constant(""),
        "literal_dollar" => V::Constant("$"),
        "nginx_version" => V::Constant("1.27.1"),
        _ => return None,
    })
}

/// Names of header fields are in lower case; those of cookies and arguments are as written.
fn family(lower: &str, name: &str) -> Option<Variable> {
    use UpstreamVariable as U;
    let written = |prefix: &str| {
        let written = name.get(prefix.len()..).unwrap_or_default();
        Some(written.to_owned()).filter(|name| lower.starts_with(prefix) && !name.is_empty())
    };
    if let Some(location) = lower.strip_prefix("geoip2_") {
        return GeoVariable::named(location).map(Variable::Geo);
    }
    if let Some(of_trace) = lower.strip_prefix("opentelemetry_") {
        return TraceVariable::named(of_trace).map(Variable::Trace);
    }
    if let Some(field) = lower.strip_prefix("http_") {
        return field_name(field).map(Variable::Header);
    }
    if let Some(field) = lower.strip_prefix("sent_http_") {
        return field_name(field).map(Variable::SentHeader);
    }
    if let Some(field) = lower.strip_prefix("upstream_http_") {
        return field_name(field).map(|name| Variable::Upstream(U::Header(name)));
    }
    written("cookie_")
        .map(Variable::Cookie)
        .or_else(|| written("arg_").map(Variable::Arg))
        .or_else(|| written("upstream_cookie_").map(|name| Variable::Upstream(U::Cookie(name))))
}

fn field_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.replace('_', "-").as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case() {
        assert_eq!(Variable::named("Host"), Some(Variable::Host));
        assert_eq!(
            Variable::named("http_X_User"),
            Some(Variable::Header(HeaderName::from_static("x-user")))
        );
        assert_eq!(
            Variable::named("cookie_SID"),
            Some(Variable::Cookie("SID".to_owned()))
        );
        for nothing in ["", "http_", "arg_", "cookie_", "nonsense", "sent_http_"] {
            assert_eq!(Variable::named(nothing), None, "{nothing}");
        }
    }
}
