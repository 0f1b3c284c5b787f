//! Data that many objects have alike, stored once.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Object, SecretEntry};
use crate::build::interned::Interned;

/// The data of the Secrets in memory, by its hash: a wildcard certificate is often copied into every namespace.
#[derive(Default)]
pub struct SharedData {
    hasher: RandomState,
    secrets: Interned<[SecretEntry], u64>,
}

impl SharedData {
    /// Shares the data of an object with those that have the same. For a source, as the object arrives: one that others refer to
    /// already stays as it is.
    pub fn share(&mut self, object: &mut Object) {
        let Object::Secret(secret) = object else {
            return;
        };
        let Some(secret) = Arc::get_mut(secret) else {
            return;
        };
        let mut hasher = self.hasher.build_hasher();
        secret.entries().for_each(|entry| entry.hash(&mut hasher));
        secret.share(|data| self.secrets.share(hasher.finish(), data));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use k8s_openapi::api::core::v1;
    use serde_json::json;

    use super::*;
    use crate::{Kept as _, Secret};

    #[test]
    fn secrets_with_the_same_data_share_it() {
        let mut shared = SharedData::default();
        let mut secret = |name: &str, key: &str| {
            let secret = serde_json::from_value::<v1::Secret>(json!({
                "metadata": { "namespace": "shop", "name": name },
                "stringData": { "tls.crt": "certificate", "tls.key": key },
            }));
            let mut object = Object::from(secret.unwrap());
            shared.share(&mut object);
            Secret::of(&object).unwrap().clone()
        };
        let [one, same, other] =
            [("one", "1"), ("same", "1"), ("other", "2")].map(|(name, key)| secret(name, key));
        let key = |secret: &'_ Arc<Secret>| secret.get("tls.key").unwrap().as_ptr();
        assert_eq!(key(&one), key(&same));
        assert_eq!(other.get("tls.key").unwrap(), b"2");
    }
}
