//! No file content causes a panic, and a broken document affects no other.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{Fixture, applied, config_map};
use headgate_compile::Batch;
use headgate_manifest::{Source, SourceOptions};
use proptest::prelude::*;

const MANIFEST: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {nginx.ingress.kubernetes.io/canary: \"true\", a: &x 'y', b: *x}
spec:
  rules:
    - host: \"*.example.com\"
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Secret
    metadata: {name: s}
    data: {k: aGk=}
    stringData:
      l: |-
        text
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: c}
    data:
      k: >
        folded
        text
";

/// The changes and the batch of a directory with one file of these bytes and one valid file.
fn read(name: &str, bytes: &[u8]) -> (Vec<String>, Batch) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::write(directory.path().join(name), bytes).unwrap();
        std::fs::write(directory.path().join("z.yaml"), config_map("sibling", "1")).unwrap();
        let options = SourceOptions {
            poll: Some(std::time::Duration::from_secs(1)),
        };
        let mut source = Source::open(vec![directory.path().to_owned()], options).unwrap();
        let batch = source.changes().await;
        (common::changes(&source, &batch), batch)
    })
}

fn check(name: &str, bytes: &[u8]) {
    let (changes, batch) = read(name, bytes);
    assert!(changes.contains(&applied("sibling", "1")));
    let failed = common::findings(&batch)
        .into_iter()
        .find(|finding| finding.contains("the parser failed"));
    assert_eq!(failed, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check("a.yaml", &bytes);
        check("a.json", &bytes);
    }

    #[test]
    fn any_yaml_like_text(text in "([-:?,\\[\\]{}&*!|>'\"%@`# \n\t~<.aé0]|---\n|kind: Ingress\n|apiVersion: v1\n){0,120}") {
        check("a.yaml", text.as_bytes());
        check("a.json", text.as_bytes());
    }

    #[test]
    fn mutated_manifests(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8)) {
        let mut bytes = MANIFEST.as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        check("a.yaml", &bytes);
    }
}

#[test]
fn the_manifest_to_mutate_is_valid() {
    let (changes, batch) = read("a.yaml", MANIFEST.as_bytes());
    assert_eq!((changes.len(), common::findings(&batch)), (4, vec![]));
}

/// Three documents over and over: valid, broken, and of an unsupported kind.
#[tokio::test]
async fn broken_documents_hide_no_others() {
    let documents = (0..300).map(|n| match n % 3 {
        0 => config_map(&format!("valid-{n}"), "1"),
        1 => format!("kind: ConfigMap\nbroken-{n}: [\n"),
        _ => "kind: Widget\nalso: broken: [\n".to_owned(),
    });
    let text = documents.collect::<Vec<_>>().join("---\n");
    let mut fixture = Fixture::new(&[("a.yaml", &text)]);
    let batch = fixture.next().await;
    let changes = common::changes(&fixture.source, &batch);
    assert_eq!((changes.len(), batch.findings.len()), (100, 100));
}

#[test]
fn fuzz_manifest() {
    headgate_fuzz::check("manifest", |bytes| {
        check("a.yaml", bytes);
        check("a.json", bytes);
    });
}
