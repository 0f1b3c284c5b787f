//! Secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::PrivateBytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Common, Kept, Kind, Name, Object, Uid, uid};

/// Keys of a Secret that are kept: a certificate with its key, and authorities.
const SECRET_KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The kept fields of a Secret.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub(crate) name: Name,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    data: SecretData,
    uid: Uid,
}

/// Values by key, for the kept keys.
type SecretData = Box<[(&'static str, PrivateBytes)]>;

impl Secret {
    /// The value of `tls.crt`, `tls.key` or `ca.crt`, unless it is absent or empty. No other key is kept.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.data.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.0.as_slice())
    }
}

impl Kept for Secret {
    const KIND: Kind = Kind::Secret;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Secret(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for Secret {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
}

impl From<v1::Secret> for Object {
    fn from(secret: v1::Secret) -> Self {
        let name = Name::of(&secret.metadata);
        let uid = uid(&secret.metadata);
        let mut data = secret.data.unwrap_or_default();
        // As the API server does when it stores a Secret: `stringData` replaces `data`.
        let strings = secret.string_data.into_iter().flatten();
        data.extend(strings.map(|(key, text)| (key, ByteString(text.into_bytes()))));
        let read = SECRET_KEYS.into_iter().filter_map(|key| {
            let value = data.remove(key).filter(|value| !value.0.is_empty())?;
            Some((key, PrivateBytes(value.0)))
        });
        Self::Secret(Arc::new(Secret {
            data: read.collect(),
            name,
            uid,
        }))
    }
}

fn write_secret<S: Serializer>(
    data: &[(&'static str, PrivateBytes)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        data.iter()
            .map(|(key, value)| (key, ByteString(value.0.clone()))),
    )
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretData, D::Error> {
    let mut data = BTreeMap::<String, ByteString>::deserialize(deserializer)?;
    let read = SECRET_KEYS
        .into_iter()
        .filter_map(|key| Some((key, PrivateBytes(data.remove(key)?.0))));
    Ok(read.collect())
}
