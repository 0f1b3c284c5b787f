//! Error pages of the default backend.

use http::StatusCode;

use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::registry::{keys, types};
use crate::ingress::settings;

keys! { Annotation {
    CUSTOM_HTTP_ERRORS: Vec<StatusCode> =
        annotation("custom-http-errors", types::CODES, "Responses with these status codes come from the default backend instead.")
            .setting(&settings::security::CUSTOM_HTTP_ERRORS).refuses().not_yet();
    DISABLE_PROXY_INTERCEPT_ERRORS: bool =
        annotation("disable-proxy-intercept-errors", types::BOOL,
            "With custom-http-errors: errors of the upstream itself pass unchanged.")
            .setting(&settings::security::DISABLE_PROXY_INTERCEPT_ERRORS).refuses().not_yet();
} }
