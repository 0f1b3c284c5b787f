//! Sees what steps decide, without a part in it: requests and explanations go through the same steps in the same order.

use headgate_table::Host;

use super::Routed;
use super::scripted::Rewrites;
use crate::respond::LocalResponse;

/// Sees the results of the steps of a request. They are passed on.
pub(super) trait Observer<B> {
    /// Called after a step of the host, before the route is known.
    fn decided_by_host<T>(
        &mut self,
        result: Result<T, LocalResponse>,
        _decision: HostDecision,
        _host: &Host,
    ) -> Result<T, LocalResponse> {
        result
    }

    /// Called after a step of the route.
    fn decided<T>(
        &mut self,
        result: Result<T, LocalResponse>,
        _decision: Decision,
        _routed: &Routed<'_, '_, B>,
    ) -> Result<T, LocalResponse> {
        result
    }

    /// Called when a script has led to another route.
    fn moved(&mut self, _routed: &Routed<'_, '_, B>) {}
}

/// Nothing sees the steps of requests that are served, so they pay nothing for it.
pub(super) struct Unobserved;

impl<B> Observer<B> for Unobserved {}

/// A step of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostDecision {
    ClientCertificate,
    BlockList,
    ClientSubject,
    Script,
    Redirect,
    AppRoot,
    BuiltIn,
}

/// A step of a route that the request alone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    BodySize,
    Closed,
    FinalSlash,
    Cors,
    Script,
    Redirect,
    Rewrite(Rewrites),
    Https,
}
