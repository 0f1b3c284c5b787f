//! The steps that an explanation does not take: nothing is drawn, no request is counted, and a service is named instead of
//! asked. Only passwords are checked, if they may be.

use std::sync::Arc;

use headgate_table::{Authorization, AuthorizationProtocol, Credentials, ExternalAuth, Target};
use http::header::AUTHORIZATION;

use super::Dry;
use super::backends::{self, Refusal};
use super::stage::Announced;
use crate::explanation::StepResult;
use crate::pipeline::destination::Destination;
use crate::pipeline::observer::Effects;
use crate::pipeline::{Routed, credentials};
use crate::respond::LocalResponse;

impl Effects<Announced> for Dry {
    /// Notes all backends that may get the request; the first of them stands for the others in what follows.
    fn choose<'t>(
        &mut self,
        routed: &mut Routed<'_, 't, Announced>,
    ) -> Result<Destination<'t>, LocalResponse> {
        let found = backends::of_route(routed, &mut self.explanation);
        let is_default = matches!(routed.route.target, Target::DefaultBackend(_));
        match found {
            Ok(found) if is_default => self.decided("backend", Ok(found), "the default backend"),
            Ok(found) => Ok(found),
            Err(Refusal { share, response }) => {
                self.decided("backend", Err(response), share.unwrap_or_default())
            }
        }
    }

    fn limit(&mut self, routed: &mut Routed<'_, '_, Announced>) -> Result<(), LocalResponse> {
        let Some(limits) = &routed.route.policy.limits else {
            return Ok(());
        };
        if limits.exempt.contains(routed.context.client()) {
            let detail = format!("{} is exempt", routed.context.client());
            self.push("limits", StepResult::Passes, detail);
            return Ok(());
        }
        let rates = [&limits.per_second, &limits.per_minute];
        let rates = rates.into_iter().flatten().map(ToString::to_string);
        let connections = limits
            .connections
            .map(|max| format!("{max} requests in flight"));
        let detail: Vec<String> = rates.chain(connections).collect();
        let detail = format!("counted by client: {}", detail.join(", "));
        self.push("limits", StepResult::Depends, detail);
        Ok(())
    }

    /// Nothing is remembered of a check.
    async fn password(
        &mut self,
        routed: &mut Routed<'_, '_, Announced>,
        users: &Arc<Credentials>,
    ) -> Result<(), LocalResponse> {
        if self.leaves_password(routed) {
            let detail = "not checked here: the outcome depends on it".to_owned();
            self.push("password", StepResult::Depends, detail);
            return Ok(());
        }
        credentials::check(routed.exchange, &routed.context, users).await
    }

    /// The service is taken to let the request pass.
    async fn service(
        &mut self,
        routed: &mut Routed<'_, '_, Announced>,
        service: &ExternalAuth,
    ) -> Result<(), LocalResponse> {
        let host = service.host.to_str().unwrap_or_default();
        let path = routed.context.evaluate(&service.path);
        let detail = format!("{host}{path} decides; it is not asked");
        self.push("authentication service", StepResult::Depends, detail);
        Ok(())
    }

    /// As with the authentication service.
    async fn authorization(
        &mut self,
        routed: &mut Routed<'_, '_, Announced>,
        service: &Authorization,
    ) -> Result<(), LocalResponse> {
        let target = service.target.key();
        let asked = match &service.protocol {
            AuthorizationProtocol::Http { path, .. } => {
                format!("{target}{path}{}", routed.context.raw_target())
            }
            AuthorizationProtocol::Grpc { .. } => format!("{target}, by gRPC,"),
        };
        let detail = format!("{asked} decides; it is not asked");
        self.push("authorization service", StepResult::Depends, detail);
        Ok(())
    }
}

impl Dry {
    /// Whether the request has a password, which must not be verified here.
    pub(super) fn leaves_password(&self, routed: &Routed<'_, '_, Announced>) -> bool {
        !self.verifies_passwords && routed.context.headers.contains_key(AUTHORIZATION)
    }
}
