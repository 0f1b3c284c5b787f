//! Tracing.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    ENABLE_OPENTELEMETRY: bool =
        annotation("enable-opentelemetry", types::BOOL, "Traces requests.")
            .setting(&settings::logs::ENABLE_OPENTELEMETRY).not_yet();
    OPENTELEMETRY_TRUST_INCOMING_SPAN: bool =
        annotation("opentelemetry-trust-incoming-span", types::BOOL, "Continues the client's trace.")
            .setting(&settings::logs::OPENTELEMETRY_TRUST_INCOMING_SPAN).not_yet();
    OPENTELEMETRY_OPERATION_NAME: String =
        annotation("opentelemetry-operation-name", types::chars(Class::Word), "Name of the span.")
            .setting(&settings::logs::OPENTELEMETRY_OPERATION_NAME).risk(Risk::Medium).refuses().not_yet();
} }
