//! The lookup of the host and route of a request.

use std::borrow::Cow;

use headgate_table::{ConditionInput, HostBehaviour, Listener, PathMatch, RoutingTable};
use http::{HeaderName, Method};

use super::gateways;

/// A request with one header field and one query parameter.
pub(crate) struct Conditional {
    pub(crate) value: String,
}

impl Conditional {
    /// A request that no candidate demands.
    pub(crate) fn none() -> Self {
        Self {
            value: String::new(),
        }
    }
}

impl ConditionInput for Conditional {
    fn method(&self) -> &Method {
        &Method::GET
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        (*name == gateways::FIELD).then_some(Cow::Borrowed(self.value.as_bytes()))
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        (name == gateways::FIELD).then_some(Cow::Borrowed(&self.value))
    }
}

/// The length of the path of the route; zero: there is none.
pub(crate) fn find(
    listener: &Listener,
    host: &str,
    path: &[u8],
    request: &dyn ConditionInput,
) -> usize {
    let hosts = listener.hosts(None, host);
    let hosts = hosts.expect("a listener for http");
    match &hosts.find(host).behaviour {
        HostBehaviour::Routes { paths, .. } => match paths.find(path, request) {
            PathMatch::Route(route) if route.is_built_in() => 0,
            PathMatch::Route(route) | PathMatch::AddSlash(route) => route.path.len(),
            PathMatch::Undecided => 0,
        },
        HostBehaviour::Redirect { to } => to.len(),
    }
}

/// The listener of Ingresses, or the first one of Gateways.
pub(crate) fn listener(table: &RoutingTable, of_gateways: bool) -> &Listener {
    let mut listeners = table.listeners().iter();
    let found = listeners.find(|listener| {
        let hosts = listener.hosts(None, "");
        hosts.is_ok_and(|hosts| hosts.is_layered() == of_gateways)
    });
    found.expect("a listener")
}
