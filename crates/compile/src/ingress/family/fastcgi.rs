//! FastCGI backends.

use std::sync::Arc;

use headgate_table::{FastCgi, Template};

use super::proxy::BACKEND_PROTOCOL;
use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{Class, NameRef, Reader, keys, types};
use crate::objects::ConfigMap;
use crate::{Name, ObjectRef};

keys! { Annotation {
    FASTCGI_INDEX: String =
        annotation("fastcgi-index", types::chars(Class::FileName),
            "File that a path ending in a slash stands for, with FCGI.")
            .risk(Risk::Medium).refuses().needs(&[BACKEND_PROTOCOL.row()]);
    FASTCGI_PARAMS_CONFIGMAP: String =
        annotation("fastcgi-params-configmap", types::chars(Class::Basic),
            "ConfigMap with further parameters of a FastCGI backend.")
            .risk(Risk::Medium).refuses().names(ObjectKind::ConfigMap).needs(&[BACKEND_PROTOCOL.row()]);
} }

/// Parameters of FastCGI backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    index: Option<Arc<str>>,
    /// The ConfigMap with further ones.
    map: Option<NameRef>,
}

impl Params {
    /// `None` if there is neither an index nor a ConfigMap. A reference that cannot be one closes the routes.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let params = Self {
            index: reader.text(&FASTCGI_INDEX).map(Into::into),
            map: reader.parsed_or_close(&FASTCGI_PARAMS_CONFIGMAP, NameRef::parse),
        };
        (params.index.is_some() || params.map.is_some()).then_some(params)
    }

    /// The parameters for backends of an object of `namespace`; the ConfigMap is added to `uses`.
    ///
    /// # Errors
    /// Why the ConfigMap cannot be used, as a message: the routes are closed, because an application without its parameters may
    /// run another script.
    pub(crate) fn policy(
        &self,
        namespace: &str,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<Arc<FastCgi>, String> {
        let params = match &self.map {
            Some(map) => params(map, namespace, inputs, uses)?,
            None => Vec::new(),
        };
        Ok(Arc::new(FastCgi {
            index: self.index.clone(),
            params: params.into(),
        }))
    }
}

fn params(
    map: &NameRef,
    namespace: &str,
    inputs: &Inputs<'_>,
    uses: &mut Vec<ObjectRef>,
) -> Result<Vec<(Arc<str>, Template)>, String> {
    let name = Name::new(map.namespace_or(namespace), &map.name);
    if *name.namespace != *namespace && !inputs.settings.annotations.cross_namespace {
        return Err(format!(
            "ConfigMap {name} is in another namespace, which only allow-cross-namespace-resources permits"
        ));
    }
    uses.push(ObjectRef {
        kind: ObjectKind::ConfigMap,
        name: name.clone(),
    });
    let map = inputs.snapshot.get::<ConfigMap>(&name);
    let map = map.ok_or_else(|| format!("there is no ConfigMap {name}"))?;
    let param = |(key, text): (&String, &String)| {
        let value = value(key, text);
        let value = value.map_err(|reason| {
            let key = key.escape_debug();
            format!("ConfigMap {name}, {key}: {reason}")
        })?;
        Ok((Arc::from(key.as_str()), value))
    };
    map.data.iter().map(param).collect()
}

fn value(key: &str, text: &str) -> Result<Template, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if key.is_empty() || !key.bytes().all(is_name) {
        return Err("a name has only letters, digits, \".\", \"-\" and \"_\"".to_owned());
    }
    let is_value = |byte: u8| is_name(byte) || b"${}/".contains(&byte);
    if !text.bytes().all(is_value) {
        return Err("a value has only letters, digits and \".-_${}/\"".to_owned());
    }
    Template::parse(text).map_err(|error| error.to_string())
}
