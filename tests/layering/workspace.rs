//! The crates of the workspace and their dependencies, from `cargo metadata`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace.
pub(crate) struct Package {
    /// `headgate` is the program, the others are `headgate-…`.
    pub(crate) name: String,
    /// Names of its dependencies for any platform, without those for development.
    pub(crate) dependencies: BTreeSet<String>,
    /// With those for development.
    pub(crate) all_dependencies: BTreeSet<String>,
    /// Where its manifest is.
    pub(crate) directory: PathBuf,
}

/// All crates of the workspace.
pub(crate) fn packages() -> Vec<Package> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(package).collect()
}

/// Directory of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `--no-deps` omits everything but the workspace, so that neither a registry nor a lock is needed.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn package(metadata: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependencies = metadata["dependencies"].as_array().unwrap();
    let names = |development: bool| {
        let wanted = dependencies
            .iter()
            .filter(move |dependency| development || dependency["kind"] != "dev");
        wanted.map(|dependency| text(&dependency["name"])).collect()
    };
    let manifest = PathBuf::from(text(&metadata["manifest_path"]));
    Package {
        name: text(&metadata["name"]),
        dependencies: names(false),
        all_dependencies: names(true),
        directory: manifest.parent().unwrap().to_owned(),
    }
}
