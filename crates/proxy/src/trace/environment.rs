//! What the environment of the process says about traces: the variables of the OpenTelemetry specification.
//!
//! Sampling and batches are settings: their variables are not read, as the settings always have a value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::Propagators;

/// Bound on one export, if the environment names none.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The environment, read once.
#[derive(Clone, Debug)]
pub struct TracingEnvironment {
    /// `OTEL_SDK_DISABLED`, negated.
    pub(crate) enabled: bool,
    /// `OTEL_TRACES_EXPORTER` is not `none`.
    pub(crate) exports: bool,
    /// `OTEL_PROPAGATORS`
    pub(crate) propagators: Propagators,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`
    pub(crate) protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`
    pub(crate) endpoint: Option<Endpoint>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`; they may be secret.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`
    pub(crate) timeout: Duration,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION` is `gzip`.
    pub(crate) gzip: bool,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: the trusted authorities; `None`: those of the system.
    pub(crate) authorities: Option<PathBuf>,
    /// `OTEL_SERVICE_NAME`
    pub(crate) service: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`
    pub(crate) attributes: Vec<(String, String)>,
    /// What is wrong with variables, for the log.
    pub(crate) problems: Vec<String>,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, in Protobuf.
    Http,
}

impl Protocol {
    /// The port of collectors.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Grpc => 4317,
            Self::Http => 4318,
        }
    }
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Over HTTP.
    pub(crate) path: PathAndQuery,
}

impl Endpoint {
    /// The path of traces below the root.
    pub(crate) const PATH: &'static str = "/v1/traces";
}

impl Default for TracingEnvironment {
    /// An environment without any of the variables.
    fn default() -> Self {
        Self::read(|_| None)
    }
}

impl TracingEnvironment {
    /// Reads the variables by their names.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut reader = Reader {
            variable,
            problems: Vec::new(),
        };
        let protocol = reader.protocol();
        Self {
            enabled: !reader
                .get("OTEL_SDK_DISABLED")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
            exports: reader.exports(),
            propagators: reader.propagators(),
            protocol,
            endpoint: reader.endpoint(protocol),
            headers: reader.headers(),
            timeout: reader.timeout(),
            gzip: reader.gzip(),
            authorities: reader
                .of_exporter("CERTIFICATE")
                .map(|(_, path)| path.into()),
            service: reader.get("OTEL_SERVICE_NAME"),
            attributes: reader.attributes(),
            problems: reader.finish(),
        }
    }
}

struct Reader<F> {
    variable: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// An empty variable counts as absent.
    fn get(&self, name: &str) -> Option<String> {
        let text = (self.variable)(name)?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The variable for traces, else that for all signals, with its name.
    fn of_exporter(&self, suffix: &str) -> Option<(String, String)> {
        let name = |signal| format!("OTEL_EXPORTER_OTLP_{signal}{suffix}");
        let mut names = ["TRACES_", ""].into_iter().map(name);
        names.find_map(|name| self.get(&name).map(|text| (name, text)))
    }

    fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    fn finish(mut self) -> Vec<String> {
        for suffix in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((name, _)) = self.of_exporter(suffix) {
                self.problem(
                    &name,
                    "is not supported: the collector gets no client certificate",
                );
            }
        }
        self.problems
    }

    fn protocol(&mut self) -> Protocol {
        let Some((name, text)) = self.of_exporter("PROTOCOL") else {
            return Protocol::default();
        };
        match text.as_str() {
            "grpc" => Protocol::Grpc,
            "http/protobuf" => Protocol::Http,
            "http/json" => {
                self.problem(&name, "http/json is not supported; http/protobuf is used");
                Protocol::Http
            }
            _ => {
                self.problem(&name, "must be grpc or http/protobuf; grpc is used");
                Protocol::default()
            }
        }
    }

    fn exports(&mut self) -> bool {
        const NAME: &str = "OTEL_TRACES_EXPORTER";
        let Some(list) = self.get(NAME) else {
            return true;
        };
        let mut names = list.split(',').map(str::trim);
        if names.clone().any(|name| name == "otlp") {
            return true;
        }
        if names.any(|name| name != "none") {
            self.problem(NAME, "must be otlp or none; spans are not exported");
        }
        false
    }

    fn propagators(&mut self) -> Propagators {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(list) = self.get(NAME) else {
            return Propagators::default();
        };
        let mut chosen = Propagators::NONE;
        for name in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            match name {
                "tracecontext" => chosen.w3c = true,
                "b3" => chosen.b3 = true,
                "b3multi" => chosen.b3_multi = true,
                "baggage" | "none" => {}
                _ => {
                    let problem =
                        "knows tracecontext, baggage, b3, b3multi and none; others are left out";
                    self.problem(NAME, problem);
                }
            }
        }
        chosen
    }

    fn endpoint(&mut self, protocol: Protocol) -> Option<Endpoint> {
        let own = self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
        let (name, text) = self.of_exporter("ENDPOINT")?;
        let insecure = self.of_exporter("INSECURE");
        let insecure = insecure.is_some_and(|(_, text)| text.eq_ignore_ascii_case("true"));
        let endpoint = endpoint(&text, protocol, (insecure, own));
        if endpoint.is_none() {
            self.problem(
                &name,
                "must be a URL, such as http://otel-collector:4317; it is ignored",
            );
        }
        endpoint
    }

    fn headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let Some((variable, list)) = self.of_exporter("HEADERS") else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (name, value) in pairs(&list) {
            let name = name.and_then(|name| HeaderName::try_from(name).ok());
            let value = value.and_then(|value| HeaderValue::try_from(value).ok());
            match (name, value) {
                (Some(name), Some(mut value)) => {
                    value.set_sensitive(true);
                    headers.push((name, value));
                }
                // Not shown: it may be secret.
                _ => self.problem(
                    &variable,
                    "has a member that is not name=value; it is left out",
                ),
            }
        }
        headers
    }

    fn attributes(&mut self) -> Vec<(String, String)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let list = self.get(NAME).unwrap_or_default();
        let mut attributes = Vec::new();
        for pair in pairs(&list) {
            match pair {
                (Some(name), Some(value)) if !name.is_empty() => attributes.push((name, value)),
                _ => self.problem(NAME, "has a member that is not name=value; it is left out"),
            }
        }
        attributes
    }

    fn timeout(&mut self) -> Duration {
        let Some((name, text)) = self.of_exporter("TIMEOUT") else {
            return TIMEOUT;
        };
        let milliseconds = text.parse().ok().filter(|milliseconds| *milliseconds > 0);
        milliseconds.map_or_else(
            || {
                self.problem(&name, "must be a number of milliseconds; it is 10000");
                TIMEOUT
            },
            Duration::from_millis,
        )
    }

    fn gzip(&mut self) -> bool {
        let Some((name, text)) = self.of_exporter("COMPRESSION") else {
            return false;
        };
        if !matches!(text.as_str(), "gzip" | "none") {
            self.problem(&name, "must be gzip or none; nothing is compressed");
        }
        text == "gzip"
    }
}

/// The members of a list as the specification writes it: `name=value,…`, percent-encoded. A part is `None` where it is missing
/// or no text.
fn pairs(list: &str) -> impl Iterator<Item = (Option<String>, Option<String>)> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text.trim()).decode_utf8().ok();
        text.map(std::borrow::Cow::into_owned)
    };
    let members = list.split(',').filter(|member| !member.trim().is_empty());
    members.map(move |member| match member.split_once('=') {
        Some((name, value)) => (decoded(name), decoded(value)),
        None => (decoded(member), None),
    })
}

/// `insecure` applies to gRPC without a scheme, and to nothing else. `own`: the variable is that of traces alone, and names
/// the whole path.
fn endpoint(text: &str, protocol: Protocol, (insecure, own): (bool, bool)) -> Option<Endpoint> {
    let (tls, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        None if protocol == Protocol::Grpc => (!insecure, text),
        _ => return None,
    };
    let url: Uri = format!("http://{rest}").parse().ok()?;
    let authority = url.authority()?;
    let host = authority.host().trim_matches(['[', ']']);
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let written = rest.contains('/').then(|| url.path_and_query()).flatten();
    let base = written.map_or("", PathAndQuery::as_str);
    let path = match (own, base) {
        (true, "") => "/".to_owned(),
        (true, path) => path.to_owned(),
        (false, base) => format!("{}{}", base.trim_end_matches('/'), Endpoint::PATH),
    };
    Some(Endpoint {
        tls,
        host: host.into(),
        port: authority.port_u16().unwrap_or_else(|| protocol.port()),
        path: path.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
