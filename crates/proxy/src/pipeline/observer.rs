//! Sees what steps decide, without a part in it: requests and explanations go through the same steps in the same order.

use std::sync::Arc;

use headgate_table::{Authorization, Credentials, ExternalAuth, Host};

use super::destination::Destination;
use super::scripted::Rewrites;
use super::{Routed, authorization, credentials, external_auth};
use crate::incoming::Incoming;
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

/// The steps whose outcome is not in the request and the table alone: they draw lots, count, compute for long, or ask others. A
/// request that is served takes them as they are; an explanation says what they depend on. When they are taken, and what follows
/// from them, is the same for both.
pub(super) trait Effects<B>: Observer<B> {
    /// Step 12: the destination.
    fn choose<'t>(
        &mut self,
        routed: &mut Routed<'_, 't, B>,
    ) -> Result<Destination<'t>, LocalResponse>;

    /// Step 13: counts the request.
    fn limit(&mut self, routed: &mut Routed<'_, '_, B>) -> Result<(), LocalResponse>;

    /// Of step 14: checks the user name and the password.
    async fn password(
        &mut self,
        routed: &mut Routed<'_, '_, B>,
        users: &Arc<Credentials>,
    ) -> Result<(), LocalResponse>;

    /// Of step 14: asks the authentication service.
    async fn service(
        &mut self,
        routed: &mut Routed<'_, '_, B>,
        service: &ExternalAuth,
    ) -> Result<(), LocalResponse>;

    /// Of step 14: asks the authorization service.
    async fn authorization(
        &mut self,
        routed: &mut Routed<'_, '_, B>,
        service: &Authorization,
    ) -> Result<(), LocalResponse>;
}

/// Nothing sees the steps of requests that are served, so they pay nothing for it.
pub(super) struct Unobserved;

impl<B> Observer<B> for Unobserved {}

impl Effects<Incoming> for Unobserved {
    fn choose<'t>(
        &mut self,
        routed: &mut Routed<'_, 't>,
    ) -> Result<Destination<'t>, LocalResponse> {
        routed.choose()
    }

    fn limit(&mut self, routed: &mut Routed<'_, '_>) -> Result<(), LocalResponse> {
        routed.limit()
    }

    async fn password(
        &mut self,
        routed: &mut Routed<'_, '_>,
        users: &Arc<Credentials>,
    ) -> Result<(), LocalResponse> {
        credentials::check(routed.exchange, &routed.context, users).await
    }

    async fn service(
        &mut self,
        routed: &mut Routed<'_, '_>,
        service: &ExternalAuth,
    ) -> Result<(), LocalResponse> {
        external_auth::check(routed.exchange, &routed.context, service).await
    }

    async fn authorization(
        &mut self,
        routed: &mut Routed<'_, '_>,
        service: &Authorization,
    ) -> Result<(), LocalResponse> {
        let (exchange, context) = (&mut *routed.exchange, &routed.context);
        authorization::check(exchange, context, service, &mut routed.body).await
    }
}

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

/// A step of a route.
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
    /// The client's address is on the list, or not.
    Addresses,
    /// The client's address is on the list, and that is enough (`satisfy: any`).
    Vouched,
    /// The user name and the password.
    Password,
}
