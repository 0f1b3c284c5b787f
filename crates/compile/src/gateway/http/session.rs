//! Session persistence of rules (gateway-api.md 3.14).

use std::sync::Arc;

use headgate_table::{Session, SessionCarrier};
use http::HeaderName;

use super::timing::duration;
use crate::gateway::condition::Problem;
use crate::objects::custom::SessionPersistence;
use crate::stable_hash;

/// The session of the rule `name`, with its `id`.
///
/// # Errors
/// A value that is not supported.
pub(in crate::gateway) fn session(
    spec: &SessionPersistence,
    id: Arc<str>,
    name: &str,
) -> Result<Session, Problem> {
    let timeout = spec.absolute_timeout.as_deref();
    let timeout = timeout
        .map(|text| duration("sessionPersistence.absoluteTimeout", text))
        .transpose()?
        .filter(|timeout| !timeout.is_zero());
    let default = || format!("session-{:08x}", stable_hash(name.bytes()));
    let name = spec.session_name.clone().unwrap_or_else(default);
    // The names of cookies have the same characters.
    let field = HeaderName::from_bytes(name.as_bytes());
    let field =
        field.map_err(|_| unsupported("sessionName", &name, "a token of letters and digits"))?;
    let carrier = match spec.kind.as_deref().unwrap_or("Cookie") {
        "Cookie" => SessionCarrier::Cookie {
            name: name.into(),
            permanent: is_permanent(spec)?,
        },
        "Header" => SessionCarrier::Field(field),
        other => return Err(unsupported("type", other, "Cookie or Header")),
    };
    let is_permanent = matches!(
        carrier,
        SessionCarrier::Cookie {
            permanent: true,
            ..
        }
    );
    if is_permanent && timeout.is_none() {
        let message = "sessionPersistence.absoluteTimeout is missing; a Permanent cookie needs it";
        return Err(Problem::new("UnsupportedValue", message));
    }
    Ok(Session {
        carrier,
        timeout,
        id,
    })
}

fn is_permanent(spec: &SessionPersistence) -> Result<bool, Problem> {
    let config = spec.cookie_config.as_ref();
    match config.and_then(|config| config.lifetime_type.as_deref()) {
        None | Some("Session") => Ok(false),
        Some("Permanent") => Ok(true),
        Some(other) => Err(unsupported(
            "cookieConfig.lifetimeType",
            other,
            "Session or Permanent",
        )),
    }
}

fn unsupported(field: &str, value: &str, right: &str) -> Problem {
    let value = value.escape_debug();
    Problem::new(
        "UnsupportedValue",
        format!("sessionPersistence.{field} \"{value}\" is not supported; it must be {right}"),
    )
}
