//! Users and passwords of basic and digest authentication (behaviour.md 1.6); the entries of the registry are in
//! [`super::auth`].

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{BasicUsers, Credentials, DigestUsers, PrivateBytes, Users};
use http::HeaderValue;
use zeroize::Zeroizing;

use super::auth::{AUTH_REALM, AUTH_SECRET, AUTH_SECRET_TYPE, AUTH_TYPE};
use crate::build::certificate::fingerprint;
use crate::build::users::{Parsed, Reason, Unusable};
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{NameRef, OnInvalid, Reader, words};
use crate::objects::Secret;
use crate::{Kind as ObjectKind, Name, ObjectRef};

/// How the client proves that it knows the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic,
    Digest,
}

/// Where a Secret holds the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UserSource {
    /// A file under the key `auth`.
    #[default]
    File,
    /// Each key is a user, and its value the rest of the line.
    Map,
}

words! { Scheme {
    "basic" => Scheme::Basic,
    "digest" => Scheme::Digest,
} }

words! { UserSource {
    "auth-file" => UserSource::File,
    "auth-map" => UserSource::Map,
} }

/// Basic or digest authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PasswordAuth {
    scheme: Scheme,
    secret: NameRef,
    source: UserSource,
    realm: String,
}

/// What a policy is built with, and what is wrong with single lines of the Secret.
pub(crate) struct BuiltCredentials {
    pub(crate) credentials: Arc<Credentials>,
    /// Messages, none of which contains text of the Secret's values.
    pub(crate) warnings: Vec<String>,
}

impl PasswordAuth {
    /// `None` without `auth-type`, or if the routes are closed because the Secret is not named.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let scheme = reader.get(&AUTH_TYPE)?;
        let named = reader.text(&AUTH_SECRET).map(NameRef::parse);
        let secret = match named {
            Some(Ok(secret)) => secret,
            Some(Err(error)) => {
                reader.reject(&AUTH_SECRET, OnInvalid::Close, &error.to_string());
                return None;
            }
            None => {
                // An invalid value closes the routes by itself.
                if !reader.present(&AUTH_SECRET) {
                    let reason =
                        "there is no auth-secret, which must name the Secret with the users";
                    reader.reject(&AUTH_TYPE, OnInvalid::Close, reason);
                }
                return None;
            }
        };
        Some(Self {
            scheme,
            secret,
            source: reader.or_default(&AUTH_SECRET_TYPE),
            realm: reader.text(&AUTH_REALM).unwrap_or_default().to_owned(),
        })
    }

    /// The policy for an object of `namespace`; its Secret is added to `uses`.
    ///
    /// # Errors
    /// Why no user could log in, as a message: the routes are closed.
    pub(crate) fn policy(
        &self,
        namespace: &str,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<BuiltCredentials, String> {
        let name = Name::new(self.secret.namespace_or(namespace), &self.secret.name);
        if *name.namespace != *namespace && !inputs.settings.annotations.cross_namespace {
            return Err(format!(
                "Secret {name} is in another namespace, which only allow-cross-namespace-resources permits"
            ));
        }
        uses.push(ObjectRef {
            kind: ObjectKind::Secret,
            name: name.clone(),
        });
        let secret = inputs.snapshot.get::<Secret>(&name);
        let secret = secret.ok_or_else(|| format!("there is no Secret {name}"))?;
        let files = self.files(secret)?;
        let (users, mut warnings) = match self.scheme {
            Scheme::Basic => self.basic(&files, &name)?,
            Scheme::Digest => self.digest(&files, secret),
        };
        let prefix = |warning| format!("Secret {name}, {warning}");
        warnings = warnings.into_iter().map(prefix).collect();
        let credentials = Credentials {
            realm: self.realm.as_str().into(),
            identity: self.digest_of(&files, &[b"identity", name.to_string().as_bytes()]),
            users,
        };
        if credentials.is_empty() {
            warnings.push(format!(
                "Secret {name} has no user who can log in; every request gets 401"
            ));
        }
        Ok(BuiltCredentials {
            credentials: Arc::new(credentials),
            warnings,
        })
    }

    fn files<'s>(&self, secret: &'s Secret) -> Result<Files<'s>, String> {
        let files = match self.source {
            UserSource::File => {
                let Some(text) = secret.get("auth") else {
                    let name = &secret.name;
                    return Err(format!(
                        "Secret {name} has no key \"auth\"; it must hold a file made by htpasswd, or auth-secret-type must be auth-map"
                    ));
                };
                BTreeMap::from([("auth", Zeroizing::new(text.to_vec()))])
            }
            UserSource::Map => {
                let line = |key: &str, value: &[u8]| {
                    Zeroizing::new([key.as_bytes(), b":", value].concat())
                };
                let entries = secret.entries();
                entries
                    .map(|(key, value)| (key, line(key, value)))
                    .collect()
            }
        };
        Ok(files)
    }

    fn basic(&self, files: &Files<'_>, name: &Name) -> Result<(Users, Vec<String>), String> {
        let challenge = format!("Basic realm=\"{}\"", self.realm);
        let challenge = HeaderValue::try_from(challenge);
        let challenge = challenge
            .map_err(|_| format!("the realm for Secret {name} is no text of a header field"))?;
        let (parsed, warnings) = parse(files, |parsed, text| parsed.add_basic(text));
        Ok((
            Users::Basic(BasicUsers::new(challenge, parsed.users)),
            warnings,
        ))
    }

    fn digest(&self, files: &Files<'_>, secret: &Secret) -> (Users, Vec<String>) {
        let (parsed, warnings) = parse(files, |parsed, text| parsed.add_digest(text, &self.realm));
        // The random uid keeps clients from guessing the passwords: without it, a nonce could be compared with those of
        // guessed files. A Secret of a file has none.
        let uid = secret.uid();
        let nonce_key = uid.map(|uid| self.digest_of(files, &[b"nonce", uid.as_bytes()]));
        let users = DigestUsers {
            secrets: parsed.users,
            nonce_key,
        };
        (Users::Digest(users), warnings)
    }

    /// A digest of the users, the realm and `more`. Every part is preceded by its length.
    fn digest_of(&self, files: &Files<'_>, more: &[&[u8]]) -> PrivateBytes {
        let length = files.values().map(|file| file.len()).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        let mut add = |part: &[u8]| {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        };
        more.iter().copied().for_each(&mut add);
        add(format!("{:?}", self.scheme).as_bytes());
        add(self.realm.as_bytes());
        for (key, file) in files {
            add(key.as_bytes());
            add(file);
        }
        PrivateBytes(fingerprint(&text).into_bytes())
    }
}

/// Files of users by key of the Secret.
type Files<'s> = BTreeMap<&'s str, Zeroizing<Vec<u8>>>;

/// The users of all files, and the messages about lines that give none.
fn parse<T>(files: &Files<'_>, add: impl Fn(&mut Parsed<T>, &[u8])) -> (Parsed<T>, Vec<String>) {
    let mut parsed = Parsed::default();
    let mut unusable: BTreeMap<Reason, Vec<String>> = BTreeMap::new();
    for (key, text) in files {
        add(&mut parsed, text);
        for Unusable { line, reason } in parsed.unusable.drain(..) {
            let place = format!("key \"{key}\" line {line}");
            unusable.entry(reason).or_default().push(place);
        }
    }
    let messages = unusable.into_iter().map(|(reason, places)| {
        let reason = reason.as_str();
        format!("{}: {reason}; no user can log in by it", listed(&places))
    });
    (parsed, messages.collect())
}

/// The first few places.
fn listed(places: &[String]) -> String {
    const MOST: usize = 8;
    let shown: Vec<&str> = places.iter().take(MOST).map(String::as_str).collect();
    let more = places.len().saturating_sub(MOST);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!("{}{more}", shown.join(", "))
}
