//! Allowed dependencies between crates and between modules (crates/README.md).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;

use layering::dependencies;
use layering::modules::Modules;
use layering::source;
use layering::workspace::{Package, packages, root};
use regex::Regex;

mod layering {
    pub(crate) mod dependencies;
    pub(crate) mod modules;
    pub(crate) mod source;
    pub(crate) mod workspace;
}

/// The dependencies that a crate may have at run time.
struct Layer {
    name: &'static str,
    /// Crates of this workspace that it may depend on, by short name.
    workspace: &'static [&'static str],
    /// External crates that it must not depend on: this name, or one that begins with it and a hyphen.
    forbidden: &'static [&'static str],
}

/// Async runtimes, HTTP servers and clients, TLS over sockets, watchers and resolvers.
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
/// Crates for tests and benches only.
const TEST_CRATES: &[&str] = &["testkit", "apiserver", "fuzz", "models"];
/// Modules of which no two may use each other, directly or through others: each does one job and can change alone.
const NOT_MUTUAL: &[(&str, &[&str])] = &[
    ("proxy", &["record", "worker", "telemetry", "upstream"]),
    ("cluster", &["events", "lease", "status"]),
];
/// Code that any source of objects can use, and so must not depend on one of them: Ingress and its annotations.
const NEUTRAL: &[&str] = &["crates/table/src", "crates/compile/src/build"];
/// Names that clients and log formats depend on, which are those of ingress-nginx: a variable and a cookie.
const EXTERNAL_NAMES: &[&str] = &["ingress_name", "INGRESSCOOKIE"];
/// Crates whose modules have no dependency cycles.
const ACYCLIC: &[&str] = &[
    "limit", "http1", "resolve", "table", "manifest", "proxy", "console", "testkit",
];

const LAYERS: &[Layer] = &[
    Layer {
        name: "limit",
        workspace: &[],
        forbidden: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "http1",
        workspace: &[],
        forbidden: &[
            "axum",
            "h2",
            "hyper",
            "kube",
            "k8s-openapi",
            "reqwest",
            "tower",
        ],
    },
    Layer {
        name: "resolve",
        workspace: &[],
        forbidden: &["hyper", "axum", "reqwest", "kube", "k8s-openapi", "notify"],
    },
    Layer {
        name: "table",
        workspace: &["limit"],
        forbidden: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "compile",
        workspace: &["limit", "table"],
        forbidden: INPUT_AND_OUTPUT,
    },
    Layer {
        name: "manifest",
        workspace: &["compile"],
        forbidden: &["hyper", "axum", "reqwest", "kube"],
    },
    Layer {
        name: "cluster",
        workspace: &["compile", "resolve", "table"],
        forbidden: &["axum", "reqwest", "notify"],
    },
    Layer {
        name: "proxy",
        workspace: &["http1", "limit", "resolve", "table"],
        forbidden: KUBERNETES,
    },
    Layer {
        name: "console",
        workspace: &[],
        forbidden: KUBERNETES,
    },
    Layer {
        name: "testkit",
        workspace: &[],
        forbidden: KUBERNETES,
    },
    Layer {
        name: "apiserver",
        workspace: &["testkit"],
        forbidden: &[],
    },
    Layer {
        name: "models",
        workspace: &["table"],
        forbidden: KUBERNETES,
    },
    Layer {
        name: "fuzz",
        workspace: &[],
        forbidden: INPUT_AND_OUTPUT,
    },
];

#[test]
fn every_crate_has_a_layer() {
    let listed: BTreeSet<&str> = LAYERS.iter().map(|layer| layer.name).collect();
    let packages = packages();
    let found: BTreeSet<&str> = packages.iter().filter_map(short_name).collect();
    assert_eq!(
        listed, found,
        "add the new crate here and in crates/README.md"
    );
}

#[test]
fn crates_depend_in_one_direction() {
    for package in packages() {
        let Some(name) = short_name(&package) else {
            continue;
        };
        let layer = LAYERS.iter().find(|layer| layer.name == name).unwrap();
        for dependency in &package.dependencies {
            if let Some(sibling) = dependency.strip_prefix("headgate-") {
                assert!(
                    layer.workspace.contains(&sibling),
                    "{name} must not depend on {sibling}"
                );
            }
            assert!(
                !layer
                    .forbidden
                    .iter()
                    .any(|forbidden| is(dependency, forbidden)),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_program_contains_no_test_crate() {
    for package in packages() {
        if short_name(&package).is_some_and(|name| TEST_CRATES.contains(&name)) {
            continue;
        }
        for test_crate in TEST_CRATES {
            let dependency = format!("headgate-{test_crate}");
            assert!(
                !package.dependencies.contains(&dependency),
                "{} may depend on {dependency} for its tests only",
                package.name
            );
        }
    }
}

#[test]
fn every_dependency_has_a_reason_and_a_user() {
    let packages = packages();
    for (name, reason) in dependencies::reasons() {
        assert!(reason.is_some(), "{name}: say in Cargo.toml what it is for");
        let mut all = packages.iter().map(|package| &package.all_dependencies);
        assert!(all.any(|all| all.contains(&name)), "nothing uses {name}");
    }
    for package in &packages {
        let unused = dependencies::unused(package);
        assert!(
            unused.is_empty(),
            "{} does not use {unused:?}",
            package.name
        );
    }
}

#[test]
fn modules_have_no_dependency_cycles() {
    for name in ACYCLIC {
        let modules = modules_of(name);
        for module in modules.names() {
            if let Some(cycle) = modules.path(module, module) {
                panic!(
                    "{name}: the modules use each other in a cycle:{}",
                    list(&cycle)
                );
            }
        }
    }
}

#[test]
fn modules_with_separate_jobs_do_not_use_each_other() {
    for (name, not_mutual) in NOT_MUTUAL {
        let modules = modules_of(name);
        for (index, one) in not_mutual.iter().enumerate() {
            for other in &not_mutual[index + 1..] {
                let (there, back) = (modules.path(one, other), modules.path(other, one));
                if let (Some(there), Some(back)) = (there, back) {
                    let (there, back) = (list(&there), list(&back));
                    panic!("{name}: {one} and {other} use each other:{there}\nand back:{back}");
                }
            }
        }
    }
}

#[test]
fn table_and_builder_do_not_name_ingress() {
    let words = Regex::new(r"(?i)ingress|annotation|nginx\.\w").unwrap();
    let without = |line: String, name: &&str| line.replace(name, "");
    let mut named = String::new();
    for directory in NEUTRAL {
        for file in source::files(&root().join(directory)) {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                if words.is_match(&EXTERNAL_NAMES.iter().fold(line.to_owned(), without)) {
                    let (file, line) = (file.display(), line.trim());
                    named += &format!("\n  {file}:{}: {line}", number + 1);
                }
            }
        }
    }
    assert!(named.is_empty(), "only Ingress sources have this:{named}");
}

#[test]
fn builder_does_not_use_ingress() {
    if let Some(path) = modules_of("compile").path("build", "ingress") {
        panic!("compile: build must not use ingress:{}", list(&path));
    }
}

#[test]
fn every_form_of_path_is_found() {
    let text = r##"
use crate::{a::{self, B}, c as d};
use super::super::e::F; // use crate::comment::X;
fn f<'a>(x: &'a str) -> char {
    let _ = ("crate::text::X", r#"crate::"raw"::X"#, b'"', '\'', "\"crate::quoted::X");
    crate::g::h::<u8>(super::i(x), self::super::j);
    'k'
}
#[cfg(test)]
mod tests {
    use crate::test_only::X;
}
pub(in crate::l) struct M;
"##;
    let code = source::code(text);
    assert_eq!(code.lines().count(), text.lines().count());
    let paths = source::paths(&code);
    let found: Vec<(String, &str)> = paths
        .iter()
        .map(|path| (path.segments.join("::"), path.name.as_str()))
        .collect();
    let expected = [
        ("crate::a::self", "self"),
        ("crate::a::B", "B"),
        ("crate::c", "d"),
        ("super::super::e::F", "F"),
        ("crate::g::h", "h"),
        ("super::i", "i"),
        ("self::super::j", "j"),
        ("crate::l", "l"),
    ];
    assert_eq!(found, expected.map(|(path, name)| (path.to_owned(), name)));
}

fn modules_of(name: &str) -> Modules {
    Modules::of(&root().join("crates").join(name))
}

fn list(uses: &[layering::modules::Use]) -> String {
    uses.iter().map(|using| format!("\n  {using}")).collect()
}

/// The name of a crate without the project's prefix; `None`: the program.
fn short_name(package: &Package) -> Option<&str> {
    package.name.strip_prefix("headgate-")
}

/// `tokio` means `tokio` and `tokio-rustls`, not `tokiox`.
fn is(dependency: &str, name: &str) -> bool {
    dependency
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
