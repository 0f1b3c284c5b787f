//! Secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use headgate_table::PrivateBytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize as _;

use super::{Common, Kept, Kind, Name, Object, Uid, uid};

/// The kept fields of a Secret.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub(crate) name: Name,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    data: SecretData,
    uid: Uid,
}

/// Values by key, in the order of keys. All are kept, because the users of `auth-map` are keys. Secrets with the same data share
/// it: a wildcard certificate is often copied into every namespace.
type SecretData = Arc<[SecretEntry]>;

/// A key with its value.
pub(super) type SecretEntry = (Box<str>, PrivateBytes);

impl Secret {
    /// The value of `key`, unless it is absent or empty.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let mut entries = self.entries();
        let found = entries.find(|(name, value)| *name == key && !value.is_empty());
        found.map(|(_, value)| value)
    }

    /// Replaces the data by equal data.
    pub(super) fn share(&mut self, share: impl FnOnce(SecretData) -> SecretData) {
        self.data = share(self.data.clone());
    }

    /// `metadata.uid`: random, and unknown to clients. An object of a file has none.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// All keys with their values, which may be empty, in the order of keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let entries = self.data.iter();
        entries.map(|(name, value)| (&**name, value.0.as_slice()))
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
        // kubectl apply stores a copy of the whole object in an annotation.
        for (_, mut copy) in secret.metadata.annotations.into_iter().flatten() {
            copy.zeroize();
        }
        let mut data = private(secret.data.unwrap_or_default());
        // As the API server does when it stores a Secret: `stringData` replaces `data`.
        let strings = secret.string_data.into_iter().flatten();
        data.extend(strings.map(|(key, text)| (key.into(), PrivateBytes(text.into_bytes()))));
        Self::Secret(Arc::new(Secret {
            data: data.into_iter().collect(),
            name,
            uid,
        }))
    }
}

fn private(data: BTreeMap<String, ByteString>) -> BTreeMap<Box<str>, PrivateBytes> {
    let entries = data.into_iter();
    entries
        .map(|(key, value)| (key.into(), PrivateBytes(value.0)))
        .collect()
}

fn write_secret<S: Serializer>(
    data: &[(Box<str>, PrivateBytes)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(data.iter().map(|(key, value)| (key, Encoded(&value.0))))
}

/// Bytes in base64, as the API writes them; without a copy of them.
struct Encoded<'a>(&'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretData, D::Error> {
    let data = BTreeMap::deserialize(deserializer)?;
    Ok(private(data).into_iter().collect())
}
