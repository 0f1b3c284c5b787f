//! Header fields of requests and responses.

use std::sync::Arc;

use headgate_table::{FieldTemplate, Phase};
use http::HeaderName;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{Class, NameRef, Reader, keys, parse_header_value, types};
use crate::ingress::serving::headers;
use crate::{ConfigMap, Kind as ObjectKind, Name, ObjectRef};

keys! { Annotation {
    UPSTREAM_VHOST: String =
        annotation("upstream-vhost", types::chars(Class::Regex), "Host header towards the backend, with variables.")
            .refuses();
    CUSTOM_HEADERS: String =
        annotation("custom-headers", types::chars(Class::Basic),
            "ConfigMap namespace/name of response headers, each allowed by global-allowed-response-headers.")
            .risk(Risk::Medium).closes().names(ObjectKind::ConfigMap);
} }

/// Header fields of requests and responses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Headers {
    /// Host towards the backend.
    pub(crate) upstream_vhost: Option<FieldTemplate>,
    /// ConfigMap with response headers.
    pub(crate) custom: Option<Name>,
}

impl Headers {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            upstream_vhost: upstream_vhost(reader),
            custom: custom_headers(reader),
        }
    }

    /// The response header fields of the ConfigMap, which is added to `uses`. Any namespace is allowed, as in ingress-nginx,
    /// because the operator restricts the names of fields.
    ///
    /// # Errors
    /// Why they cannot be set, as a message: the routes are closed rather than served without them.
    pub(crate) fn response(
        &self,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<Arc<[(HeaderName, FieldTemplate)]>, String> {
        let Some(name) = &self.custom else {
            return Ok(Arc::default());
        };
        uses.push(ObjectRef {
            kind: ObjectKind::ConfigMap,
            name: name.clone(),
        });
        let map = inputs.snapshot.get::<ConfigMap>(name);
        let map = map.ok_or_else(|| format!("there is no ConfigMap {name}"))?;
        let listed = headers(map).map_err(|reason| format!("ConfigMap {name}: {reason}"))?;
        // The comparison is case-sensitive, on the name as the ConfigMap spells it.
        let allowed = &inputs.settings.annotations.allowed_response_headers;
        let refused = map.data.keys().find(|key| !allowed.contains(key));
        if let Some(refused) = refused {
            return Err(format!(
                "header {refused} of ConfigMap {name} is not in global-allowed-response-headers"
            ));
        }
        // Literally: only values of the settings' own ConfigMaps may hold variables.
        let fields = listed.into_iter();
        Ok(fields
            .map(|header| (header.name, header.value.into()))
            .collect())
    }
}

/// A variable that does not exist leaves the annotation out: the client's host is sent.
fn upstream_vhost(reader: &mut Reader) -> Option<FieldTemplate> {
    let value = reader.parsed(&UPSTREAM_VHOST, parse_header_value)?;
    match FieldTemplate::parse(&value, Phase::Request) {
        Ok(template) => Some(template),
        Err(error) => {
            let message = format!("{error}; the client's host is sent");
            reader.error(&UPSTREAM_VHOST, message);
            None
        }
    }
}

/// Without a namespace the routes are closed, as for a ConfigMap that does not exist: the fields are mostly protecting ones.
fn custom_headers(reader: &mut Reader) -> Option<Name> {
    reader.parsed_or_close(&CUSTOM_HEADERS, NameRef::full)
}
