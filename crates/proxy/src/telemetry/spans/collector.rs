//! One export: a call to the collector, over gRPC or HTTP, and what its response means.

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use headgate_table::{
    Authorities, BackendProtocol, Balance, Endpoints, PoolSettings, Slot, TracingSettings,
    Upstream, UpstreamKey, UpstreamTls,
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderName, Method, Request};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::response::{of_grpc, of_http, read};
use crate::trace::{Endpoint, Protocol, TracingEnvironment};
use crate::upstream::{
    Attempts, Call, CallOptions, NoClient, Payload, Protocol as HttpProtocol, Security, Upstreams,
};

/// The method of the service, as a path.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const AGENT: &str = concat!("headgate/", env!("CARGO_PKG_VERSION"));

/// The collector that settings and environment name, and the way to it.
pub(super) struct Collector {
    upstreams: Rc<Upstreams>,
    environment: TracingEnvironment,
    endpoint: Endpoint,
    /// Kept while the endpoint is the same, and its connections with it.
    upstream: Option<Arc<Upstream>>,
}

/// Why spans were not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExportError {
    pub(super) message: String,
    /// The same spans may be taken later.
    pub(super) is_temporary: bool,
    /// When, if the collector says so.
    pub(super) after: Option<Duration>,
}

impl ExportError {
    pub(super) fn temporary(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_temporary: true,
            after: None,
        }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint {
            tls, host, port, ..
        } = &self.endpoint;
        write!(f, "{}://{host}:{port}", if *tls { "https" } else { "http" })
    }
}

impl Collector {
    pub(super) fn new(upstreams: Rc<Upstreams>, environment: TracingEnvironment) -> Self {
        Self {
            endpoint: endpoint(&TracingSettings::default(), &environment),
            upstreams,
            environment,
            upstream: None,
        }
    }

    /// Sends `message` to the collector of `settings`, and returns how many of its spans were rejected for good.
    ///
    /// # Errors
    /// If the spans were not taken.
    pub(super) async fn send(
        &mut self,
        message: &Bytes,
        settings: &TracingSettings,
        pool: &PoolSettings,
    ) -> Result<u64, ExportError> {
        let upstream = self.upstream(settings).map_err(ExportError::temporary)?;
        let bound = self.environment.timeout;
        let sent = tokio::time::timeout(bound, self.exchange(&upstream, message, pool)).await;
        let sent = sent.unwrap_or_else(|_| Err(ExportError::temporary("timed out")));
        if sent.is_err() {
            // The next attempt reads the authorities again, which may have been renewed.
            self.upstream = None;
        }
        sent
    }

    fn upstream(&mut self, settings: &TracingSettings) -> Result<Arc<Upstream>, String> {
        let endpoint = endpoint(settings, &self.environment);
        match &self.upstream {
            Some(upstream) if endpoint == self.endpoint => Ok(upstream.clone()),
            _ => {
                // If it cannot be used, no other one gets the spans.
                self.upstream = None;
                self.endpoint = endpoint;
                let tls = self.endpoint.tls.then(|| self.tls()).transpose()?;
                let name: Arc<str> = format!("collector {self}").into();
                let upstream = Arc::new(upstream(&self.endpoint, name, tls));
                self.upstream = Some(upstream.clone());
                Ok(upstream)
            }
        }
    }

    fn tls(&self) -> Result<Arc<UpstreamTls>, String> {
        let authorities = match &self.environment.authorities {
            None => Authorities::System,
            Some(path) => {
                let read = |error| format!("{}: {error}", path.display());
                let listed: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
                    .map_err(read)?
                    .collect::<Result<_, _>>()
                    .map_err(read)?;
                Authorities::Listed(listed.into())
            }
        };
        Ok(Arc::new(UpstreamTls {
            id: "collector".into(),
            client: None,
            authorities,
            verify: true,
            alternatives: Arc::default(),
            verify_depth: 10,
            server_name: self.endpoint.host.parse::<IpAddr>().is_err(),
            name: Some(self.endpoint.host.clone()),
            tls12: true,
            tls13: true,
            ciphers: Arc::default(),
            slot: Slot::default(),
        }))
    }

    async fn exchange(
        &self,
        upstream: &Arc<Upstream>,
        message: &Bytes,
        pool: &PoolSettings,
    ) -> Result<u64, ExportError> {
        let temporary =
            |error: crate::upstream::CallError| ExportError::temporary(error.to_string());
        let grpc = self.environment.protocol == Protocol::Grpc;
        let options = CallOptions {
            protocol: if grpc {
                HttpProtocol::Http2
            } else {
                HttpProtocol::Http11
            },
            security: match &upstream.tls {
                Some(tls) => Security::Tls(Some(tls)),
                None => Security::Plain,
            },
            connect_timeout: self.environment.timeout,
            ..CallOptions::default()
        };
        let (head, body) = self.request(message)?;
        let call = Call {
            target: self
                .upstreams
                .target(upstream, options.connect_timeout)
                .await
                .map_err(|_| ExportError::temporary("the name does not resolve"))?,
            head,
            body: Payload::bytes(body),
            options,
            pool,
            input: &NoClient,
        };
        let mut attempts = Attempts::default();
        let reply = self.upstreams.call(call, &mut attempts).await;
        let reply = reply.map_err(|error| {
            let fault = attempts.last().and_then(|attempt| attempt.fault.as_ref());
            let detail = fault.map(|fault| fault.detail.to_string());
            let detail = detail.filter(|detail| !detail.is_empty());
            detail.map_or_else(|| temporary(error), ExportError::temporary)
        })?;
        let (head, body) = reply.response.into_parts();
        let (content, trailers) = read(body).await?;
        if grpc {
            of_grpc(head.status, &head.headers, &trailers, &content)
        } else {
            of_http(head.status, &head.headers, &content)
        }
    }

    /// The head and the body of the request.
    fn request(&self, message: &Bytes) -> Result<(http::request::Parts, Bytes), ExportError> {
        let grpc = self.environment.protocol == Protocol::Grpc;
        let path = if grpc {
            EXPORT
        } else {
            self.endpoint.path.as_str()
        };
        let (host, port) = (&self.endpoint.host, self.endpoint.port);
        let host = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, AGENT);
        for (name, value) in &self.environment.headers {
            request = request.header(name, value);
        }
        let gzip = self.environment.gzip;
        let content = if gzip {
            compressed(message)?
        } else {
            message.clone()
        };
        let body = if grpc {
            request = request
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers");
            if gzip {
                request = request.header(&GRPC_ENCODING, "gzip");
            }
            frame(&content, gzip)
        } else {
            request = request.header(CONTENT_TYPE, "application/x-protobuf");
            if gzip {
                request = request.header(CONTENT_ENCODING, "gzip");
            }
            content
        };
        let request = request.body(());
        let request = request.map_err(|error| ExportError::temporary(error.to_string()))?;
        Ok((request.into_parts().0, body))
    }
}

/// The endpoint of the settings, else that of the environment, else one on this machine.
fn endpoint(settings: &TracingSettings, environment: &TracingEnvironment) -> Endpoint {
    let port = environment.protocol.port();
    let path = http::uri::PathAndQuery::from_static(Endpoint::PATH);
    match (&settings.collector, &environment.endpoint) {
        (Some(collector), _) => Endpoint {
            tls: collector.tls,
            host: collector.host.clone(),
            port: collector.port.unwrap_or(port),
            path,
        },
        (None, Some(endpoint)) => endpoint.clone(),
        (None, None) => Endpoint {
            tls: false,
            host: "localhost".into(),
            port,
            path,
        },
    }
}

fn upstream(endpoint: &Endpoint, name: Arc<str>, tls: Option<Arc<UpstreamTls>>) -> Upstream {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    Upstream {
        key: UpstreamKey::new(name.clone()),
        name: name.clone(),
        log_name: name,
        protocol: BackendProtocol::Http,
        tls,
        endpoints: match address(&host) {
            Some(address) => Endpoints::Addresses([SocketAddr::new(address, port)].into()),
            None => Endpoints::Name { host, port },
        },
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        resilience: Arc::default(),
        slot: Slot::default(),
    }
}

/// The address that `host` is. A name of DNS never resolves to this machine, but this one means it (RFC 6761 section 6.3).
fn address(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    host.parse().ok()
}

/// A message of gRPC: whether it is compressed, its length, and the message.
pub(super) fn frame(message: &[u8], compressed: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(compressed.into());
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

fn compressed(message: &[u8]) -> Result<Bytes, ExportError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(message).and_then(|()| encoder.finish());
    let written = written.map_err(|error| ExportError::temporary(error.to_string()))?;
    Ok(written.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_precede_the_environment() {
        let of_environment = TracingEnvironment::read(|name| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://env:5".to_owned())
        });
        let named = TracingSettings {
            collector: Some(headgate_table::Collector {
                tls: false,
                host: "named".into(),
                port: None,
            }),
            ..TracingSettings::default()
        };
        let none = TracingEnvironment::default();
        let http = TracingEnvironment::read(|name| {
            (name == "OTEL_EXPORTER_OTLP_PROTOCOL").then(|| "http/protobuf".to_owned())
        });
        let with_port = TracingSettings {
            collector: named
                .collector
                .clone()
                .map(|collector| headgate_table::Collector {
                    port: Some(4317),
                    ..collector
                }),
            ..TracingSettings::default()
        };
        for (settings, environment, expected) in [
            (&named, &of_environment, ("named", 4317)),
            (&TracingSettings::default(), &of_environment, ("env", 5)),
            (&TracingSettings::default(), &none, ("localhost", 4317)),
            (&named, &http, ("named", 4318)),
            (&with_port, &http, ("named", 4317)),
        ] {
            let endpoint = endpoint(settings, environment);
            assert_eq!((&*endpoint.host, endpoint.port), expected);
        }
    }
}
