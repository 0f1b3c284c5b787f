//! Whatever text a key has, it is a setting or a finding, and reaches no table or message as it is.

use std::sync::{Arc, LazyLock};

use headgate_table::{Certificate, PrivateBytes, text};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::{all, with_value};
use crate::ingress::registry::hostile::{HOSTILE, has_lines_only, is_printable};
use crate::ingress::registry::{OnInvalid, Validation, excerpt};
use crate::{Name, Options, Snapshot, certificate_from_pem, compile};

#[test]
fn an_invalid_value_closes_what_it_protects_or_is_as_if_absent() {
    let oversized = "a".repeat(1 << 20);
    for entry in all() {
        let absent = with_value(entry.name, None).0;
        for value in HOSTILE.iter().copied().chain([oversized.as_str()]) {
            let (settings, problems) = with_value(entry.name, Some(value));
            let what = format!(
                "{} {:?}",
                entry.name,
                &value[..value.floor_char_boundary(40)]
            );
            for problem in &problems {
                let message = &problem.message;
                assert!(message.len() < 2000, "{what}");
                assert!(is_printable(message), "{what}: {message}");
            }
            if entry.kind.parse(value, Validation::Full).is_ok() {
                continue;
            }
            match entry.on_invalid {
                OnInvalid::Close => assert!(settings.closed.is_some(), "{what}"),
                _ => assert_eq!(settings, absent, "{what}"),
            }
            let shown: String = excerpt(value).chars().take(20).collect();
            let named = problems
                .iter()
                .any(|problem| problem.field == entry.name && problem.message.contains(&shown));
            assert!(named, "{what}: {problems:?}");
        }
    }
}

#[test]
fn no_text_of_a_key_reaches_the_table_as_it_is() {
    let options = Options {
        settings: Some(Name::new("s", "settings")),
        ..Options::default()
    };
    for entry in all() {
        for value in HOSTILE
            .iter()
            .filter(|text| text.contains(char::is_control))
        {
            let map = json!({ "metadata": { "namespace": "s", "name": "settings" }, "data": { entry.name: value } });
            let mut snapshot = Snapshot::default();
            snapshot.apply(serde_json::from_value::<ConfigMap>(map).unwrap().into());
            let changes = snapshot.take_changes();
            let compiled = compile(&snapshot, &changes, None, &options, &CERTIFICATE);
            let what = format!("{} {value:?}", entry.name);
            let table = text(compiled.table());
            assert!(has_lines_only(&table), "{what}: {table}");
            for finding in compiled.findings() {
                let line = finding.to_string();
                assert!(is_printable(&line), "{what}: {line}");
                assert!(line.contains("ConfigMap s/"), "{what}: {line}");
            }
        }
    }
}

static CERTIFICATE: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).unwrap();
    let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
    let pem = made.cert.pem();
    Arc::new(certificate_from_pem(pem.as_bytes(), &key, "default").unwrap())
});
