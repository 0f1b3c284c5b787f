//! Secrets of every kind, valid and broken, and the search for any part of them in what the program shows.

use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Issued};
use serde_json::{Value, json};

/// Bytes of a secret that are searched for in encodings in which it may be cut: a part as long as this is a leak.
const PART: usize = 12;

/// Text that must appear nowhere, with the name of the secret that it is a part of.
#[derive(Default)]
pub(crate) struct Leaks(Vec<(String, String)>);

impl Leaks {
    /// A new secret text.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let random = |number: u8| RandomState::new().hash_one(number);
        let text = format!("{:016x}{:016x}", random(1), random(2));
        self.add(name, text.as_bytes());
        text
    }

    /// Adds the private key of a certificate.
    pub(crate) fn key(&mut self, name: &str, issued: &Issued) {
        let body = issued.key.lines().filter(|line| !line.starts_with('-'));
        for line in body.clone() {
            self.add(name, line.as_bytes());
        }
        // The public key at the end of it is also in the certificate. Before it, 7 bytes of P-256 keys are the same.
        let der = STANDARD.decode(body.collect::<String>()).unwrap();
        self.add(name, &der[36..68]);
    }

    /// Adds a secret: as it is, and in base64 wherever it begins, hexadecimal and decimal numbers.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        let mut add = |text: String| self.0.push((name.to_owned(), text));
        if let Ok(text) = std::str::from_utf8(secret) {
            add(text.to_owned());
        }
        for start in 0..3 {
            let rest = &secret[start..];
            add(STANDARD.encode(&rest[..rest.len() / 3 * 3]));
        }
        for part in secret.chunks_exact(PART) {
            add(part.iter().map(|byte| format!("{byte:02x}")).collect());
            add(part.iter().map(|byte| format!("{byte:02X}")).collect());
            let decimal: Vec<_> = part.iter().map(u8::to_string).collect();
            add(decimal.join(", "));
            add(decimal.join(","));
        }
    }

    /// Asserts that nothing of a secret is in `text`.
    #[track_caller]
    pub(crate) fn assert_none(&self, place: &str, text: &str) {
        assert!(!text.is_empty(), "{place} is empty");
        for (name, part) in &self.0 {
            let at = text.find(part.as_str());
            let shown = at.map(|at| text[..at].lines().last().unwrap_or_default());
            assert!(at.is_none(), "{place} shows {name}: {shown:?} {part:?}");
        }
    }
}

/// Secrets of every kind and Ingresses that use them, all for the backend `web`. Host and Secret have the same name.
pub(crate) struct Site {
    pub(crate) leaks: Leaks,
    pub(crate) objects: Vec<Value>,
    /// The password of alice at the hosts `plain.test` and `map.test`.
    pub(crate) password: String,
    /// A certificate of `good.test`.
    pub(crate) authority: Authority,
}

impl Site {
    /// The Ingresses refer to Secrets of this namespace, where their objects are created.
    pub(crate) fn new(namespace: &str) -> Self {
        let mut leaks = Leaks::default();
        let password = leaks.text("password");
        let mut site = Self {
            leaks,
            objects: Vec::new(),
            password,
            authority: Authority::new(),
        };
        site.certificates();
        site.users();
        site.others(namespace);
        site
    }

    fn issue(&mut self, name: &str) -> Issued {
        let issued = self.authority.issue(&[name]);
        self.leaks.key(name, &issued);
        issued
    }

    fn certificates(&mut self) {
        let good = self.issue("good");
        let other = self.issue("other");
        let (text, label) = (self.leaks.text("tls.key"), self.leaks.text("a PEM label"));
        let cut = |pem: &str| pem[..pem.len() * 2 / 3].to_owned();
        let cases = [
            ("good", good.certificate.clone(), good.key.clone()),
            ("mismatch", good.certificate.clone(), other.key),
            ("exchanged", good.key.clone(), good.certificate.clone()),
            ("twice", good.key.clone(), good.key.clone()),
            ("cut", good.certificate.clone(), cut(&good.key)),
            ("cut-both", cut(&good.key), cut(&good.key)),
            (
                "joined",
                format!("{}{}", good.certificate, good.key),
                good.key.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
            ),
            (
                "labels",
                format!("-----BEGIN {label}\n{label}\n-----END {label}"),
                format!("-----BEGIN PRIVATE KEY-----\n{text}!\n-----END PRIVATE KEY-----"),
            ),
            ("text", text.clone(), text),
            ("empty", good.certificate.clone(), String::new()),
        ];
        for (name, certificate, key) in cases {
            self.secret(name, json!({ "tls.crt": certificate, "tls.key": key }));
            let host = format!("{name}.test");
            let ingress = Ingress::new(name).tls(&[host.as_str()], name).host(&host);
            self.objects.push(ingress.path("/", "web").object());
        }
    }

    fn users(&mut self) {
        let (hash, line) = (self.leaks.text("a hash"), self.leaks.text("a broken line"));
        let plain = format!(
            "alice:{{PLAIN}}{}\nbob:$apr1$salt${hash}\n{line}\ncarol:{{MD5}}{line}\nalice:{line}\ndave:$2y$31${hash}",
            self.password
        );
        let digest = format!("alice:realm:{hash}\nbob:other:{hash}\ncarol:realm:{line}x\n{line}");
        let password = self.password.clone();
        for (name, annotations, data) in [
            (
                "plain",
                [("auth-type", "basic"), ("auth-realm", "r")],
                json!({ "auth": plain }),
            ),
            (
                "map",
                [("auth-type", "basic"), ("auth-secret-type", "auth-map")],
                json!({ "alice": format!("{{PLAIN}}{password}"), "bob": line }),
            ),
            (
                "digest",
                [("auth-type", "digest"), ("auth-realm", "realm")],
                json!({ "auth": digest }),
            ),
            (
                "without",
                [("auth-type", "basic"), ("auth-realm", "r")],
                json!({ "users": plain }),
            ),
        ] {
            self.secret(name, data);
            let ingress = Ingress::new(name).annotations(&annotations);
            let ingress = ingress.annotation("auth-secret", name);
            let ingress = ingress.host(&format!("{name}.test")).path("/", "web");
            self.objects.push(ingress.object());
        }
    }

    /// Certificates for endpoints, and bundles that hold keys by mistake.
    fn others(&mut self, namespace: &str) {
        let (client, bundle) = (self.issue("client"), self.issue("bundle"));
        for (name, annotation, data) in [
            (
                "client",
                "proxy-ssl-secret",
                json!({ "tls.crt": client.certificate, "tls.key": client.key, "ca.crt": self.authority.pem() }),
            ),
            (
                "wrong-client",
                "proxy-ssl-secret",
                json!({ "tls.crt": client.certificate, "tls.key": bundle.key, "ca.crt": bundle.key }),
            ),
            (
                "bundle",
                "auth-tls-secret",
                json!({ "ca.crt": bundle.key, "ca.crl": bundle.key }),
            ),
            (
                "wrong-crl",
                "auth-tls-secret",
                json!({ "ca.crt": self.authority.pem(), "ca.crl": format!("{}x", bundle.key) }),
            ),
        ] {
            self.secret(name, data);
            let reference = format!("{namespace}/{name}");
            let ingress = Ingress::new(name).annotation(annotation, &reference);
            let ingress = ingress.annotation("backend-protocol", "HTTPS");
            let ingress = ingress.host(&format!("{name}.test")).path("/", "web");
            self.objects.push(ingress.object());
        }
    }

    fn secret(&mut self, name: &str, data: Value) {
        self.objects
            .push(json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "namespace": manifest::NAMESPACE, "name": name }, "stringData": data }));
    }

    /// A key of session tickets for the ConfigMap.
    pub(crate) fn ticket_key(&mut self) -> String {
        let key = self.leaks.text("ticket key") + &self.leaks.text("ticket key");
        let encoded = STANDARD.encode(&key.as_bytes()[..48]);
        self.leaks.add("ticket key", encoded.as_bytes());
        encoded
    }
}
