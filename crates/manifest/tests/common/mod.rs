//! What the tests of the source share: folders that go away, and waiting for a batch.

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
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder and a source over it, or over files in it.
pub(crate) struct Fixture {
    pub(crate) source: Source,
    folder: TempDir,
}

impl Fixture {
    /// A folder with these files, all of it served.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::over(files, &[""], SourceOptions::default())
    }

    /// A folder with these files, of which these paths are served.
    pub(crate) fn over(files: &[(&str, &str)], served: &[&str], options: SourceOptions) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            write(&folder.path().join(name), text);
        }
        let paths = served.iter().map(|path| folder.path().join(path)).collect();
        Self {
            source: Source::open(paths, options).unwrap(),
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in place in one step, with folders as needed.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let beside = self.path(".beside");
        write(&beside, text);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    /// Writes into a file as it is, in several steps.
    pub(crate) fn overwrite(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.path(name)).unwrap();
        text.as_bytes()
            .chunks(16)
            .for_each(|part| file.write_all(part).unwrap());
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> Batch {
        tokio::time::timeout(PATIENCE, self.source.changes())
            .await
            .expect("no batch came")
    }

    /// The next batch, as text: changes, then findings, with paths relative to the folder.
    pub(crate) async fn told(&mut self) -> Vec<String> {
        let batch = self.next().await;
        let prefix = format!("{}/", self.folder.path().display());
        changes(&self.source, &batch)
            .into_iter()
            .chain(
                findings(&batch)
                    .iter()
                    .map(|text| text.replace(&prefix, "")),
            )
            .collect()
    }

    /// Waits for a batch with exactly this change in it, for writers that need several steps.
    pub(crate) async fn until(&mut self, change: &str) {
        while !self.changed().await.iter().any(|told| told == change) {}
    }

    /// The next batch's changes.
    pub(crate) async fn changed(&mut self) -> Vec<String> {
        let batch = self.next().await;
        changes(&self.source, &batch)
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What changed, sorted by kind and name.
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

/// Enough of an object to tell its versions apart.
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

/// How [`config_map`] is told.
pub(crate) fn applied(name: &str, value: &str) -> String {
    format!("+ ConfigMap default/{name} {{\"key\": {value:?}}}")
}

/// How the removal of a [`config_map`] is told.
pub(crate) fn deleted(name: &str) -> String {
    format!("- ConfigMap default/{name}")
}
