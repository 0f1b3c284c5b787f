#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
use std::iter;

use proptest::prelude::*;

use super::*;

/// Each directive as `line name[argument|argument]{block}`.
fn show(list: &[Written]) -> String {
    let shown = list.iter().map(|written| {
        let block = written
            .block
            .as_ref()
            .map(|block| format!("{{{}}}", show(block)));
        let arguments = written.arguments.join("|");
        format!(
            "{} {}[{arguments}]{}",
            written.line,
            written.name,
            block.unwrap_or_default()
        )
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn parsed(text: &str) -> String {
    match parse(text) {
        Ok(list) => show(&list),
        Err(error) => error.to_string(),
    }
}

#[test]
fn words_quotes_and_escapes() {
    for (text, expected) in [
        ("", ""),
        ("  # only; a { comment", ""),
        ("gzip on;", "1 gzip[on]"),
        ("gzip\n\ton ; # x\nexpires -1;", "1 gzip[on] 3 expires[-1]"),
        ("a \"b; c\" 'd {e}';", "1 a[b; c|d {e}]"),
        (r#"a "b\"c" 'd\'e' f\"g;"#, r#"1 a[b"c|d'e|f"g]"#),
        (r"a ^/x\.y(\d+)$ \\ \;z;", r"1 a[^/x\.y(\d+)$|\|\;z]"),
        (r#"a "x\ty\nz";"#, "1 a[x\ty\nz]"),
        ("a b#c;", "1 a[b#c]"),
        ("a ${b}c $d{e}", "\";\" is missing"),
        ("a ${b}c;", "1 a[${b}c]"),
        ("a b}c;", "1 a[b}c]"),
        ("a 'x\ny' z;\nb;", "1 a[x\ny|z] 3 b[]"),
        (
            "if ($a = \"b c\") { return 403; }",
            "1 if[($a|=|b c|)]{1 return[403]}",
        ),
        (
            "location / {\n  location /x {\n deny all;\n }\n}",
            "1 location[/]{2 location[/x]{3 deny[all]}}",
        ),
        ("a{}b;", "1 a[]{} 1 b[]"),
        ("a{b c}", "line 1: \";\" is missing"),
    ] {
        let found = parsed(text);
        assert!(
            found == expected || found.contains(expected) && !expected.is_empty(),
            "{text}: {found}"
        );
    }
}

#[test]
fn errors_have_their_line() {
    for (text, line, reason) in [
        ("gzip on;\n}", 2, "without a block"),
        ("gzip on;\n;", 2, "without a directive"),
        ("\n{", 2, "without a directive"),
        ("if (a) {\n gzip on;\n", 3, "missing at the end"),
        ("a;\n\nb c", 3, "\";\" is missing"),
        ("a;\nb \"c\n d;", 2, "is not closed"),
        ("a \"b\"c;", 1, "directly after a quote"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(parse(&"a;".repeat(MAX_DIRECTIVES)).is_ok());
    for text in [
        "a;".repeat(MAX_DIRECTIVES + 1),
        " ".repeat(MAX_TEXT + 1),
        format!("a {};", "b".repeat(MAX_WORD + 1)),
        format!("a \"{}\";", "b".repeat(MAX_WORD + 1)),
        format!(
            "{}{}",
            "a {".repeat(MAX_DEPTH + 1),
            "}".repeat(MAX_DEPTH + 1)
        ),
    ] {
        assert!(parse(&text).is_err());
    }
    let deep = format!("{}{}", "a {".repeat(MAX_DEPTH), "}".repeat(MAX_DEPTH));
    assert!(parse(&deep).is_ok());
}

/// Words as they may be written, and what they mean.
fn word() -> impl Strategy<Value = String> {
    "[ -~\t\n]{0,12}"
}

/// A directive of these words, with blocks up to a depth.
fn written(depth: u32) -> BoxedStrategy<Written> {
    let leaf =
        ("[a-z_]{1,8}", prop::collection::vec(word(), 0..4)).prop_map(|(name, arguments)| {
            Written {
                name,
                line: 0,
                arguments,
                block: None,
            }
        });
    leaf.prop_recursive(depth, 16, 4, |inner| {
        (
            "[a-z_]{1,8}",
            prop::collection::vec(word(), 0..3),
            prop::collection::vec(inner, 0..4),
        )
            .prop_map(|(name, arguments, block)| Written {
                name,
                line: 0,
                arguments,
                block: Some(block),
            })
    })
    .boxed()
}

/// The text of a directive, every word in quotes.
fn write(written: &Written, out: &mut String) {
    for word in iter::once(&written.name).chain(&written.arguments) {
        let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
        out.push_str(&format!("\"{escaped}\" "));
    }
    match &written.block {
        None => out.push_str(";\n"),
        Some(block) => {
            out.push_str("{\n");
            block.iter().for_each(|inner| write(inner, out));
            out.push_str("}\n");
        }
    }
}

fn without_lines(list: Vec<Written>) -> Vec<Written> {
    let without = list.into_iter().map(|written| Written {
        line: 0,
        block: written.block.map(without_lines),
        ..written
    });
    without.collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(list in prop::collection::vec(written(4), 0..5)) {
        let mut text = String::new();
        list.iter().for_each(|written| write(written, &mut text));
        prop_assert_eq!(without_lines(parse(&text).unwrap()), list);
    }

    #[test]
    fn any_text_is_directives_or_an_error(text in "[a-z{};\"'\\\\$# \n]{0,64}") {
        let lines = text.lines().count().max(1) + 1;
        match parse(&text) {
            Ok(list) => prop_assert!(list.len() <= text.len()),
            Err(error) => prop_assert!(error.line as usize <= lines, "{}", error),
        }
    }

    #[test]
    fn a_comment_changes_nothing(list in prop::collection::vec(written(2), 1..4), comment in "[ -~]{0,20}") {
        let mut text = String::new();
        list.iter().for_each(|written| write(written, &mut text));
        let commented = format!("# {comment}\n{text}# {comment}");
        let (plain, commented) = (parse(&text).unwrap(), parse(&commented).unwrap());
        prop_assert_eq!(without_lines(plain), without_lines(commented));
    }
}

/// Text is directives with types, or refused with a reason of one short line; written again, its syntax is the same.
fn is_read_or_refused(bytes: &[u8]) {
    use super::super::{Place, read};
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(list) = parse(text) {
        let mut again = String::new();
        list.iter().for_each(|written| write(written, &mut again));
        let fits = again.len() <= MAX_TEXT;
        assert!(!fits || without_lines(parse(&again).unwrap()) == without_lines(list));
    }
    for place in [Place::Location, Place::Server, Place::Http] {
        let reading = read(text, place);
        let remarks = reading.remarks.iter().map(|remark| &remark.message);
        for message in remarks.chain(&reading.closed) {
            assert!(
                message.len() < 2000 && !message.contains(char::is_control),
                "{message:?}"
            );
        }
    }
}

#[test]
fn fuzz_snippet() {
    headgate_fuzz::check("snippet", is_read_or_refused);
}
