//! What refuses requests, connections and datagrams: the label of the metric of refusals.

/// Declares [`Limit`] with the label of each.
macro_rules! limits {
    ($($(#[$doc:meta])* $limit:ident $label:literal;)*) => {
        /// A limit, by the label `limit` of `headgate_requests_refused_total`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $($(#[$doc])* $limit,)*
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &[Self] = &[$(Self::$limit),*];

            /// The label. Dashboards and alerts use it: it never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$limit => $label,)*
                }
            }
        }
    };
}

limits! {
    /// Open connections of the process.
    Connections "connections";
    /// Open connections of a client.
    ClientConnections "client_connections";
    /// TLS handshakes of the process at once.
    Handshakes "handshakes";
    /// Accepting failed for lack of resources, such as file descriptors.
    Accept "accept";
    /// An address that cannot be listened on.
    Listen "listen";
    /// The PROXY header is missing, malformed or late.
    ProxyProtocol "proxy_protocol";
    /// The TLS handshake failed or is late.
    Handshake "handshake";
    /// HTTP without TLS on a port for TLS.
    PlainHttp "plain_http";
    /// A head that is malformed, or whose framing is ambiguous.
    Malformed "malformed";
    /// Length of the request line.
    RequestLine "request_line";
    /// Length of a field, number of fields, or size of a head.
    HeadSize "head_size";
    /// Time for a head.
    HeadTimeout "head_timeout";
    /// Size of a request body.
    BodySize "body-size";
    /// Time between two reads of a request body.
    BodyTimeout "body-timeout";
    /// Average rate of a request body.
    BodyRate "body-rate";
    /// Temporary files.
    BodySpool "body-spool";
    /// Time between two writes of a response.
    WriteTimeout "write_timeout";
    /// Frames of HTTP/2 other than those of requests.
    Http2ControlFrames "http2_control_frames";
    /// Streams of HTTP/2 that the client resets.
    Http2Resets "http2_resets";
    /// The memory of the container.
    Memory "memory";
    /// Time until a worker runs what is ready.
    Overload "overload";
    /// Requests of a client per second or minute.
    Rate "rate";
    /// Requests of a client at once.
    Concurrency "concurrency";
    /// Passwords that are being verified.
    PasswordChecks "password-checks";
    /// Requests to a Service at once.
    UpstreamConnections "upstream-connections";
    /// Requests that wait for a connection to a Service.
    UpstreamPending "upstream-pending";
    /// Retries to a Service.
    RetryBudget "retry-budget";
    /// Open UDP sessions.
    UdpSessions "udp_sessions";
    /// A datagram from an address that cannot be responded to.
    Datagram "datagram";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_distinct() {
        let labels: BTreeSet<_> = Limit::ALL.iter().map(|limit| limit.as_str()).collect();
        assert_eq!(labels.len(), Limit::ALL.len());
    }
}
