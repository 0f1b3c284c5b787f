//! Certificates made by the real `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

use headgate_testkit::manifest::NAMESPACE;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Extensions of an intermediate authority.
pub(super) const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/// Certificates made by `openssl` in a directory of their own.
pub(super) struct Pki(TempDir);

impl Pki {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments}: {output:?}");
    }

    /// A self-signed authority in `name.crt` and `name.key`.
    pub(super) fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN={name} \
             -addext keyUsage=critical,keyCertSign,cRLSign -keyout {name}.key -out {name}.crt"
        ));
    }

    /// A certificate of `issuer` with these lines of extensions; without any it is of X.509 version 1.
    pub(super) fn issue(&self, name: &str, issuer: &str, serial: u32, extensions: &str) {
        std::fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /O=shop/CN={name} \
             -keyout {name}.key -out {name}.csr"
        ));
        let file = if extensions.is_empty() {
            ""
        } else {
            "-extfile extensions"
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.crt -CAkey {issuer}.key -set_serial {serial} -days 30 \
             -out {name}.crt {file}"
        ));
    }

    /// The list of `authority`, with the certificates of `revoked`, as PEM.
    pub(super) fn revocations(&self, authority: &str, revoked: &[&str]) -> String {
        std::fs::write(self.path("index.txt"), "").unwrap();
        std::fs::write(self.path("number"), "01\n").unwrap();
        let configuration = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n\
             default_crl_days=30\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n";
        std::fs::write(self.path("ca.cnf"), configuration).unwrap();
        let ca = format!("ca -config ca.cnf -cert {authority}.crt -keyfile {authority}.key");
        for name in revoked {
            self.openssl(&format!("{ca} -revoke {name}.crt"));
        }
        self.openssl(&format!("{ca} -gencrl -out {authority}.crl"));
        self.read(&format!("{authority}.crl"))
    }
}

/// A Secret with this text.
pub(super) fn secret(name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE },
        "stringData": data })
}
