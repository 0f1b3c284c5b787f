//! What the commands print: `commands/<case>.in.yaml` holds manifests and the command lines to run with them, one in each
//! comment `# run NAME: ARGUMENTS`, in which `FILE` is the path of the case. The output of each, with its exit code, is in
//! `commands/<case>.NAME.out`. `UPDATE_GOLDEN=1 cargo test --test commands` writes the outputs; read the diff before you commit
//! it, because it is the test.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use headgate_testkit::Program;

const DIRECTORY: &str = "tests/commands";

#[test]
fn outputs_of_commands() {
    let cases = files(".in.yaml");
    assert!(!cases.is_empty());
    let mut expected = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        let text = fs::read_to_string(case).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("# run "));
        for (name, arguments) in lines.filter_map(|line| line.split_once(": ")) {
            let output = PathBuf::from(
                case.to_string_lossy()
                    .replace(".in.yaml", &format!(".{name}.out")),
            );
            failures.extend(check(case, arguments, &output));
            expected.insert(output);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let orphaned: Vec<_> = files(".out")
        .into_iter()
        .filter(|output| !expected.contains(output))
        .collect();
    assert!(orphaned.is_empty(), "outputs without a case: {orphaned:?}");
}

/// Runs one command line and compares its output, or writes it. Returns what differs.
fn check(case: &Path, arguments: &str, output: &Path) -> Option<String> {
    let file = case.to_str().unwrap();
    let arguments: Vec<String> = words(arguments)
        .iter()
        .map(|word| word.replace("FILE", file))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let exit = Program::run(env!("CARGO_BIN_EXE_headgate").as_ref(), &arguments);
    let code = exit.status.code().unwrap_or(-1);
    let found = format!("exit {code}\n{}{}\n", exit.stderr, exit.stdout);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(output, found).unwrap();
        return None;
    }
    let expected = fs::read_to_string(output).unwrap_or_default();
    (expected != found).then(|| format!("{}:\n{found}", output.display()))
}

/// Words between spaces; a word in single quotes may hold some.
fn words(text: &str) -> Vec<String> {
    let parts = text.split('\'').enumerate();
    parts
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn files(end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files
}
