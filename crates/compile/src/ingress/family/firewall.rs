//! The web application firewall, ModSecurity. There is none here, so what switches it on closes the routes, and what is read only
//! while it is on does nothing (behaviour.md 1.15).

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Protection, Reader, Unhonoured, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    ENABLE_MODSECURITY: bool =
        annotation("enable-modsecurity", types::BOOL, "Web application firewall; \"false\" exempts from the ConfigMap's.")
            .setting(&settings::security::ENABLE_MODSECURITY).ingress().not_yet().protects(Protection::Routes);
    ENABLE_OWASP_CORE_RULES: bool =
        annotation("enable-owasp-core-rules", types::BOOL,
            "OWASP core rules; counts only with enable-modsecurity, which closes the route.")
            .setting(&settings::security::ENABLE_OWASP_MODSECURITY_CRS).ingress().not_yet();
    MODSECURITY_TRANSACTION_ID: String =
        annotation("modsecurity-transaction-id", types::spaced(Class::Variables),
            "Transaction id of the firewall; counts only with enable-modsecurity.")
            .ingress().risk(Risk::High).not_yet();
    MODSECURITY_SNIPPET: String =
        annotation("modsecurity-snippet", types::RAW,
            "Raw rules of the firewall; closes the route above the allowed risk, else counts only with enable-modsecurity.")
            .setting(&settings::security::MODSECURITY_SNIPPET).ingress().risk(Risk::Critical).not_yet()
            .protects(Protection::Routes);
} }

/// Why the firewall closes routes.
pub(crate) const NO_FIREWALL: Unhonoured = Unhonoured {
    reason: "there is no web application firewall here",
    advice: std::borrow::Cow::Borrowed(
        "put one in front and write \"false\" to serve them without it",
    ),
};

/// Whether `row` holds rules of a firewall that is off for this Ingress, which is reported. An Ingress without the annotation
/// may have a firewall by the ConfigMap, which closes its routes anyway.
pub(crate) fn is_off(reader: &mut Reader, max_risk: Risk, row: &'static Annotation) -> bool {
    let off = row.entry == MODSECURITY_SNIPPET.row().entry
        && row.risk <= max_risk
        && !reader.on(&ENABLE_MODSECURITY);
    if off {
        reader.warn_entry(&row.entry, "ignored without enable-modsecurity: \"true\"");
    }
    off
}
