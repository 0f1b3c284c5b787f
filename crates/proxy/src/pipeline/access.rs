//! Who may use a route: client addresses, then a user name and password, then the authentication service (behaviour.md 0.5,
//! step 14).

use headgate_table::{Authentication, Satisfy};
use http::StatusCode;

use crate::request::Context;
use crate::respond::LocalResponse;

/// Checks a request by the policy of its route.
///
/// # Errors
/// The response to a request that may not pass: 403 for its address, else that of the authentication.
pub(super) async fn check(context: &Context<'_>) -> Result<(), LocalResponse> {
    let policy = &context.route.policy;
    let addresses = match &policy.access {
        Some(access) if !access.admits(context.client()) => {
            Err(LocalResponse::Page(StatusCode::FORBIDDEN))
        }
        _ => Ok(()),
    };
    let Some(authentication) = &policy.authentication else {
        return addresses;
    };
    let by_address = policy.access.is_some() && addresses.is_ok();
    match policy.satisfy {
        Satisfy::Any if by_address => Ok(()),
        Satisfy::Any => authenticate(context, authentication).await,
        Satisfy::All => {
            addresses?;
            authenticate(context, authentication).await
        }
    }
}

async fn authenticate(
    _context: &Context<'_>,
    _authentication: &Authentication,
) -> Result<(), LocalResponse> {
    Err(LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR))
}
