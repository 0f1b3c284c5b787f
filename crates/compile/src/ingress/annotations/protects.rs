//! Closes the routes of an Ingress that asks for a protection we can't give yet.

use super::Policy;
use crate::ingress::annotations::{Reader, Support, Value, all};

const REASON: &str = "protects the route and is not honoured yet";

/// Denies the Ingress for every protecting annotation that is switched on.
pub(super) fn close(reader: &mut Reader, policy: &Policy<'_>) {
    for entry in all().filter(|entry| entry.support == Support::Protects) {
        let Some(value) = reader.value(entry.name) else {
            continue;
        };
        if *value == Value::Bool(false) {
            continue;
        }
        match entry.name {
            "auth-tls-secret" if reader.text("auth-tls-verify-client") == Some("off") => {
                reader.info(entry.name, "switched off by auth-tls-verify-client");
            }
            "ssl-passthrough" if !policy.ssl_passthrough => {
                reader.warn(entry.name, "ignored: it needs --enable-ssl-passthrough");
            }
            name => reader.close(name, None, REASON),
        }
    }
    // Nothing that speaks HTTP would get a sensible answer from a FastCGI backend.
    if reader.text("backend-protocol") == Some("FCGI") {
        reader.close("backend-protocol", None, "FCGI is not honoured yet");
    }
}
