//! Who may use a route: client addresses, then a user name and password, then the authentication service (behaviour.md 0.5,
//! step 14).

use headgate_table::{Authentication, Satisfy};
use http::StatusCode;

use super::exchange::Exchange;
use super::{credentials, external_auth};
use crate::request::Context;
use crate::respond::LocalResponse;

/// Why a request without a valid user name and password is refused.
const PASSWORD: &str = "authentication";

/// Checks a request by the policy of its route.
///
/// # Errors
/// The response to a request that may not pass: 403 for its address, else that of the authentication.
pub(super) async fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
) -> Result<(), LocalResponse> {
    let policy = &context.route.policy;
    match &policy.authentication {
        None => addresses(exchange, context),
        // Boxed, because a request without authentication must not pay for the size of this future.
        Some(authentication) => match policy.satisfy {
            Satisfy::All => Box::pin(all(exchange, context, authentication)).await,
            Satisfy::Any => Box::pin(any(exchange, context, authentication)).await,
        },
    }
}

async fn all(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    authentication: &Authentication,
) -> Result<(), LocalResponse> {
    addresses(exchange, context)?;
    if let Some(users) = &authentication.credentials {
        let checked = credentials::check(exchange, context, users).await;
        let checked =
            checked.map_err(|response| or_sign_in(response, authentication, (exchange, context)));
        exchange.because(PASSWORD, checked)?;
    }
    match &authentication.external {
        None => Ok(()),
        Some(service) => external_auth::check(exchange, context, service).await,
    }
}

/// The sign-in page of the authentication service, if it has one, instead of a 401 response to a missing or wrong password.
pub(super) fn or_sign_in(
    response: LocalResponse,
    authentication: &Authentication,
    (exchange, context): (&mut Exchange<'_>, &Context<'_>),
) -> LocalResponse {
    match (&response, &authentication.external) {
        (LocalResponse::Unauthorized { .. }, Some(service)) => {
            external_auth::or_sign_in(response, service, exchange, context)
        }
        _ => response,
    }
}

/// The first check that a request passes is enough. If it passes none, a 401 response takes precedence over 403, as it tells
/// the client what to do.
async fn any(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    authentication: &Authentication,
) -> Result<(), LocalResponse> {
    let access = context.route.policy.access.as_ref();
    if access.is_some_and(|access| access.vouches_for(context.client())) {
        return Ok(());
    }
    let mut refusal = None;
    if let Some(users) = &authentication.credentials {
        match credentials::check(exchange, context, users).await {
            Err(response @ LocalResponse::Unauthorized { .. }) => refusal = Some(response),
            passed_or_failed => return exchange.because(PASSWORD, passed_or_failed),
        }
    }
    let Some(service) = &authentication.external else {
        return match refusal {
            Some(refusal) => exchange.because(PASSWORD, Err(refusal)),
            None => addresses(exchange, context),
        };
    };
    match (
        external_auth::check(exchange, context, service).await,
        refusal,
    ) {
        (Err(LocalResponse::Page(StatusCode::FORBIDDEN)), Some(refusal)) => Err(refusal),
        (outcome, _) => outcome,
    }
}

fn addresses(exchange: &mut Exchange<'_>, context: &Context<'_>) -> Result<(), LocalResponse> {
    match &context.route.policy.access {
        Some(access) if !access.admits(context.client()) => {
            let refusal = Err(LocalResponse::Page(StatusCode::FORBIDDEN));
            exchange.because("access-list", refusal)
        }
        _ => Ok(()),
    }
}
