//! TLS towards the backend.

use std::sync::Arc;

use headgate_table as table;
use headgate_table::{Authorities, Certificate, Slot};
use rustls_pki_types::CertificateDer;

use crate::build::certificate;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::ciphers::Ciphers;
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{
    Class, NameRef, Reader, TlsVersions, When, differences, keys, types,
};
use crate::ingress::settings::Settings;
use crate::objects::Secret;
use crate::{Kind as ObjectKind, Name, ObjectRef};

keys! { Annotation {
    PROXY_SSL_SECRET: String =
        annotation("proxy-ssl-secret", types::chars(Class::Basic),
            "Secret namespace/name with the client certificate and CA for TLS to the backend.")
            .ingress().risk(Risk::Medium).refuses().names(ObjectKind::Secret)
            .differs(differences![
                When::Set =>
                    "Applies to the paths of its own Ingress; in ingress-nginx to the whole host, unless the ConfigMap has proxy-ssl-location-only.",
            ]);
    PROXY_SSL_VERIFY: bool =
        annotation("proxy-ssl-verify", types::ON_OFF, "Verifies the backend's certificate; needs proxy-ssl-secret.")
            .default("off").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_VERIFY_DEPTH: i64 =
        annotation("proxy-ssl-verify-depth", types::INT,
            "Longest chain of the backend's certificate; needs proxy-ssl-secret.")
            .default("1").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_SERVER_NAME: bool =
        annotation("proxy-ssl-server-name", types::ON_OFF,
            "Sends the name (SNI) to the backend; needs proxy-ssl-secret.")
            .default("off").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_NAME: String =
        annotation("proxy-ssl-name", types::chars(Class::Regex),
            "Name to verify and to send to the backend; needs proxy-ssl-secret.")
            .ingress().risk(Risk::High).needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_CIPHERS: String =
        annotation("proxy-ssl-ciphers", types::chars(Class::Ciphers),
            "Cipher suites for TLS 1.2 to the backend; needs proxy-ssl-secret.")
            .default("DEFAULT").ingress().risk(Risk::Medium).needs(&[PROXY_SSL_SECRET.row()])
            .differs(differences![
                When::Set =>
                    "Only suites of TLS 1.2 with ECDHE and AEAD; other members are skipped, with a finding.",
            ]);
    PROXY_SSL_PROTOCOLS: Vec<String> =
        annotation("proxy-ssl-protocols", types::LIST,
            "TLSv1.2, TLSv1.3 or both to the backend; needs proxy-ssl-secret.")
            .default("TLSv1.2").ingress().needs(&[PROXY_SSL_SECRET.row()]);
} }

/// TLS towards the backend. Without it an HTTPS or GRPCS backend is neither verified nor sent a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamTls {
    /// The Secret, with its namespace.
    pub(crate) secret: Name,
    /// Verify the backend's certificate against the Secret's `ca.crt`.
    pub(crate) verify: bool,
    /// Maximum length of the chain.
    pub(crate) verify_depth: u32,
    /// Send the name.
    pub(crate) server_name: bool,
    /// The name to send and verify; the upstream's own name when not set.
    pub(crate) name: Option<String>,
    pub(crate) versions: TlsVersions,
    /// TLS 1.2 suites by OpenSSL name; empty: all.
    pub(crate) ciphers: Vec<String>,
}

impl UpstreamTls {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self {
            secret: secret(reader)?,
            verify: reader.on(&PROXY_SSL_VERIFY),
            verify_depth: reader.positive_or_default(&PROXY_SSL_VERIFY_DEPTH),
            server_name: reader.on(&PROXY_SSL_SERVER_NAME),
            name: reader.get(&PROXY_SSL_NAME),
            versions: versions(reader),
            ciphers: ciphers(reader),
        })
    }

    /// The policy for an Ingress of `namespace`; its Secret is added to `uses`.
    ///
    /// # Errors
    /// Why TLS cannot be configured, as a message: the routes are closed.
    pub(crate) fn policy(
        &self,
        namespace: &str,
        inputs: &mut Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<Arc<table::UpstreamTls>, String> {
        let name = &self.secret;
        self.check_namespace(namespace, inputs.settings)?;
        uses.push(ObjectRef {
            kind: ObjectKind::Secret,
            name: name.clone(),
        });
        let secret = inputs.snapshot.get::<Secret>(name).cloned();
        let secret = secret.ok_or_else(|| format!("there is no Secret {name}"))?;
        let client = match secret.get("tls.crt") {
            None => None,
            Some(_) => Some(inputs.certificates.current(name, inputs.snapshot)?),
        };
        let authorities =
            authorities(&secret).map_err(|reason| format!("Secret {name} {reason}"))?;
        if self.verify && authorities.is_empty() {
            return Err(format!(
                "proxy-ssl-verify is on and Secret {name} has no ca.crt"
            ));
        }
        Ok(Arc::new(table::UpstreamTls {
            id: self.identity(client.as_deref(), &secret),
            client,
            authorities: Authorities::Listed(authorities),
            verify: self.verify,
            alternatives: Arc::default(),
            verify_depth: u8::try_from(self.verify_depth).unwrap_or(u8::MAX),
            server_name: self.server_name,
            name: self.name.as_deref().map(Arc::from),
            tls12: self.versions.tls12,
            tls13: self.versions.tls13,
            ciphers: self.ciphers.as_slice().into(),
            slot: Slot::default(),
        }))
    }

    fn check_namespace(&self, own: &str, settings: &Settings) -> Result<(), String> {
        if *self.secret.namespace == *own || settings.annotations.cross_namespace {
            return Ok(());
        }
        Err(format!(
            "Secret {} is in another namespace, which only allow-cross-namespace-resources permits",
            self.secret
        ))
    }

    /// Contains everything by which connections differ.
    fn identity(&self, client: Option<&Certificate>, secret: &Secret) -> Arc<str> {
        let fingerprint = client.map_or("", |client| &client.fingerprint);
        let trust = secret
            .get("ca.crt")
            .map(certificate::fingerprint)
            .unwrap_or_default();
        let id = format!(
            "{}#{fingerprint}#{trust}#{}#{}#{}#{}#{}#{}#{}",
            self.secret,
            self.verify,
            self.verify_depth,
            self.server_name,
            self.name.as_deref().unwrap_or_default(),
            self.versions.tls12,
            self.versions.tls13,
            self.ciphers.join(":"),
        );
        id.into()
    }
}

fn secret(reader: &mut Reader) -> Option<Name> {
    reader.parsed_or_close(&PROXY_SSL_SECRET, NameRef::full)
}

fn authorities(secret: &Secret) -> Result<Arc<[CertificateDer<'static>]>, String> {
    match secret.get("ca.crt").map(certificate::authorities) {
        None => Ok(Arc::default()),
        Some(Ok(authorities)) => Ok(authorities),
        Some(Err(reason)) => Err(reason.to_string().replacen("tls.crt", "ca.crt", 1)),
    }
}

/// The suites of the list; what the library lacks is reported.
fn ciphers(reader: &mut Reader) -> Vec<String> {
    let text = reader.text(&PROXY_SSL_CIPHERS);
    let text = text.filter(|text| *text != PROXY_SSL_CIPHERS.entry().default);
    let Some(list) = text.map(Ciphers::parse) else {
        return Vec::new();
    };
    if let Some(problem) = list.problem() {
        reader.warn(&PROXY_SSL_CIPHERS, problem);
    }
    list.names
}

fn versions(reader: &mut Reader) -> TlsVersions {
    const DEFAULT: TlsVersions = TlsVersions {
        tls12: true,
        tls13: false,
    };
    let text = reader.or_default(&PROXY_SSL_PROTOCOLS).join(" ");
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        let message = versions.unwrap_or(DEFAULT).not_offered(&unknown);
        reader.warn(&PROXY_SSL_PROTOCOLS, message);
    }
    versions.unwrap_or(DEFAULT)
}
