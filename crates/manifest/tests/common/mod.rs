//! Shared by the tests of the source: temporary directories, and waiting for a batch.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part; a failed unwrap is a failed test"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headgate_compile::{Batch, Object};
use headgate_manifest::{Source, SourceOptions};
use tempfile::TempDir;

/// Far longer than any change takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A temporary directory and a source over it, or over paths in it.
pub(crate) struct Fixture {
    pub(crate) source: Source,
    directory: TempDir,
}

impl Fixture {
    /// A directory with these files, which is served.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::over(files, &[""], SourceOptions::default())
    }

    /// A directory with these files, of which these paths are served.
    pub(crate) fn over(files: &[(&str, &str)], served: &[&str], options: SourceOptions) -> Self {
        let directory = TempDir::new().unwrap();
        for (name, text) in files {
            write(&directory.path().join(name), text);
        }
        let paths = served
            .iter()
            .map(|path| directory.path().join(path))
            .collect();
        Self {
            source: Source::open(paths, options).unwrap(),
            directory,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Creates or replaces a file atomically, with directories as needed.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let beside = self.path(".beside");
        write(&beside, text);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    /// Writes a file in place, in several steps.
    pub(crate) fn overwrite(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.path(name)).unwrap();
        text.as_bytes()
            .chunks(16)
            .for_each(|part| file.write_all(part).unwrap());
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) async fn next(&mut self) -> Batch {
        tokio::time::timeout(TIMEOUT, self.source.changes())
            .await
            .expect("no batch came")
    }

    /// The next batch as text: changes, then findings, with paths relative to the directory.
    pub(crate) async fn next_lines(&mut self) -> Vec<String> {
        let batch = self.next().await;
        let prefix = format!("{}/", self.directory.path().display());
        changes(&self.source, &batch)
            .into_iter()
            .chain(
                findings(&batch)
                    .iter()
                    .map(|text| text.replace(&prefix, "")),
            )
            .collect()
    }

    /// Waits for a batch with this change in it, for writers that need several steps.
    pub(crate) async fn wait_for(&mut self, change: &str) {
        while !self.next_changes().await.iter().any(|line| line == change) {}
    }

    /// The changes of the next batch.
    pub(crate) async fn next_changes(&mut self) -> Vec<String> {
        let batch = self.next().await;
        changes(&self.source, &batch)
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The changes of a batch as text, sorted by kind and name.
pub(crate) fn changes(source: &Source, batch: &Batch) -> Vec<String> {
    let mut changed: Vec<_> = batch.changes.objects().collect();
    changed.sort();
    changed.dedup();
    let changed = changed.into_iter();
    changed
        .map(|object| match source.snapshot().object(object) {
            Some(object) => format!("+ {}{}", object.reference(), detail(object)),
            None => format!("- {object}"),
        })
        .collect()
}

pub(crate) fn findings(batch: &Batch) -> Vec<String> {
    batch.findings.iter().map(ToString::to_string).collect()
}

/// Enough of an object to distinguish its versions.
fn detail(object: &Object) -> String {
    match object {
        Object::ConfigMap(map) => format!(" {:?}", map.data()),
        Object::Secret(secret) => {
            let shown = ["tls.crt", "tls.key", "ca.crt"].map(|key| {
                let value = secret.get(key)?;
                Some(format!("{key}={}", String::from_utf8_lossy(value)))
            });
            format!(" {:?}", shown.into_iter().flatten().collect::<Vec<_>>())
        }
        Object::Ingress(ingress) => format!(
            " {:?}",
            ingress.metadata.annotations.clone().unwrap_or_default()
        ),
        Object::Service(service) => {
            format!(" {:?}", service.port_names().collect::<Vec<_>>())
        }
        _ => String::new(),
    }
}

/// A ConfigMap with one value.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: \"{value}\"}}\n"
    )
}

/// The line for a created or changed [`config_map`].
pub(crate) fn applied(name: &str, value: &str) -> String {
    format!("+ ConfigMap default/{name} {{\"key\": {value:?}}}")
}

/// The line for a deleted [`config_map`].
pub(crate) fn deleted(name: &str) -> String {
    format!("- ConfigMap default/{name}")
}
