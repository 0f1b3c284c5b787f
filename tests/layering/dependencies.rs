//! External dependencies: the reason for each in `Cargo.toml`, and where it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use regex::Regex;

use super::source;
use super::workspace::{Package, root};

/// Libraries whose name in code is not that of their package.
const NAMES: &[(&str, &str)] = &[("md-5", "md5"), ("rustls-webpki", "webpki")];

/// Dependencies that code does not name: kube needs a version of the API chosen when the crate is built alone.
const UNNAMED: &[(&str, &str)] = &[("headgate-apiserver", "k8s-openapi")];

/// The dependencies of the workspace, each with the comment on its line.
pub(crate) fn reasons() -> BTreeMap<String, Option<String>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, section) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let section = section.split("\n[").next().unwrap();
    let line = Regex::new(r"(?m)^([\w-]+) = .*?(?:# *(.+))?$").unwrap();
    let external = |name: &str| !name.starts_with("headgate-");
    line.captures_iter(section)
        .filter(|found| external(&found[1]))
        .map(|found| {
            let reason = found.get(2).map(|reason| reason.as_str().to_owned());
            (found[1].to_owned(), reason)
        })
        .collect()
}

/// The dependencies of a package that its code does not name.
pub(crate) fn unused(package: &Package) -> BTreeSet<&str> {
    let module = Regex::new(r#"#\[path = "([^"]+)"\]"#).unwrap();
    let mut code = String::new();
    let directories = ["src", "tests", "benches"].map(|name| package.directory.join(name));
    for directory in directories.iter().filter(|directory| directory.is_dir()) {
        let is_rust = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rs");
        for file in source::files(directory).into_iter().filter(is_rust) {
            let text = fs::read_to_string(&file).unwrap();
            // Modules that the file takes from another crate.
            for path in module.captures_iter(&text) {
                code += &fs::read_to_string(file.parent().unwrap().join(&path[1])).unwrap();
            }
            code += &text;
        }
    }
    let names = package.all_dependencies.iter().map(String::as_str);
    let is_separator = |c: char| !c.is_alphanumeric() && c != '_';
    let words: BTreeSet<&str> = code.split(is_separator).collect();
    let named = |name: &&str| {
        UNNAMED.contains(&(package.name.as_str(), *name)) || words.contains(&*library(name))
    };
    names.filter(|name| !named(name)).collect()
}

fn library(package: &str) -> String {
    let known = NAMES.iter().find(|(name, _)| *name == package);
    known.map_or_else(|| package.replace('-', "_"), |(_, name)| (*name).to_owned())
}
