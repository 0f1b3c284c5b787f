//! Uses between the top-level modules of a crate, without tests.
//!
//! Simplifying assumptions, which hold here: a module has its own file (`name.rs` or `name/mod.rs`), except modules of tests;
//! and `lib.rs` re-exports by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::source::{self, code};

/// The top-level modules of a crate and what they use.
pub(crate) struct Modules {
    uses: BTreeMap<String, BTreeMap<String, Use>>,
}

/// A use of one module by another.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    from: String,
    to: String,
    /// The first such line: `file:line`.
    line: String,
}

/// Names at the root of the crate.
struct Root {
    modules: BTreeSet<String>,
    /// Items that `lib.rs` re-exports, and the modules that they are from.
    reexports: BTreeMap<String, String>,
}

impl Modules {
    /// Reads the modules of the crate in this directory.
    pub(crate) fn of(crate_directory: &Path) -> Self {
        let source = crate_directory.join("src");
        let lib = code(&fs::read_to_string(source.join("lib.rs")).unwrap());
        let root = Root::new(&lib);
        let mut modules = Self {
            uses: root
                .modules
                .iter()
                .map(|name| (name.clone(), BTreeMap::new()))
                .collect(),
        };
        for name in &root.modules {
            modules.read(&root, &source, std::slice::from_ref(name));
        }
        modules
    }

    /// Names of the modules.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.uses.keys().map(String::as_str)
    }

    /// The shortest chain of uses from one module to another, or back to the same.
    ///
    /// # Panics
    /// When there is no such module.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<Use>> {
        self.check([from, to]);
        let mut seen = BTreeSet::new();
        let mut paths = VecDeque::from([(from, Vec::new())]);
        while let Some((at, path)) = paths.pop_front() {
            for (next, using) in &self.uses[at] {
                let mut path = path.clone();
                path.push(using.clone());
                if next == to {
                    return Some(path);
                }
                if seen.insert(next) {
                    paths.push_back((next, path));
                }
            }
        }
        None
    }

    /// A renamed module must not make a check pass.
    fn check(&self, names: [&str; 2]) {
        for name in names {
            assert!(self.uses.contains_key(name), "there is no module {name}");
        }
    }

    fn read(&mut self, root: &Root, source: &Path, module: &[String]) {
        let (file, text) = open(source, module);
        let code = code(&text);
        let from = &module[0];
        for path in source::paths(&code) {
            let Some(to) = root.module_of(&path.segments, module) else {
                continue;
            };
            if to == *from {
                continue;
            }
            let number = code[..path.at].matches('\n').count() + 1;
            let using = Use {
                from: from.clone(),
                line: format!("{}:{number}", file.display()),
                to: to.clone(),
            };
            let uses = self.uses.entry(from.clone()).or_default();
            uses.entry(to).or_insert(using);
        }
        for child in declared(&code) {
            self.read(root, source, &[module, &[child]].concat());
        }
    }
}

impl Root {
    fn new(lib: &str) -> Self {
        let modules: BTreeSet<String> = declared(lib).into_iter().collect();
        let mut reexports = BTreeMap::new();
        let uses = Regex::new(r"(?m)^pub(?:\([a-z]+\))? use ").unwrap();
        for start in uses.find_iter(lib) {
            let mut paths = Vec::new();
            source::expand(&lib[start.end()..], start.end(), &[], &mut paths);
            for path in paths {
                let module = path
                    .segments
                    .iter()
                    .find(|segment| modules.contains(*segment));
                reexports.extend(module.map(|module| (path.name, module.clone())));
            }
        }
        Self { modules, reexports }
    }

    /// The top-level module of a path in this module; `None`: another crate's.
    fn module_of(&self, path: &[String], module: &[String]) -> Option<String> {
        let mut base: Vec<&String> = module.iter().collect();
        let mut rest = path.iter();
        let next = loop {
            let segment = rest.next()?;
            match segment.as_str() {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                "self" => {}
                _ => break segment,
            }
        };
        match base.first() {
            Some(&top) => Some(top.clone()),
            None if self.modules.contains(next) => Some(next.clone()),
            None => self.reexports.get(next).cloned(),
        }
    }
}

impl std::fmt::Display for Use {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} uses {} at {}", self.from, self.to, self.line)
    }
}

/// The modules that a file declares without a body.
fn declared(code: &str) -> Vec<String> {
    let declaration = Regex::new(r"(?m)^\s*(?:pub(?:\([^)]*\))? )?mod (\w+);").unwrap();
    let found = declaration.captures_iter(code);
    found.map(|found| found[1].to_owned()).collect()
}

fn open(source: &Path, module: &[String]) -> (PathBuf, String) {
    let directory = source.join(module.join("/"));
    let (file, mod_rs) = (directory.with_extension("rs"), directory.join("mod.rs"));
    let file = if file.exists() { file } else { mod_rs };
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (file, text)
}
