//! Client certificates. They apply to whole hosts: what cannot be honoured refuses every client of the host with 403.

use std::sync::{Arc, LazyLock};

use headgate_table::{ClientDemand, ClientRules, ClientTrust, Pattern, Slot};
use http::HeaderValue;
use regex::Regex;

use crate::build::certificate::{self, fingerprint};
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{
    Class, Key, NameRef, OnInvalid, Reader, When, differences, keys, types, words,
};
use crate::objects::Secret;
use crate::{Kind as ObjectKind, Name, ObjectRef};

/// Why policies of routes and Gateways cannot have these.
const OF_GATEWAYS: &str =
    "client certificates are for whole listeners; Gateways have spec.tls.frontend";

keys! { Annotation {
    AUTH_TLS_SECRET: String =
        annotation("auth-tls-secret", types::chars(Class::Basic),
            "Requires client certificates of the CA in this Secret, namespace/name with ca.crt and perhaps ca.crl.")
            .risk(Risk::Medium).refuses().names(ObjectKind::Secret)
            .differs(differences![
                When::Sometimes =>
                    "With a Secret without ca.crt the whole host responds with 403; ingress-nginx serves it without client certificates.",
            ])
            .only_of_ingresses(OF_GATEWAYS);
    AUTH_TLS_VERIFY_CLIENT: ClientDemand =
        annotation("auth-tls-verify-client", types::one_of::<ClientDemand>(),
            "Who needs a valid certificate; with off, none is requested.")
            .default("on").risk(Risk::Medium).needs(&[AUTH_TLS_SECRET.row()])
            .only_of_ingresses(OF_GATEWAYS);
    AUTH_TLS_VERIFY_DEPTH: i64 =
        annotation("auth-tls-verify-depth", types::INT,
            "Maximum number of intermediate certificates; 0 is 1.")
            .default("1").needs(&[AUTH_TLS_SECRET.row()])
            .only_of_ingresses(OF_GATEWAYS);
    AUTH_TLS_ERROR_PAGE: String =
        annotation("auth-tls-error-page", types::chars(Class::ErrorPage),
            "URL that a client without a valid certificate is redirected to.")
            .risk(Risk::High).refuses().needs(&[AUTH_TLS_SECRET.row()])
            .differs(differences![
                When::Starts(&["/", "@"]) =>
                    "A path or @name gives the page of 400; in ingress-nginx an internal redirect, past the check.",
            ])
            .only_of_ingresses(OF_GATEWAYS);
    AUTH_TLS_PASS_CERTIFICATE_TO_UPSTREAM: bool =
        annotation("auth-tls-pass-certificate-to-upstream", types::BOOL,
            "Passes the client certificate to the backend in ssl-client-cert.")
            .default("false").refuses().needs(&[AUTH_TLS_SECRET.row()])
            .only_of_ingresses(OF_GATEWAYS);
    AUTH_TLS_MATCH_CN: String =
        annotation("auth-tls-match-cn", types::COMMON_NAME,
            "Regex that is searched in the subject of the client certificate; without a match, 403.")
            .risk(Risk::High).refuses()
            .differs(differences![
                When::Without("auth-tls-secret") =>
                    "Without auth-tls-secret the whole host responds with 403; ingress-nginx ignores the annotation.",
            ])
            .only_of_ingresses(OF_GATEWAYS);
} }

/// The consequence in the message of a finding.
const CONSEQUENCE: &str = "every request for its hosts gets 403";

words! { ClientDemand {
    "on" => ClientDemand::On,
    "off" => ClientDemand::Off,
    "optional" => ClientDemand::Optional,
    "optional_no_ca" => ClientDemand::OptionalNoCa,
} }

/// Rules for the client certificates of the hosts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClientCertificates {
    /// As configured.
    Rules(Box<Configured>),
    /// They cannot be honoured.
    Broken {
        /// The annotation that is wrong.
        annotation: &'static str,
        /// Why.
        reason: Arc<str>,
    },
}

/// What the annotations configure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Configured {
    /// The Secret with the authorities, with its namespace.
    secret: Name,
    demand: ClientDemand,
    depth: u32,
    error_page: Option<HeaderValue>,
    pass_certificate: bool,
    subject: Option<Subject>,
}

/// An expression for subjects; equal by its text.
#[derive(Debug, Clone)]
struct Subject(Pattern);

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.0.source() == other.0.source()
    }
}

impl ClientCertificates {
    /// The expression for subjects.
    pub(crate) fn expression(&self) -> Option<&Pattern> {
        match self {
            Self::Rules(configured) => configured.subject.as_ref().map(|subject| &subject.0),
            Self::Broken { .. } => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let subject = subject(reader);
        let Some(text) = reader.get(&AUTH_TLS_SECRET) else {
            let key = &AUTH_TLS_MATCH_CN;
            return subject.map(|_| broken(key, "it needs auth-tls-secret"));
        };
        let secret = match NameRef::full(&text) {
            Ok(secret) => secret,
            Err(reason) => return Some(broken(&AUTH_TLS_SECRET, reason.to_string())),
        };
        Some(Self::Rules(Box::new(Configured {
            secret,
            demand: reader
                .get(&AUTH_TLS_VERIFY_CLIENT)
                .unwrap_or(ClientDemand::On),
            depth: depth(reader),
            error_page: error_page(reader),
            pass_certificate: reader.on(&AUTH_TLS_PASS_CERTIFICATE_TO_UPSTREAM),
            subject,
        })))
    }

    /// The rules for an object of `namespace`; their Secret is added to `uses`.
    ///
    /// # Errors
    /// Why they cannot be honoured; the text is for a finding.
    pub(crate) fn rules(
        &self,
        namespace: &str,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<ClientRules, Arc<str>> {
        match self {
            Self::Rules(configured) => configured.rules(namespace, inputs, uses).map_err(Arc::from),
            Self::Broken { reason, .. } => Err(reason.clone()),
        }
    }

    /// The annotation that a finding about them is at.
    pub(crate) fn annotation(&self) -> &'static str {
        match self {
            Self::Rules(_) => AUTH_TLS_SECRET.entry().name,
            Self::Broken { annotation, .. } => annotation,
        }
    }

    /// The message of a finding about `reason`.
    pub(crate) fn message(reason: &str) -> String {
        format!("{reason}; {CONSEQUENCE}")
    }
}

impl Configured {
    fn rules(
        &self,
        namespace: &str,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<ClientRules, String> {
        let name = &self.secret;
        if *name.namespace != *namespace && !inputs.settings.annotations.cross_namespace {
            return Err(format!(
                "Secret {name} is in another namespace, which only allow-cross-namespace-resources permits"
            ));
        }
        uses.push(ObjectRef {
            kind: ObjectKind::Secret,
            name: name.clone(),
        });
        let secret = inputs.snapshot.get::<Secret>(name);
        let secret = secret.ok_or_else(|| format!("there is no Secret {name}"))?;
        let trust = self.trust(secret);
        Ok(ClientRules {
            source: name.to_string().into(),
            trust: trust.map_err(|reason| format!("Secret {name} {reason}"))?,
            demand: self.demand,
            error_page: self.error_page.clone(),
            pass_certificate: self.pass_certificate,
            subject: self.subject.as_ref().map(|subject| subject.0.clone()),
            slot: Slot::default(),
        })
    }

    fn trust(&self, secret: &Secret) -> Result<ClientTrust, String> {
        let bundle = secret.get("ca.crt");
        let bundle = bundle.ok_or("has no ca.crt with the CA of client certificates")?;
        let authorities = certificate::authorities(bundle);
        let authorities =
            authorities.map_err(|reason| reason.to_string().replacen("tls.crt", "ca.crt", 1))?;
        let lists = secret.get("ca.crl");
        let revocations = lists.map_or_else(|| Ok(Arc::default()), certificate::revocations)?;
        let digest = |bytes: Option<&[u8]>| bytes.map(fingerprint).unwrap_or_default();
        Ok(ClientTrust {
            id: format!("{}#{}#{}", digest(Some(bundle)), digest(lists), self.depth).into(),
            authorities,
            revocations,
            depth: self.depth,
        })
    }
}

fn broken<T>(key: &Key<T, Annotation>, reason: impl Into<Arc<str>>) -> ClientCertificates {
    ClientCertificates::Broken {
        annotation: key.entry().name,
        reason: reason.into(),
    }
}

/// The expression behind `CN=`, which itself is part of it. One that does not compile refuses the object.
fn subject(reader: &mut Reader) -> Option<Subject> {
    let text = reader.text(&AUTH_TLS_MATCH_CN)?;
    match Pattern::new(text) {
        Ok(pattern) => Some(Subject(pattern)),
        Err(error) => {
            let reason = format!("not a regular expression: {error}");
            reader.reject(&AUTH_TLS_MATCH_CN, OnInvalid::RefuseIngress, &reason);
            None
        }
    }
}

fn depth(reader: &mut Reader) -> u32 {
    match reader.count_or_default(&AUTH_TLS_VERIFY_DEPTH) {
        0 => 1,
        depth => depth,
    }
}

/// `Location` for a client without a valid certificate. A path or a named location of nginx is reported: the page of status
/// 400 serves, because the client may see nothing of this host.
fn error_page(reader: &mut Reader) -> Option<HeaderValue> {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let form =
            r"^(@[A-Za-z0-9_-]+|((https?://)?[A-Za-z0-9\-.]+(:\d+)?)?(/[A-Za-z0-9\-_.]+)*/?)$";
        Regex::new(form).ok()
    });
    let text = reader.get(&AUTH_TLS_ERROR_PAGE)?;
    let is_valid = FORM.as_ref().is_some_and(|form| form.is_match(&text));
    let value = HeaderValue::from_str(&text).ok().filter(|_| is_valid);
    let Some(value) = value else {
        let reason = "not a URL without query, a path or @name";
        reader.reject(&AUTH_TLS_ERROR_PAGE, OnInvalid::RefuseIngress, reason);
        return None;
    };
    if text.starts_with(['/', '@']) {
        let reason = "only a URL can be the target; the client gets the page of status 400";
        reader.warn(&AUTH_TLS_ERROR_PAGE, reason);
        return None;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::ingress::annotations::{DEFAULT_PREFIX, IngressAnnotations, Rules};

    fn parse(pairs: &[(&str, &str)]) -> IngressAnnotations {
        let named = |(name, value): &(&str, &str)| {
            (format!("{DEFAULT_PREFIX}/{name}"), (*value).to_owned())
        };
        IngressAnnotations::parse(&Rules::default(), &pairs.iter().map(named).collect())
    }

    fn configured(pairs: &[(&str, &str)]) -> Configured {
        match parse(pairs).client_certificates.map(|boxed| *boxed) {
            Some(ClientCertificates::Rules(configured)) => *configured,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_alone_demands_certificates_of_everybody() {
        let rules = configured(&[("auth-tls-secret", "shop/ca")]);
        assert_eq!(rules.secret, Name::new("shop", "ca"));
        assert_eq!((rules.demand, rules.depth), (ClientDemand::On, 1));
        assert_eq!((rules.error_page, rules.pass_certificate), (None, false));
        assert!(rules.subject.is_none());
    }

    #[test]
    fn every_annotation_reaches_its_rule() {
        let rules = configured(&[
            ("auth-tls-secret", "shop/ca"),
            ("auth-tls-verify-client", "optional_no_ca"),
            ("auth-tls-verify-depth", "3"),
            ("auth-tls-error-page", "https://help.example/certificates"),
            ("auth-tls-pass-certificate-to-upstream", "true"),
            ("auth-tls-match-cn", "CN=(alice|bob)"),
        ]);
        assert_eq!((rules.demand, rules.depth), (ClientDemand::OptionalNoCa, 3));
        assert_eq!(
            rules.error_page.unwrap(),
            "https://help.example/certificates"
        );
        assert!(rules.pass_certificate);
        assert!(rules.subject.unwrap().0.is_match(b"CN=bob,O=x"));
    }

    #[test]
    fn unknown_demands_and_depths_are_the_defaults() {
        for (name, value) in [
            ("auth-tls-verify-client", "maybe"),
            ("auth-tls-verify-depth", "0"),
            ("auth-tls-verify-depth", "-1"),
        ] {
            let rules = configured(&[("auth-tls-secret", "shop/ca"), (name, value)]);
            assert_eq!(
                (rules.demand, rules.depth),
                (ClientDemand::On, 1),
                "{value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_broken_or_refused_and_never_absent() {
        for pairs in [
            &[("auth-tls-secret", "ca")][..],
            &[("auth-tls-secret", "a/b/c")],
            &[("auth-tls-match-cn", "CN=a")],
        ] {
            let parsed = parse(pairs);
            let certificates = parsed.client_certificates.unwrap();
            let is_broken = matches!(*certificates, ClientCertificates::Broken { .. });
            assert!(is_broken, "{pairs:?}");
        }
        for (name, value) in [
            ("auth-tls-secret", "a b"),
            ("auth-tls-match-cn", "admin"),
            ("auth-tls-match-cn", "CN=("),
            ("auth-tls-error-page", "https://a.example/?x=1"),
            ("auth-tls-error-page", "http://"),
            ("auth-tls-pass-certificate-to-upstream", "yes"),
        ] {
            let parsed = parse(&[("auth-tls-secret", "shop/ca"), (name, value)]);
            assert!(parsed.refused.is_some(), "{name} {value}");
        }
    }

    #[test]
    fn paths_and_named_locations_are_no_error_pages() {
        for page in ["/error", "@named"] {
            let pairs = [
                ("auth-tls-secret", "shop/ca"),
                ("auth-tls-error-page", page),
            ];
            assert_eq!(configured(&pairs).error_page, None);
            assert_eq!(parse(&pairs).problems.len(), 1);
        }
    }
}
