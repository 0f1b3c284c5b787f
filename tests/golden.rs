//! Golden pairs: manifests, and the table and findings that they compile to.
//!
//! Every `golden/<case>.in.yaml` is compiled together with the Services and the IngressClass of `golden/stage.yaml` (an
//! object of the case replaces one of the stage), and the table and the findings are compared with `golden/<case>.out.txt`.
//! A comment `# options: --disable-catch-all --configmap=ns/name …` sets flags. `UPDATE_GOLDEN=1 cargo test --test golden`
//! writes the outputs; read the diff before you commit it, because it is the test.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headgate_compile::objects::custom::{Delivered, HeadgatePolicySpec};
use headgate_compile::{Name, Namespaces, Object, Options, Snapshot, compile};
use headgate_table::{Certificate, PrivateBytes, text};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn golden_pairs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let stage = fs::read_to_string(directory.join("stage.yaml")).unwrap();
    let cases = cases(&directory);
    assert!(cases.len() >= 45, "only {} cases were found", cases.len());
    let certificate = certificate();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case, &stage, &certificate).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let expected: BTreeSet<PathBuf> = cases.iter().map(|case| output(case)).collect();
    let orphaned: Vec<_> = files(&directory, ".out.txt")
        .into_iter()
        .filter(|output| !expected.contains(output))
        .collect();
    assert!(orphaned.is_empty(), "outputs without a case: {orphaned:?}");
}

/// Compiles one case and compares its output, or writes it with `UPDATE_GOLDEN`.
fn check(case: &Path, stage: &str, certificate: &Arc<Certificate>) -> Result<(), String> {
    let input = fs::read_to_string(case).unwrap();
    let found = compiled(&input, stage, certificate, &case.display().to_string());
    let output = output(case);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&output, found).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&output).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "{}:\n{}",
        output.display(),
        difference(&expected, &found)
    ))
}

fn compiled(input: &str, stage: &str, certificate: &Arc<Certificate>, case: &str) -> String {
    let mut snapshot = Snapshot::default();
    for object in objects(stage, "stage.yaml")
        .into_iter()
        .chain(objects(input, case))
    {
        snapshot.apply(object);
    }
    set_environment(&mut snapshot, input);
    let changes = snapshot.take_changes();
    let options = options(input);
    let compiled = compile(&snapshot, &changes, None, &options, certificate);
    let mut out = text(compiled.table());
    out.push('\n');
    for finding in compiled.findings() {
        let _ = writeln!(out, "{finding}");
    }
    out
}

// === files ===

fn cases(directory: &Path) -> Vec<PathBuf> {
    files(directory, ".in.yaml")
}

fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files
}

fn output(case: &Path) -> PathBuf {
    PathBuf::from(case.to_string_lossy().replace(".in.yaml", ".out.txt"))
}

/// The lines of both, expected ones after `-` and found ones after `+`; common lines are matched greedily.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let (mut out, mut next) = (String::new(), 0);
    for line in expected {
        let same = found.iter().skip(next).position(|other| *other == line);
        let Some(at) = same else {
            let _ = writeln!(out, "- {line}");
            continue;
        };
        for added in found.iter().skip(next).take(at) {
            let _ = writeln!(out, "+ {added}");
        }
        let _ = writeln!(out, "  {line}");
        next += at + 1;
    }
    for added in found.iter().skip(next) {
        let _ = writeln!(out, "+ {added}");
    }
    out
}

// === objects ===

fn objects(yaml: &str, case: &str) -> Vec<Object> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{case}: {error}"));
    let documents = documents.into_iter().filter(|document| !document.is_null());
    documents.map(|document| object(document, case)).collect()
}

fn object(document: Value, case: &str) -> Object {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "Ingress" => typed::<Ingress>(document, case).into(),
        "IngressClass" => typed::<IngressClass>(document, case).into(),
        "Service" => typed::<Service>(document, case).into(),
        "EndpointSlice" => typed::<EndpointSlice>(document, case).into(),
        "Endpoints" => typed::<Endpoints>(document, case).into(),
        "Secret" => with_string_data(typed(document, case)).into(),
        "ConfigMap" => typed::<ConfigMap>(document, case).into(),
        "Namespace" => typed::<Namespace>(document, case).into(),
        "HeadgatePolicy" => typed::<Delivered<HeadgatePolicySpec>>(document, case).into(),
        kind => panic!("{case}: unsupported kind \"{kind}\""),
    }
}

fn typed<T: DeserializeOwned>(document: Value, case: &str) -> T {
    serde_json::from_value(document).unwrap_or_else(|error| panic!("{case}: {error}"))
}

/// Merges `stringData` into `data`, as the API server does.
fn with_string_data(mut secret: Secret) -> Secret {
    let texts = secret.string_data.take().unwrap_or_default();
    let texts = texts
        .into_iter()
        .map(|(key, text)| (key, ByteString(text.into_bytes())));
    secret.data.get_or_insert_default().extend(texts);
    secret
}

// === environment and options ===

fn set_environment(snapshot: &mut Snapshot, input: &str) {
    let lines = input.lines().filter_map(|line| line.strip_prefix("# "));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name {
            "zone" => snapshot.set_zone(Some(value.into())),
            "classes" => snapshot.set_classes_readable(value != "unreadable"),
            _ => continue,
        };
    }
}

fn options(input: &str) -> Options {
    let mut options = Options {
        explain_unserved: true,
        ..Options::default()
    };
    let lines = input
        .lines()
        .filter_map(|line| line.strip_prefix("# options: "));
    for flag in lines.flat_map(str::split_whitespace) {
        set(&mut options, flag);
    }
    options
}

fn set(options: &mut Options, flag: &str) {
    let (flag, value) = flag.split_once('=').unwrap_or((flag, "true"));
    let on = value == "true";
    match flag {
        "--ingress-class" => options.class.ingress_class = value.into(),
        "--controller-class" => options.class.controller_class = value.into(),
        "--watch-ingress-without-class" => options.class.without_class = on,
        "--ingress-class-by-name" => options.class.by_name = on,
        "--watch-namespace" => options.namespaces = Namespaces::One(value.into()),
        "--watch-namespace-selector" => {
            options.namespaces = Namespaces::Selected(value.parse().unwrap());
        }
        "--enable-ssl-passthrough" => options.ssl_passthrough = on,
        "--enable-topology-aware-routing" => options.endpoints.topology = on,
        "--annotations-prefix" => options.annotations_prefix = value.into(),
        "--deep-inspect" => options.deep_inspect = on,
        "--enable-annotation-validation" => options.validate_annotations = on,
        "--configmap" => options.settings = Some(name(value)),
        "--tcp-services-configmap" => options.tcp_services = Some(name(value)),
        "--udp-services-configmap" => options.udp_services = Some(name(value)),
        "--default-ssl-certificate" => options.default_certificate = Some(name(value)),
        "--default-backend-service" => options.default_backend = Some(name(value)),
        "--disable-catch-all" => options.disable_catch_all = on,
        "--disable-svc-external-name" => options.endpoints.external_names = !on,
        "--allow-loopback-upstreams" => options.endpoints.loopback = on,
        flag => panic!("unsupported flag {flag}"),
    }
}

fn name(text: &str) -> Name {
    let (namespace, name) = text.split_once('/').unwrap();
    Name::new(namespace, name)
}

/// The default certificate; outputs show it as `default`.
fn certificate() -> Arc<Certificate> {
    let generated = rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).unwrap();
    let key = PrivateBytes(generated.signing_key.serialize_pem().into_bytes());
    let chain = generated.cert.pem();
    Arc::new(headgate_compile::certificate_from_pem(chain.as_bytes(), &key, "default").unwrap())
}
