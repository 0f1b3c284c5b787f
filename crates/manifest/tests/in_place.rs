//! Files that are written in place rather than replaced: no reader sees them empty or half written.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Write as _;

use common::{Fixture, applied, config_map, deleted};

#[tokio::test]
async fn a_file_that_is_written_in_place_is_read_when_it_is_closed() {
    let both = |value: &str| format!("{}---\n{}", config_map("a", value), config_map("b", value));
    let mut fixture = Fixture::new(&[("ab.yaml", &both("1")), ("c.yaml", &config_map("c", "1"))]);
    fixture.next().await;
    let mut file = std::fs::File::create(fixture.path("ab.yaml")).unwrap();
    fixture.write("c.yaml", &config_map("c", "2"));
    assert_eq!(fixture.next_lines().await, [applied("c", "2")]);
    file.write_all(config_map("a", "2").as_bytes()).unwrap();
    // A new file makes the directory be walked.
    fixture.write("d.yaml", &config_map("d", "1"));
    assert_eq!(fixture.next_lines().await, [applied("d", "1")]);
    write!(file, "---\n{}", config_map("b", "2")).unwrap();
    fixture.write("c.yaml", &config_map("c", "3"));
    assert_eq!(fixture.next_lines().await, [applied("c", "3")]);
    drop(file);
    assert_eq!(
        fixture.next_lines().await,
        [applied("a", "2"), applied("b", "2")]
    );
}

#[tokio::test]
async fn objects_of_an_emptied_file_stay_in_service_until_it_is_filled_or_removed() {
    let mut fixture = Fixture::new(&[("a.yaml", &config_map("a", "1"))]);
    fixture.next().await;
    for (text, value) in [("", "2"), ("\n", "3")] {
        std::fs::write(fixture.path("a.yaml"), text).unwrap();
        let lines = fixture.next_lines().await;
        assert_eq!(
            lines,
            [
                "error a.yaml:1 (document 1): is empty: to remove its objects, delete it; until this is fixed, these stay in \
                 service as last read: ConfigMap default/a"
            ]
        );
        std::fs::write(fixture.path("a.yaml"), config_map("a", value)).unwrap();
        assert_eq!(fixture.next_lines().await, [applied("a", value)]);
    }
    std::fs::write(fixture.path("a.yaml"), "").unwrap();
    fixture.next().await;
    fixture.remove("a.yaml");
    assert_eq!(fixture.next_lines().await, [deleted("a")]);
}

#[tokio::test]
async fn a_document_that_is_removed_in_place_is_gone() {
    let mut fixture = Fixture::new(&[(
        "ab.yaml",
        &format!("{}---\n{}", config_map("a", "1"), config_map("b", "1")),
    )]);
    fixture.next().await;
    fixture.overwrite("ab.yaml", "# b is gone\n");
    assert_eq!(
        fixture.next_lines().await,
        [deleted("a"), deleted("b")],
        "a comment is not an empty file"
    );
}
