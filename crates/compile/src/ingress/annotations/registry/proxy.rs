//! Talking to the upstream.

use super::{Annotation, Kind, Risk, Support, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
    annotation(
        "backend-protocol",
        Kind::AnyCaseOf(&["HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI"]),
        "Protocol of the backend. FCGI is not honoured yet and closes the route.",
    )
    .default("HTTP"),
    annotation("proxy-connect-timeout", Kind::Int, "Seconds to connect.").setting("proxy-connect-timeout", "5"),
    annotation("proxy-send-timeout", Kind::Int, "Seconds between two writes to the backend.")
        .setting("proxy-send-timeout", "60"),
    annotation("proxy-read-timeout", Kind::Int, "Seconds between two reads from the backend; then 504.")
        .setting("proxy-read-timeout", "60"),
    annotation("proxy-next-upstream", Kind::NextUpstream, "On what another endpoint is tried.")
        .setting("proxy-next-upstream", "error timeout")
        .risk(Risk::Medium),
    annotation("proxy-next-upstream-timeout", Kind::Int, "Seconds for all tries; 0 is unlimited.")
        .setting("proxy-next-upstream-timeout", "0"),
    annotation("proxy-next-upstream-tries", Kind::Int, "Tries in all; 0 is unlimited.")
        .setting("proxy-next-upstream-tries", "3"),
    annotation("proxy-buffering", Kind::OnOff, "Reads answers ahead of a slow client.").setting("proxy-buffering", "off"),
    annotation("proxy-buffers-number", Kind::Int, "Answers stream; there are no such buffers.")
        .setting("proxy-buffers-number", "4")
        .support(Support::Inert),
    annotation("proxy-buffer-size", Kind::Size, "Longest head of an answer; a longer one is 502.")
        .setting("proxy-buffer-size", "4k"),
    annotation("proxy-busy-buffers-size", Kind::Size, "Answers stream; there are no such buffers.")
        .setting("proxy-busy-buffers-size", "")
        .support(Support::Inert),
    annotation("proxy-max-temp-file-size", Kind::Size, "Answers are never written to disk.")
        .setting("proxy-max-temp-file-size", "1024m")
        .support(Support::Inert),
    annotation("proxy-body-size", Kind::Size, "Longest request body, then 413; 0 is unlimited.")
        .setting("proxy-body-size", "1m")
        .risk(Risk::Medium),
    annotation(
        "client-body-buffer-size",
        Kind::SizeText,
        "Request body kept in memory, the rest goes to a file; counts only without a unit or with k or m.",
    )
    .setting("client-body-buffer-size", "8k")
    .refuses(),
    annotation("proxy-request-buffering", Kind::OnOff, "Reads the whole request body before the backend gets it.")
        .setting("proxy-request-buffering", "on"),
    annotation("proxy-http-version", Kind::OneOf(&["1.0", "1.1"]), "HTTP version towards the backend.")
        .setting("proxy-http-version", "1.1"),
    annotation("proxy-cookie-domain", Kind::Chars(Class::Tokens), "Replaces the Domain of the backend's cookies: from to.")
        .setting("proxy-cookie-domain", "off")
        .risk(Risk::Medium),
    annotation("proxy-cookie-path", Kind::Spaced(Class::Url), "Replaces the Path of the backend's cookies: from to.")
        .setting("proxy-cookie-path", "off")
        .risk(Risk::Medium),
    annotation("proxy-redirect-from", Kind::Spaced(Class::Url), "Start of Location and Refresh that is replaced, default or off.")
        .setting("proxy-redirect-from", "off")
        .risk(Risk::Medium),
    annotation("proxy-redirect-to", Kind::Spaced(Class::Url), "What replaces proxy-redirect-from.")
        .setting("proxy-redirect-to", "off")
        .risk(Risk::Medium),
    annotation("connection-proxy-header", Kind::OneOf(&["close", "keep-alive"]), "Connection header towards the backend.")
        .refuses(),
    annotation(
        "custom-headers",
        Kind::Chars(Class::Basic),
        "ConfigMap namespace/name of response headers, each allowed by global-allowed-response-headers.",
    )
    .risk(Risk::Medium),
    annotation("fastcgi-index", Kind::Chars(Class::FileName), "Index file of a FastCGI backend.")
        .risk(Risk::Medium)
        .refuses()
        .support(Support::NotYet),
    annotation("fastcgi-params-configmap", Kind::Chars(Class::Basic), "ConfigMap with parameters of a FastCGI backend.")
        .risk(Risk::Medium)
        .refuses()
        .support(Support::NotYet),
    annotation("http2-push-preload", Kind::Bool, "Server push no longer exists in browsers.")
        .default("false")
        .refuses()
        .support(Support::Inert),
];
