//! The settings of the data plane, with the header fields of the ConfigMaps that they refer to.

use headgate_table as table;
use headgate_table::{FieldTemplate, Phase, Template};
use http::{HeaderName, HeaderValue};

use crate::finding::{Finding, Severity, Subject};
use crate::ingress::registry::NameRef;
use crate::ingress::settings::Settings;
use crate::objects::ConfigMap;
use crate::{Kind, Name, ObjectRef, Options, Snapshot};

/// Settings of the data plane, with findings about the ConfigMaps that they refer to.
pub(crate) fn serving(
    settings: &Settings,
    snapshot: &Snapshot,
    options: &Options,
) -> (table::Settings, Vec<Finding>) {
    let mut maps = Maps {
        snapshot,
        options,
        findings: Vec::new(),
    };
    let maps_of = &settings.header_maps;
    let serving = table::Settings {
        request_headers: maps.request_headers(maps_of.proxy_set.as_ref()).into(),
        response_headers: maps.response_headers(maps_of.add.as_ref()).into(),
        health_path: options.health_path.clone(),
        error_pages: settings.errors.pages(options),
        ..settings.data_plane.clone()
    };
    (serving, maps.findings)
}

/// The ConfigMap as `namespace/name`; without a namespace, the one of the settings.
pub(crate) fn config_map_name(named: &NameRef, own: &str) -> Name {
    Name::new(named.namespace_or(own), &named.name)
}

/// A header field of a ConfigMap.
pub(crate) struct Header<'a> {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
    /// The value as written.
    text: &'a str,
}

/// The header fields of a ConfigMap, one per entry.
///
/// # Errors
/// The first entry that is not a valid header field, as a message.
pub(crate) fn headers(map: &ConfigMap) -> Result<Vec<Header<'_>>, String> {
    let data = map.data.iter();
    data.map(|(name, text)| {
        Ok(Header {
            name: HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("\"{}\" is not a header name", name.escape_debug()))?,
            value: HeaderValue::from_str(text)
                .map_err(|_| format!("the value of {name} holds a control character"))?,
            text,
        })
    })
    .collect()
}

/// Reads the ConfigMaps of header fields that the settings refer to.
struct Maps<'a> {
    snapshot: &'a Snapshot,
    options: &'a Options,
    findings: Vec<Finding>,
}

impl<'a> Maps<'a> {
    /// Header fields for backends, with variables.
    fn request_headers(&mut self, named: Option<&NameRef>) -> Vec<(HeaderName, Template)> {
        const KEY: &str = "proxy-set-headers";
        let mut list = Vec::new();
        for Header { name, text, .. } in self.headers(KEY, named) {
            match Template::parse(text) {
                Ok(value) => list.push((name, value)),
                Err(error) => self.report(KEY, format!("value of {name}: {error}; not sent")),
            }
        }
        list
    }

    /// Header fields for clients.
    fn response_headers(&mut self, named: Option<&NameRef>) -> Vec<(HeaderName, FieldTemplate)> {
        const KEY: &str = "add-headers";
        let mut list = Vec::new();
        for Header { name, value, .. } in self.headers(KEY, named) {
            match FieldTemplate::parse(&value, Phase::Response) {
                Ok(value) => list.push((name, value)),
                Err(error) => self.report(KEY, format!("value of {name}: {error}; not set")),
            }
        }
        list
    }

    fn headers(&mut self, key: &str, named: Option<&NameRef>) -> Vec<Header<'a>> {
        let Some(named) = named else {
            return Vec::new();
        };
        let own = self.options.settings.as_ref();
        let name = config_map_name(named, own.map_or("", |name| &name.namespace));
        let found = match self.snapshot.get::<ConfigMap>(&name) {
            Some(map) => headers(map),
            None => Err(format!("there is no ConfigMap {name}")),
        };
        found.unwrap_or_else(|reason| {
            self.report(key, format!("{reason}; no header is set"));
            Vec::new()
        })
    }

    fn report(&mut self, key: &str, message: String) {
        let finding = settings_finding(self.options, Severity::Error, key, message);
        self.findings.push(finding);
    }
}

/// A finding about a key of the settings' ConfigMap.
pub(crate) fn settings_finding(
    options: &Options,
    severity: Severity,
    key: &str,
    message: String,
) -> Finding {
    let name = options
        .settings
        .clone()
        .unwrap_or_else(|| Name::new("", "settings"));
    let subject = Subject::Object(ObjectRef {
        kind: Kind::ConfigMap,
        name,
    });
    Finding {
        severity,
        subject,
        field: format!("data.{key}").into(),
        message: message.into(),
    }
}
