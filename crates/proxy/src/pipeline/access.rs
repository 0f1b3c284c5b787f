//! Who may use a route: client addresses, then a user name and password, then the authentication service (behaviour.md 0.5,
//! step 14).

use headgate_table::{Authentication, Satisfy};
use http::StatusCode;

use super::exchange::Exchange;
use super::observer::{Decision, Effects, Observer};
use super::{Routed, external_auth};
use crate::request::Context;
use crate::respond::LocalResponse;

/// Why a request without a valid user name and password is refused.
const PASSWORD: &str = "authentication";

/// Checks a request by the policy of its route.
///
/// # Errors
/// The response to a request that may not pass: 403 for its address, else that of the authentication.
pub(super) async fn check<B>(
    effects: &mut impl Effects<B>,
    routed: &mut Routed<'_, '_, B>,
) -> Result<(), LocalResponse> {
    let policy = &routed.route.policy;
    // Boxed, because a request without authentication must not pay for the size of these futures.
    match &policy.authentication {
        None => addresses(effects, routed)?,
        Some(authentication) => match policy.satisfy {
            Satisfy::All => Box::pin(all(effects, routed, authentication)).await?,
            Satisfy::Any => Box::pin(any(effects, routed, authentication)).await?,
        },
    }
    match &policy.authorization {
        None => Ok(()),
        Some(service) => Box::pin(effects.authorization(routed, service)).await,
    }
}

async fn all<B>(
    effects: &mut impl Effects<B>,
    routed: &mut Routed<'_, '_, B>,
    authentication: &Authentication,
) -> Result<(), LocalResponse> {
    addresses(effects, routed)?;
    if let Some(users) = &authentication.credentials {
        let checked = effects.password(routed, users).await;
        let of = (&mut *routed.exchange, &routed.context);
        let checked = checked.map_err(|response| or_sign_in(response, authentication, of));
        password(effects, routed, checked)?;
    }
    match &authentication.external {
        None => Ok(()),
        Some(service) => effects.service(routed, service).await,
    }
}

/// The sign-in page of the authentication service, if it has one, instead of a 401 response to a missing or wrong password.
fn or_sign_in(
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
async fn any<B>(
    effects: &mut impl Effects<B>,
    routed: &mut Routed<'_, '_, B>,
    authentication: &Authentication,
) -> Result<(), LocalResponse> {
    let access = routed.route.policy.access.as_ref();
    if access.is_some_and(|access| access.vouches_for(routed.context.client())) {
        return effects.decided(Ok(()), Decision::Vouched, routed);
    }
    let mut refusal = None;
    if let Some(users) = &authentication.credentials {
        match effects.password(routed, users).await {
            Err(response @ LocalResponse::Unauthorized { .. }) => refusal = Some(response),
            passed_or_failed => return password(effects, routed, passed_or_failed),
        }
    }
    let Some(service) = &authentication.external else {
        return match refusal {
            Some(refusal) => password(effects, routed, Err(refusal)),
            None => addresses(effects, routed),
        };
    };
    match (effects.service(routed, service).await, refusal) {
        (Err(LocalResponse::Page(StatusCode::FORBIDDEN)), Some(refusal)) => Err(refusal),
        (outcome, _) => outcome,
    }
}

fn password<B>(
    observer: &mut impl Observer<B>,
    routed: &mut Routed<'_, '_, B>,
    checked: Result<(), LocalResponse>,
) -> Result<(), LocalResponse> {
    let checked = routed.exchange.because(PASSWORD, checked);
    observer.decided(checked, Decision::Password, routed)
}

fn addresses<B>(
    observer: &mut impl Observer<B>,
    routed: &mut Routed<'_, '_, B>,
) -> Result<(), LocalResponse> {
    let Some(access) = &routed.route.policy.access else {
        return Ok(());
    };
    let checked = match access.admits(routed.context.client()) {
        true => Ok(()),
        false => Err(LocalResponse::Page(StatusCode::FORBIDDEN)),
    };
    let checked = routed.exchange.because("access-list", checked);
    observer.decided(checked, Decision::Addresses, routed)
}
