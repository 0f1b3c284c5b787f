//! How much more than its text an expression takes when it is compiled.
//!
//! Most expressions take memory in proportion to their text. Counted repetitions such as `{100}` multiply it, and so does the
//! table that finds capture groups in one pass, which has a column for each class of bytes. Only these are counted: an estimate
//! from above, by the layout of the engines, that needs no compilation.

use super::node::Node;

/// Of a state of the automaton, bytes.
const STATE: usize = 64;
/// The same with the engine that backtracks, whose parts are compiled one by one.
const BACKTRACKING_STATE: usize = 512;
/// States for each byte of an expression that are not counted.
const USUAL_STATES: usize = 2;
/// Of an entry of the table for capture groups, bytes.
const ENTRY: usize = 8;
/// The engine makes no larger table for capture groups, bytes.
const LARGEST_TABLE: usize = 1 << 20;
/// What such a table may have without being counted, bytes: that of a usual path has a few thousand.
const SMALL_TABLE: usize = 16 << 10;

/// The weight of an expression that is `length` bytes long.
pub(super) fn weight(node: &Node, length: usize, backtracks: bool) -> usize {
    let states = states(node);
    if backtracks {
        return states.saturating_mul(BACKTRACKING_STATE);
    }
    let table = if node.captures() {
        let entries = states.saturating_mul(classes(node).next_power_of_two());
        let table = entries.saturating_mul(ENTRY).min(LARGEST_TABLE);
        table.saturating_sub(SMALL_TABLE)
    } else {
        0
    };
    let usual = length.saturating_mul(USUAL_STATES);
    let added = states.saturating_sub(usual).saturating_mul(STATE);
    added.saturating_add(table)
}

fn states(node: &Node) -> usize {
    let sum = |items: &[Node]| items.iter().map(states).fold(0, usize::saturating_add);
    match node {
        // Each range of a set takes some bytes more.
        Node::Byte(set) => 1 + set.ranges().len() / 2,
        Node::Position(_) | Node::Reference { .. } => 1,
        Node::Group { body, .. } | Node::Atomic(body) | Node::Look { body, .. } => {
            states(body).saturating_add(2)
        }
        Node::Sequence(items) => sum(items),
        Node::Alternatives(items) => sum(items).saturating_add(1),
        Node::Repetition { body, times, .. } => {
            let copies = times.most.unwrap_or(times.least).max(1);
            let copies = usize::try_from(copies).unwrap_or(usize::MAX);
            states(body).saturating_add(1).saturating_mul(copies)
        }
    }
}

/// Classes of bytes between which the expression distinguishes.
fn classes(node: &Node) -> usize {
    let mut starts = [false; 257];
    mark(node, &mut starts);
    1 + starts.iter().filter(|start| **start).count()
}

/// Marks the bytes at which a class begins.
fn mark(node: &Node, starts: &mut [bool; 257]) {
    match node {
        Node::Byte(set) => {
            for (first, last) in set.ranges() {
                for start in [usize::from(first), usize::from(last) + 1] {
                    if let Some(start) = starts.get_mut(start) {
                        *start = true;
                    }
                }
            }
        }
        Node::Position(_) | Node::Reference { .. } => {}
        Node::Group { body, .. }
        | Node::Atomic(body)
        | Node::Look { body, .. }
        | Node::Repetition { body, .. } => mark(body, starts),
        Node::Sequence(items) | Node::Alternatives(items) => {
            items.iter().for_each(|item| mark(item, starts));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::Pattern;
    use crate::pattern::{reader, writer};

    #[test]
    fn usual_expressions_weigh_nothing() {
        for source in [
            "/api(/|$)(.*)",
            "^/(?P<lang>[a-z]{2})/(cart|checkout|account)(/.*)?$",
            r"/v\d+/(customers|orders)/([^/]+)/(.*)",
            "/static/.*\\.(css|js|png|svg|woff2)$",
            "/shop/[A-Za-z0-9_-]+/reviews",
        ] {
            assert_eq!(Pattern::weight_of(source), 0, "{source}");
        }
    }

    #[test]
    fn repetitions_and_wide_tables_weigh_what_they_take() {
        for (source, least) in [
            ("/[a-z]{1000}", 60_000),
            ("/(?:[a-z0-9]{100}){10}", 60_000),
            (r"/\w{1,500}", 30_000),
            ("/((?:ab){100}){20}", 250_000),
        ] {
            let weight = Pattern::weight_of(source);
            assert!(weight >= least, "{source}: {weight}");
            // The engine needs no more than was counted, besides what is in proportion to the text.
            let text = writer::write(&reader::read(source, false).unwrap().node);
            let compiled = regex::bytes::RegexBuilder::new(&text)
                .unicode(false)
                .size_limit(weight + USUAL_STATES * STATE * source.len() + 1024)
                .build();
            assert!(compiled.is_ok(), "{source}: {weight}, {compiled:?}");
        }
        let every_letter: String = (b'a'..=b'z').chain(b'A'..=b'Z').map(char::from).collect();
        let wide = format!("/({every_letter}){}", every_letter.repeat(3));
        assert!(Pattern::weight_of(&wide) > 64 << 10);
        assert!(Pattern::weight_of(r"/(a+)\1(?!b)") > 1000);
        assert!(Pattern::weight_of("/((((a{60000}){60000}){60000}){60000})") > 1 << 40);
        assert_eq!(Pattern::weight_of("/a("), 0, "no expression");
    }
}
