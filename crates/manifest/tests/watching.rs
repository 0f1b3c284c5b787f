//! Changes of files, in all the ways in which editors, programs and the kubelet make them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use common::{Fixture, applied, config_map, deleted};
use headgate_manifest::{Source, SourceError, SourceOptions};

#[tokio::test]
async fn the_first_batch_of_an_empty_directory_is_empty() {
    let mut fixture = Fixture::new(&[]);
    assert_eq!(fixture.next_lines().await, Vec::<String>::new());
    fixture.write("a.yaml", &config_map("a", "1"));
    assert_eq!(fixture.next_lines().await, [applied("a", "1")]);
}

#[tokio::test]
async fn a_file_is_written_replaced_and_removed() {
    let mut fixture = Fixture::new(&[
        ("a.yaml", &config_map("a", "1")),
        ("sub/b.yml", &config_map("b", "1")),
    ]);
    assert_eq!(
        fixture.next_lines().await,
        [applied("a", "1"), applied("b", "1")]
    );
    fixture.write("a.yaml", &config_map("a", "2"));
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
    fixture.write("a.yaml", &config_map("a", "3"));
    assert_eq!(fixture.next_lines().await, [applied("a", "3")]);
    fixture.write("sub/b.yml", &config_map("b", "2"));
    assert_eq!(fixture.next_lines().await, [applied("b", "2")]);
    fixture.overwrite("a.yaml", &config_map("a", "4"));
    fixture.wait_for(&applied("a", "4")).await;
    fixture.remove("a.yaml");
    assert_eq!(fixture.next_lines().await, [deleted("a")]);
}

#[tokio::test]
async fn a_change_is_reported_within_a_tenth_of_a_second() {
    let mut fixture = Fixture::new(&[("a.yaml", &config_map("a", "0"))]);
    fixture.next().await;
    // The best of several: the machine may be busy.
    let mut best = Duration::MAX;
    for round in 1..=20 {
        let value = round.to_string();
        fixture.write("a.yaml", &config_map("a", &value));
        let start = Instant::now();
        assert_eq!(fixture.next_changes().await, [applied("a", &value)]);
        best = best.min(start.elapsed());
    }
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[tokio::test]
async fn a_single_file_is_watched_through_replacement_and_return() {
    let files = [("a.yaml", &*config_map("a", "1")), ("other.yaml", "{")];
    let mut fixture = Fixture::over(&files, &["a.yaml"], SourceOptions::default());
    assert_eq!(fixture.next_lines().await, [applied("a", "1")]);
    fixture.write("other.yaml", &config_map("other", "1"));
    fixture.write("a.yaml", &config_map("a", "2"));
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
    fixture.remove("a.yaml");
    let gone =
        "warning a.yaml:1 (document 1): cannot be read: No such file or directory (os error 2)";
    assert_eq!(fixture.next_lines().await, [deleted("a"), gone.to_owned()]);
    fixture.write("a.yaml", &config_map("a", "3"));
    assert_eq!(fixture.next_lines().await, [applied("a", "3")]);
}

#[tokio::test]
async fn new_directories_are_found_at_any_depth() {
    let mut fixture = Fixture::new(&[]);
    fixture.next().await;
    fixture.write("x/y/z/a.yaml", &config_map("a", "1"));
    assert_eq!(fixture.next_lines().await, [applied("a", "1")]);
    fixture.write("x/y/z/b.yaml", &config_map("b", "1"));
    assert_eq!(fixture.next_lines().await, [applied("b", "1")]);
    fixture.write(
        "x/c.json",
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#,
    );
    assert_eq!(fixture.next_lines().await, ["+ ConfigMap default/c {}"]);
    std::fs::rename(fixture.path("x/y"), fixture.path("moved")).unwrap();
    // The same objects under another path are not a change; an edit there is.
    fixture.write("moved/z/a.yaml", &config_map("a", "2"));
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
    std::fs::remove_dir_all(fixture.path("moved")).unwrap();
    assert_eq!(fixture.next_lines().await, [deleted("a"), deleted("b")]);
}

#[tokio::test]
async fn a_replaced_directory_is_watched() {
    let files = [
        ("live/a.yaml", &*config_map("a", "1")),
        ("next/a.yaml", &*config_map("a", "2")),
    ];
    let mut fixture = Fixture::over(&files, &["live"], SourceOptions::default());
    assert_eq!(fixture.next_lines().await, [applied("a", "1")]);
    std::fs::rename(fixture.path("live"), fixture.path("old")).unwrap();
    std::fs::rename(fixture.path("next"), fixture.path("live")).unwrap();
    fixture.wait_for(&applied("a", "2")).await;
    fixture.write("live/a.yaml", &config_map("a", "3"));
    assert_eq!(fixture.next_lines().await, [applied("a", "3")]);
}

#[tokio::test]
async fn objects_of_a_missing_directory_stay_in_service() {
    let mut fixture = Fixture::over(
        &[("live/a.yaml", &config_map("a", "1"))],
        &["live"],
        SourceOptions::default(),
    );
    fixture.next().await;
    std::fs::rename(fixture.path("live"), fixture.path("away")).unwrap();
    let lines = fixture.next_lines().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("error live:1 ") && lines[0].contains("stay in service"),
        "{lines:?}"
    );
    fixture.write("away/a.yaml", &config_map("a", "2"));
    std::fs::rename(fixture.path("away"), fixture.path("live")).unwrap();
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
}

/// As the kubelet mounts and updates a ConfigMap.
#[tokio::test]
async fn a_mounted_config_map_is_replaced_by_its_data_link() {
    for served in ["mount", "mount/a.yaml"] {
        let files = [("mount/..one/a.yaml", &*config_map("a", "1"))];
        let fixture = Fixture::over(&files, &[], SourceOptions::default());
        symlink("..one", fixture.path("mount/..data")).unwrap();
        symlink("..data/a.yaml", fixture.path("mount/a.yaml")).unwrap();
        let mut source =
            Source::open(vec![fixture.path(served)], SourceOptions::default()).unwrap();
        assert_eq!(
            {
                let batch = source.changes().await;
                common::changes(&source, &batch)
            },
            [applied("a", "1")]
        );
        for (before, after, value) in [("..one", "..two", "2"), ("..two", "..three", "3")] {
            fixture.write(&format!("mount/{after}/a.yaml"), &config_map("a", value));
            symlink(after, fixture.path("mount/..data_tmp")).unwrap();
            std::fs::rename(
                fixture.path("mount/..data_tmp"),
                fixture.path("mount/..data"),
            )
            .unwrap();
            std::fs::remove_dir_all(fixture.path(&format!("mount/{before}"))).unwrap();
            let batch = tokio::time::timeout(Duration::from_secs(20), source.changes())
                .await
                .unwrap();
            assert_eq!(
                common::changes(&source, &batch),
                [applied("a", value)],
                "{served}"
            );
        }
    }
}

#[tokio::test]
async fn links_are_followed_once() {
    let fixture = Fixture::over(
        &[("tree/sub/a.yaml", &config_map("a", "1"))],
        &[],
        SourceOptions::default(),
    );
    fixture.write("elsewhere/b", &config_map("b", "1"));
    symlink("..", fixture.path("tree/sub/loop")).unwrap();
    symlink("sub/a.yaml", fixture.path("tree/again.yaml")).unwrap();
    symlink("nowhere", fixture.path("tree/dangling.yaml")).unwrap();
    symlink("self.yaml", fixture.path("tree/self.yaml")).unwrap();
    symlink("../elsewhere/b", fixture.path("tree/b.yaml")).unwrap();
    let mut source = Source::open(vec![fixture.path("tree")], SourceOptions::default()).unwrap();
    let batch = source.changes().await;
    assert_eq!(
        common::changes(&source, &batch),
        [applied("a", "1"), applied("b", "1")]
    );
    let findings = common::findings(&batch);
    assert!(
        findings.len() == 1 && findings[0].contains("self.yaml"),
        "{findings:?}"
    );
    fixture.write("elsewhere/b", &config_map("b", "2"));
    let batch = tokio::time::timeout(Duration::from_secs(20), source.changes())
        .await
        .unwrap();
    assert_eq!(common::changes(&source, &batch), [applied("b", "2")]);
}

#[tokio::test]
async fn hidden_files_and_those_of_editors_are_ignored() {
    let map = config_map("x", "1");
    let names = [
        ".hidden.yaml",
        ".#a.yaml",
        "a.yaml~",
        ".a.yaml.swp",
        "a.yaml.swp",
        ".git/a.yaml",
        "notes.txt",
        "yaml",
    ];
    let files: Vec<_> = names.iter().map(|name| (*name, &*map)).collect();
    let mut fixture = Fixture::new(&files);
    assert_eq!(fixture.next_lines().await, Vec::<String>::new());
}

#[tokio::test]
async fn only_objects_that_differ_are_reported() {
    let both = format!("{}---\n{}", config_map("a", "1"), config_map("b", "1"));
    let mut fixture = Fixture::new(&[("a.yaml", &both)]);
    fixture.next().await;
    // The second moves and gets a comment, the first changes.
    fixture.write(
        "a.yaml",
        &format!(
            "# more\n\n{}---\n# more\n{}",
            config_map("a", "2"),
            config_map("b", "1")
        ),
    );
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
}

#[tokio::test]
async fn the_last_definition_wins_and_the_previous_one_returns_after_its_removal() {
    let mut fixture = Fixture::new(&[
        ("a.yaml", &config_map("x", "1")),
        ("b.yaml", &config_map("x", "2")),
    ]);
    let lines = fixture.next_lines().await;
    assert_eq!(lines[0], applied("x", "2"));
    assert!(
        lines[1].starts_with("warning a.yaml:1 (document 1): ")
            && lines[1].contains("b.yaml:1 (document 1)"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    fixture.remove("b.yaml");
    assert_eq!(fixture.next_lines().await, [applied("x", "1")]);
}

/// The position of an inner list decides before the position in it.
#[tokio::test]
async fn the_last_definition_of_nested_lists_wins() {
    let list = |items: &[String]| {
        let items = items.join(",");
        format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}"#)
    };
    let item = |name: &str, value: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}, "data": {{"key": "{value}"}}}}"#
        )
    };
    let first = list(&[item("y", "1"), item("x", "1")]);
    let second = list(&[item("x", "2"), item("y", "2")]);
    let third = list(&[item("z", "1"), item("y", "3")]);
    let mut fixture = Fixture::new(&[("a.json", &list(&[first, second, third]))]);
    let lines = fixture.next_lines().await;
    let overridden = |place: &str, name: &str, by: &str| {
        format!(
            "warning a.json:1 (document 1): {place}: ConfigMap default/{name} is defined again at a.json:1 \
             (document 1, {by}), which comes later and is served; this definition is ignored"
        )
    };
    let expected = [
        applied("x", "2"),
        applied("y", "3"),
        applied("z", "1"),
        overridden("items[0].items[0]", "y", "items[2].items[1]"),
        overridden("items[0].items[1]", "x", "items[1].items[0]"),
        overridden("items[1].items[1]", "y", "items[2].items[1]"),
    ];
    assert_eq!(lines, expected);
}

/// As an overlay over a base: breaking it must not serve the base.
#[tokio::test]
async fn a_kept_object_overrides_earlier_definitions_until_one_is_edited() {
    let mut fixture = Fixture::new(&[
        ("a.yaml", &config_map("x", "1")),
        ("b.yaml", &config_map("x", "2")),
    ]);
    assert_eq!(fixture.next_lines().await[0], applied("x", "2"));
    let broken = "kind: ConfigMap\na: [\n";
    fixture.write("b.yaml", broken);
    let lines = fixture.next_lines().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with("as last read: ConfigMap default/x"),
        "{lines:?}"
    );
    fixture.write("b.yaml", &format!("# more\n{broken}"));
    assert_eq!(fixture.next_changes().await, Vec::<String>::new());
    fixture.write("a.yaml", &config_map("x", "3"));
    assert_eq!(fixture.next_changes().await, [applied("x", "3")]);
    fixture.write("b.yaml", &config_map("x", "4"));
    assert_eq!(fixture.next_changes().await, [applied("x", "4")]);
}

#[tokio::test]
async fn the_order_of_paths_precedes_the_order_of_names() {
    let files = [
        ("a.yaml", &*config_map("x", "1")),
        ("b.yaml", &*config_map("x", "2")),
    ];
    let mut fixture = Fixture::over(&files, &["b.yaml", "a.yaml"], SourceOptions::default());
    assert_eq!(fixture.next_changes().await, [applied("x", "1")]);
}

#[tokio::test]
async fn an_object_whose_document_breaks_stays_in_service_until_it_is_fixed_or_removed() {
    let (a, b, c) = (
        config_map("a", "1"),
        config_map("b", "1"),
        config_map("c", "1"),
    );
    let broken = "apiVersion: v1\nkind: ConfigMap\ndata: {\n";
    let mut fixture = Fixture::new(&[("x.yaml", &format!("{a}---\n{b}---\n{c}"))]);
    fixture.next().await;

    // b breaks, and a document is put before it.
    fixture.write(
        "x.yaml",
        &format!("{a}---\n{}---\n{broken}---\n{c}", config_map("new", "1")),
    );
    let lines = fixture.next_lines().await;
    assert_eq!(lines[0], applied("new", "1"));
    assert!(
        lines[1].ends_with("these stay in service as last read: ConfigMap default/b"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);

    // While it is broken, an object removed elsewhere in the file is deleted.
    fixture.write("x.yaml", &format!("{a}---\n{broken}---\n{c}"));
    let lines = fixture.next_lines().await;
    assert_eq!(lines[0], deleted("new"));
    assert!(
        lines[1].ends_with("as last read: ConfigMap default/b"),
        "{lines:?}"
    );

    // Broken in another way, it still stays.
    fixture.write("x.yaml", &format!("{a}---\n{broken}- x\n---\n{c}"));
    assert!(fixture.next_lines().await[0].ends_with("as last read: ConfigMap default/b"));

    fixture.write(
        "x.yaml",
        &format!("{a}---\n{}---\n{c}", config_map("b", "2")),
    );
    assert_eq!(fixture.next_lines().await, [applied("b", "2")]);

    fixture.write("x.yaml", &format!("{a}---\n{broken}---\n{c}"));
    assert!(fixture.next_lines().await[0].ends_with("as last read: ConfigMap default/b"));
    fixture.write("x.yaml", &format!("{a}---\n{c}"));
    assert_eq!(fixture.next_lines().await, [deleted("b")]);
}

#[tokio::test]
async fn a_fixed_object_can_be_removed_while_another_document_is_still_broken() {
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let (broken_a, broken_b) = ("kind: ConfigMap\na: [\n", "kind: ConfigMap\nb: [\n");
    let mut fixture = Fixture::new(&[("x.yaml", &format!("{a}---\n{b}"))]);
    fixture.next().await;
    fixture.write("x.yaml", &format!("{broken_a}---\n{broken_b}"));
    assert_eq!(fixture.next_lines().await.len(), 2);
    fixture.write(
        "x.yaml",
        &format!("{}---\n{broken_b}", config_map("a", "2")),
    );
    assert_eq!(fixture.next_lines().await[0], applied("a", "2"));
    fixture.write("x.yaml", broken_b);
    assert_eq!(fixture.next_lines().await[0], deleted("a"));
}

#[tokio::test]
async fn objects_of_an_unreadable_file_stay_in_service() {
    let mut fixture = Fixture::new(&[("a.yaml", &config_map("a", "1"))]);
    fixture.next().await;
    std::fs::write(fixture.path("a.yaml"), b"kind: ConfigMap\n# \xff\n").unwrap();
    let lines = fixture.next_lines().await;
    let expected = "error a.yaml:2 (document 1): is not UTF-8 text; \
                    until this is fixed, these stay in service as last read: ConfigMap default/a";
    assert_eq!(lines, [expected]);
    // Too large.
    std::fs::File::create(fixture.path("a.yaml"))
        .unwrap()
        .set_len(65 << 20)
        .unwrap();
    assert!(fixture.next_lines().await[0].contains("larger than 64 MiB"));
    fixture.write("a.yaml", &config_map("a", "2"));
    assert_eq!(fixture.next_lines().await, [applied("a", "2")]);
}

#[tokio::test]
async fn findings_are_removed_with_their_cause() {
    let mut fixture = Fixture::new(&[("a.yaml", "a: ["), ("b.yaml", &config_map("b", "1"))]);
    assert_eq!(fixture.next().await.findings.len(), 1);
    fixture.write("b.yaml", &config_map("b", "2"));
    assert_eq!(
        fixture.next().await.findings.len(),
        1,
        "every batch has all findings"
    );
    fixture.remove("a.yaml");
    assert_eq!(fixture.next_lines().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_call_loses_no_change() {
    let mut fixture = Fixture::new(&[("a.yaml", &config_map("a", "0"))]);
    fixture.next().await;
    for round in 1..50_u32 {
        fixture.write("a.yaml", &config_map("a", &round.to_string()));
        let cancelled = tokio::time::timeout(
            Duration::from_micros(u64::from(round) * 700),
            fixture.source.changes(),
        );
        let changes = match cancelled.await {
            Ok(batch) => common::changes(&fixture.source, &batch),
            Err(_) => fixture.next_changes().await,
        };
        assert_eq!(changes, [applied("a", &round.to_string())]);
    }
}

#[tokio::test]
async fn without_events_files_are_polled() {
    let options = SourceOptions {
        poll: Some(Duration::from_millis(5)),
    };
    let mut fixture = Fixture::over(&[("a.yaml", &config_map("a", "1"))], &[""], options);
    assert_eq!(fixture.next_lines().await, [applied("a", "1")]);
    fixture.write("a.yaml", &config_map("a", "2"));
    fixture.write("sub.yaml", &config_map("b", "1"));
    let mut lines = fixture.next_lines().await;
    if lines.len() == 1 {
        lines.extend(fixture.next_lines().await);
    }
    assert_eq!(lines, [applied("a", "2"), applied("b", "1")]);
    fixture.remove("a.yaml");
    assert_eq!(fixture.next_lines().await, [deleted("a")]);
}

#[test]
fn errors_of_opening_name_the_path() {
    let error = Source::open(vec!["/nowhere/at/all".into()], SourceOptions::default())
        .err()
        .unwrap();
    assert!(matches!(&error, SourceError::Unreadable { .. }));
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    let error = Source::open(vec!["/dev/null".into()], SourceOptions::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "/dev/null is neither a file nor a directory"
    );
}
