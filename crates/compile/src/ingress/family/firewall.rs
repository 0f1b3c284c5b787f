//! The web application firewall.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Protection, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    ENABLE_MODSECURITY: bool =
        annotation("enable-modsecurity", types::BOOL, "Web application firewall.")
            .setting(&settings::security::ENABLE_MODSECURITY).ingress().not_yet().protects(Protection::Routes);
    ENABLE_OWASP_CORE_RULES: bool =
        annotation("enable-owasp-core-rules", types::BOOL,
            "OWASP core rules; counts only with enable-modsecurity, which closes the route.")
            .setting(&settings::security::ENABLE_OWASP_MODSECURITY_CRS).ingress().not_yet();
    MODSECURITY_TRANSACTION_ID: String =
        annotation("modsecurity-transaction-id", types::spaced(Class::Variables), "Transaction id of the firewall.")
            .ingress().risk(Risk::High).not_yet();
    MODSECURITY_SNIPPET: String =
        annotation("modsecurity-snippet", types::RAW, "Raw rules of the firewall.")
            .setting(&settings::security::MODSECURITY_SNIPPET).ingress().risk(Risk::Critical).not_yet()
            .protects(Protection::Routes);
} }
