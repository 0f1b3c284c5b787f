//! Which crate may know which: the direction of dependencies, read from the manifests (crates/README.md).

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a crate may depend on at run time.
struct Layer {
    name: &'static str,
    /// Crates of this workspace, by short name.
    ours: &'static [&'static str],
    /// Beginnings of the names of foreign crates that it must not know.
    never: &'static [&'static str],
}

/// Async runtimes, HTTP servers and clients, TLS over sockets, and whatever watches or resolves.
const INPUT_AND_OUTPUT: &[&str] = &[
    "axum",
    "futures",
    "h2",
    "hickory",
    "hyper",
    "kube",
    "mio",
    "notify",
    "reqwest",
    "smol",
    "async-std",
    "socket2",
    "tokio",
    "tonic",
    "tower",
    "ureq",
];
const KUBERNETES: &[&str] = &["k8s-openapi", "kube"];

const LAYERS: &[Layer] = &[
    Layer {
        name: "limit",
        ours: &[],
        never: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "table",
        ours: &["limit"],
        never: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "compile",
        ours: &["limit", "table"],
        never: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "manifest",
        ours: &["compile"],
        never: &["hyper", "axum", "reqwest", "kube"],
    },
    Layer {
        name: "cluster",
        ours: &["compile", "table"],
        never: &["axum", "reqwest", "notify"],
    },
    Layer {
        name: "proxy",
        ours: &["limit", "table"],
        never: KUBERNETES,
    },
    Layer {
        name: "testkit",
        ours: &[],
        never: KUBERNETES,
    },
    Layer {
        name: "apiserver",
        ours: &["testkit"],
        never: &[],
    },
];

#[test]
fn every_crate_has_a_layer() {
    let listed: BTreeSet<String> = LAYERS.iter().map(|layer| layer.name.to_owned()).collect();
    let found: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        listed, found,
        "add the new crate here and in crates/README.md"
    );
}

#[test]
fn crates_depend_in_one_direction() {
    for layer in LAYERS {
        let manifest = manifest(layer.name);
        for dependency in manifest.runtime() {
            if let Some(ours) = dependency.strip_prefix("headgate-") {
                assert!(
                    layer.ours.contains(&ours),
                    "{} must not know {ours}",
                    layer.name
                );
            }
            assert!(
                !layer.never.iter().any(|never| is(dependency, never)),
                "{} must not know {dependency}",
                layer.name
            );
        }
    }
}

#[test]
fn testkit_and_apiserver_are_for_development_only() {
    let shipped = |layer: &&Layer| !["testkit", "apiserver"].contains(&layer.name);
    let crates = LAYERS.iter().filter(shipped);
    let crates = crates.map(|layer| manifest(layer.name));
    for manifest in crates.chain([parse(&read(&root().join("Cargo.toml")))]) {
        for dev_only in ["headgate-testkit", "headgate-apiserver"] {
            assert!(
                !manifest.runtime().any(|dependency| dependency == dev_only),
                "a program would carry {dev_only}"
            );
        }
    }
}

#[test]
fn the_reader_of_manifests_sees_every_form() {
    let manifest = parse(
        "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\" # why\nc = { version = \"1\", features = [\n  \"d\",\n] }\n\n[dependencies.e]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\nf = \"1\"\n[build-dependencies]\ng = \"1\"\n[dev-dependencies]\nh = \"1\"\n",
    );
    let runtime: Vec<&str> = manifest.runtime().collect();
    assert_eq!(runtime, ["a", "b", "c", "e", "f", "g"]);
}

/// `tokio` is meant by `tokio` and `tokio-rustls`, not by `tokiox`.
fn is(dependency: &str, never: &str) -> bool {
    dependency
        .strip_prefix(never)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Dependencies by section.
struct Manifest(BTreeMap<String, BTreeSet<String>>);

impl Manifest {
    /// All that are part of what is built, those of the build script and of single platforms too.
    fn runtime(&self) -> impl Iterator<Item = &str> {
        let sections = self.0.iter().filter(|(name, _)| {
            let end = name.rsplit('.').next().unwrap_or_default();
            matches!(end, "dependencies" | "build-dependencies") && !name.starts_with("workspace")
        });
        let all: BTreeSet<&str> = sections
            .flat_map(|(_, names)| names.iter().map(String::as_str))
            .collect();
        all.into_iter()
    }
}

fn manifest(name: &str) -> Manifest {
    parse(&read(&root().join("crates").join(name).join("Cargo.toml")))
}

/// The part of TOML that our manifests are written in: sections, and keys at the beginning of a line.
fn parse(text: &str) -> Manifest {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            section = header.to_owned();
            // `[dependencies.name]` is a dependency itself.
            if let Some((table, name)) = header.rsplit_once('.')
                && table.ends_with("dependencies")
            {
                sections
                    .entry(table.to_owned())
                    .or_default()
                    .insert(name.to_owned());
            }
            continue;
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
        let starts_a_key = line
            .chars()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
        if starts_a_key && line.contains('=') {
            sections
                .entry(section.clone())
                .or_default()
                .insert(key.to_owned());
        }
    }
    Manifest(sections)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
