//! A request to explain, and the explanation of what would happen to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headgate_table::Route;
use http::{HeaderMap, Method, Uri};

use crate::upstream::ResolvedNames;

/// The request to explain.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// The method.
    pub method: Method,
    /// The URL, with scheme and host and without user information. The port of `http` and `https` may be left out; `tcp` and
    /// `udp` name the port of a TCP or UDP service.
    pub url: Uri,
    /// Further header fields. `Host` replaces the host of the URL in the request, but not in the TLS handshake.
    pub headers: HeaderMap,
    /// The address of the client.
    pub client: IpAddr,
    /// Whether endpoints may have loopback addresses.
    pub loopback: bool,
    /// The names that a running data plane has resolved. `None`: the endpoints of an ExternalName Service are not known.
    pub names: Option<ResolvedNames>,
    /// Whether a password of the request is verified. Where strangers can ask, it must not be: no limit slows guesses down.
    pub verifies_passwords: bool,
}

/// What would happen to a request.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// The listener that receives it.
    pub listener: Option<ChosenListener>,
    /// The host that serves it.
    pub host: Option<ChosenHost>,
    /// The path that is compared: decoded and normalised.
    pub path: String,
    /// The route.
    pub route: Option<Arc<Route>>,
    /// In the order in which they are decided; those without a configuration are left out.
    pub steps: Vec<Step>,
    /// How it ends.
    pub outcome: Outcome,
    /// The backends that may get it.
    pub backends: Vec<PossibleBackend>,
    /// Listeners, hosts and paths that could have served it.
    pub losers: Vec<Loser>,
}

/// The listener of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenListener {
    /// The address that it is bound to.
    pub address: SocketAddr,
    /// `http`, `https`, `tcp` or `udp`.
    pub scheme: &'static str,
}

/// The host of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenHost {
    /// As configured: `shop.example`, `*.shop.example` or `_`.
    pub name: Arc<str>,
    /// The name that the client sent, without port.
    pub requested: String,
    /// Why this host, in words.
    pub because: String,
    /// Its paths are regular expressions.
    pub is_regex: bool,
    /// The certificate of the handshake, if there is one: its Secret, or `default`.
    pub certificate: Option<Arc<str>>,
}

/// A step of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub result: StepResult,
    /// The configuration and the reason, in words.
    pub detail: String,
}

/// What a step decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// The request goes on.
    Passes,
    /// The step responds.
    Responds,
    /// It depends on others: on a count, or on a service that is not asked.
    Depends,
}

impl StepResult {
    /// For people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Responds => "responds",
            Self::Depends => "depends",
        }
    }
}

/// How a request ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// No listener receives it.
    #[default]
    NotReceived,
    /// It is forwarded to one of the backends.
    Forwarded {
        /// Path and query that the backend gets.
        target: String,
    },
    /// The proxy responds.
    Response {
        /// The status.
        status: u16,
        /// `Location` of a redirect.
        location: Option<String>,
        /// `grpc-status`, if a call of gRPC fails.
        grpc_status: Option<String>,
    },
    /// The TLS connection is passed through undecrypted to one of the backends.
    PassedThrough,
    /// The bytes of the connection, or the datagrams, are forwarded to one of the backends as they are.
    Streamed,
    /// The connection is closed without a response.
    Closed,
}

/// A backend that may get a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PossibleBackend {
    /// Its Service port, such as `shop/web/80`.
    pub name: Arc<str>,
    /// `primary`, `alternative`, `canary`, `fallback` or `default backend`.
    pub role: &'static str,
    /// Why it is chosen, or its share.
    pub because: String,
    /// The endpoints that may get it.
    pub endpoints: Vec<String>,
    /// How one of them is chosen.
    pub balance: String,
    /// Those of the endpoints that have failed, in words. Only a running data plane knows any.
    pub troubles: Vec<String>,
}

/// A listener, host or path that could have served a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// `listener`, `host` or `path`.
    pub kind: &'static str,
    /// Its name, its path with the type, or its scheme and address.
    pub name: String,
    /// The socket of a listener.
    pub address: Option<SocketAddr>,
    /// Kind, namespace and name of the object that a path is of; empty for others.
    pub object: String,
    /// The rule of the object that a path is of, as its field with its name; empty if there is none to name.
    pub rule: String,
    /// Why it does not serve.
    pub because: String,
}
