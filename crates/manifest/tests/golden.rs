//! Golden tests: each file in `golden` is a source of its own, and the `.txt` beside it has the objects and findings read
//! from it. `UPDATE_GOLDEN=1` rewrites these.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};

use headgate_manifest::{Source, SourceOptions};

#[tokio::test]
async fn manifests_are_read_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "txt"));
    files.sort();
    assert!(files.len() > 5, "the cases are missing");
    let mut wrong = Vec::new();
    for file in files {
        let found = read(&file).await;
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!(
                "{}:\n{found}instead of\n{expected}",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn read(file: &Path) -> String {
    let mut source = Source::open(vec![file.to_owned()], SourceOptions::default()).unwrap();
    let batch = source.changes().await;
    let prefix = format!("{}/", file.parent().unwrap().display());
    let lines = common::changes(&source, &batch)
        .into_iter()
        .chain(common::findings(&batch));
    lines.map(|line| line.replace(&prefix, "") + "\n").collect()
}
