//! Step 14 without its calls: addresses and passwords are checked, and a service is named instead of asked.

use headgate_table::{Authentication, Satisfy};
use http::StatusCode;
use http::header::AUTHORIZATION;

use super::Dry;
use super::stage::Announced;
use crate::explanation::StepResult;
use crate::pipeline::{Routed, access, credentials};
use crate::respond::LocalResponse;

/// As `access::check`, but the authentication service is taken to let the request pass.
///
/// # Errors
/// The response to a request that may not pass.
pub(super) fn check(
    dry: &mut Dry,
    routed: &mut Routed<'_, '_, Announced>,
) -> Result<(), LocalResponse> {
    let policy = routed.route.policy.clone();
    let authentication = policy.authentication.as_deref();
    let Some(authentication) = authentication else {
        return addresses(dry, routed);
    };
    match policy.satisfy {
        Satisfy::All => {
            addresses(dry, routed)?;
            if authentication.credentials.is_some()
                && let Some(checked) = password(dry, routed, authentication)
            {
                let of = (&mut *routed.exchange, &routed.context);
                let checked =
                    checked.map_err(|response| access::or_sign_in(response, authentication, of));
                dry.decided("password", checked, "")?;
            }
            service(dry, routed, authentication);
            Ok(())
        }
        Satisfy::Any => any(dry, routed, authentication),
    }
}

fn any(
    dry: &mut Dry,
    routed: &mut Routed<'_, '_, Announced>,
    authentication: &Authentication,
) -> Result<(), LocalResponse> {
    let client = routed.context.client();
    let access = routed.route.policy.access.as_ref();
    if access.is_some_and(|access| access.vouches_for(client)) {
        let detail = format!("{client} is allowed, which is enough (satisfy: any)");
        dry.push("addresses", StepResult::Passes, detail);
        return Ok(());
    }
    let mut refusal = None;
    if authentication.credentials.is_some() {
        match password(dry, routed, authentication) {
            None => return Ok(()),
            Some(Err(response @ LocalResponse::Unauthorized { .. })) => refusal = Some(response),
            Some(other) => {
                return dry.decided("password", other, "one check is enough (satisfy: any)");
            }
        }
    }
    if authentication.external.is_some() {
        service(dry, routed, authentication);
        return Ok(());
    }
    match refusal {
        Some(refusal) => dry.decided("password", Err(refusal), ""),
        None => addresses(dry, routed),
    }
}

fn addresses(dry: &mut Dry, routed: &Routed<'_, '_, Announced>) -> Result<(), LocalResponse> {
    let Some(access) = &routed.route.policy.access else {
        return Ok(());
    };
    let client = routed.context.client();
    let refused = LocalResponse::Page(StatusCode::FORBIDDEN);
    let (result, detail) = match access.admits(client) {
        true => (Ok(()), format!("{client} is allowed")),
        false => (Err(refused), format!("{client} is not allowed")),
    };
    dry.decided("addresses", result, &detail)
}

/// Checks the password of the request; nothing is remembered of it. `None`: the request has one, which must not be verified
/// here.
fn password(
    dry: &mut Dry,
    routed: &mut Routed<'_, '_, Announced>,
    authentication: &Authentication,
) -> Option<Result<(), LocalResponse>> {
    let users = authentication.credentials.as_ref()?;
    if !dry.verifies_passwords && routed.context.headers.contains_key(AUTHORIZATION) {
        let detail = "not checked here: the outcome depends on it".to_owned();
        dry.push("password", StepResult::Depends, detail);
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Some(Err(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE)));
    };
    let checked = credentials::check(routed.exchange, &routed.context, users);
    Some(runtime.block_on(checked))
}

fn service(dry: &mut Dry, routed: &Routed<'_, '_, Announced>, authentication: &Authentication) {
    let Some(service) = &authentication.external else {
        return;
    };
    let host = service.host.to_str().unwrap_or_default();
    let path = routed.context.evaluate(&service.path);
    let detail = format!("{host}{path} decides; it is not asked");
    dry.push("authentication service", StepResult::Depends, detail);
}
