//! Tracing.

use std::sync::Arc;

use headgate_table as table;
use headgate_table::Template;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, keys, types};
use crate::ingress::settings::TracingDefaults;
use crate::ingress::settings::tracing as settings;

keys! { Annotation {
    ENABLE_OPENTELEMETRY: bool =
        annotation("enable-opentelemetry", types::BOOL, "Traces requests.")
            .setting(&settings::ENABLE_OPENTELEMETRY);
    OPENTELEMETRY_TRUST_INCOMING_SPAN: bool =
        annotation("opentelemetry-trust-incoming-span", types::BOOL,
            "Continues the trace that a client names; otherwise each request begins one.")
            .setting(&settings::OPENTELEMETRY_TRUST_INCOMING_SPAN).needs(&[ENABLE_OPENTELEMETRY.row()]);
    OPENTELEMETRY_OPERATION_NAME: String =
        annotation("opentelemetry-operation-name", types::chars(Class::Word),
            "Name of the span of a request; by default the method and the path of the Ingress.")
            .setting(&settings::OPENTELEMETRY_OPERATION_NAME).risk(Risk::Medium).refuses()
            .needs(&[ENABLE_OPENTELEMETRY.row()]).unread_without(ENABLE_OPENTELEMETRY.row());
} }

/// Tracing of an Ingress, as far as its annotations say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tracing {
    enabled: Option<bool>,
    trusts_client: Option<bool>,
    name: Option<Template>,
}

impl Tracing {
    /// The others are read only if `enable-opentelemetry` is true here, whatever the settings say.
    pub(crate) fn read(reader: &Reader) -> Self {
        let enabled = reader.get(&ENABLE_OPENTELEMETRY);
        if enabled != Some(true) {
            return Self {
                enabled,
                ..Self::default()
            };
        }
        // The characters of a name leave no room for variables.
        let name = reader.text(&OPENTELEMETRY_OPERATION_NAME);
        Self {
            enabled,
            trusts_client: reader.get(&OPENTELEMETRY_TRUST_INCOMING_SPAN),
            name: name.map(Template::literal),
        }
    }

    pub(crate) fn policy(&self, defaults: &TracingDefaults) -> Option<Arc<table::Tracing>> {
        self.enabled.unwrap_or(defaults.enabled).then(|| {
            Arc::new(table::Tracing {
                trusts_client: self.trusts_client.unwrap_or(defaults.trusts_client),
                name: self.name.clone().or_else(|| defaults.name.clone()),
            })
        })
    }
}
