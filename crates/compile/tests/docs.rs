//! The documentation tables are generated from the registries: `UPDATE_DOCS=1 cargo test -p headgate-compile --test docs`
//! rewrites them.

use std::path::Path;

fn check(name: &str, title: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    let expected = format!(
        "# {title}\n\nThis page is generated from the registry in the code; see [differences](differences.md) for what \
         behaves differently from ingress-nginx.\n\n{table}"
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs from the registry; run with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn annotations_page() {
    check(
        "annotations.md",
        "Annotations",
        &headgate_compile::annotations::annotations_markdown(),
    );
}

#[test]
fn policy_fields_page() {
    check(
        "policy-fields.md",
        "Fields of HeadgatePolicies",
        &headgate_compile::policies::fields_markdown(),
    );
}

#[test]
fn definition_of_policies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../charts/headgate/files/headgatepolicies.yaml");
    let expected = headgate_compile::policies::definition();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs from the registry; run with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn config_map_page() {
    check(
        "configmap.md",
        "ConfigMap keys",
        &headgate_compile::settings::settings_markdown(),
    );
}
