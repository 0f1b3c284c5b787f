//! Writes a tree in the dialect that both engines read alike. Every byte outside of a small safe set is escaped, every class is
//! a list of ranges, and flags are resolved, so that nothing is left that the engines could read otherwise than PCRE.

use std::fmt::Write;

use super::bytes::ByteSet;
use super::node::{Look, Node, Position, Times};

/// The text of `node`.
pub(super) fn write(node: &Node) -> String {
    let mut out = String::new();
    append(node, &mut out);
    out
}

fn append(node: &Node, out: &mut String) {
    match node {
        Node::Byte(set) => append_set(*set, out),
        Node::Position(position) => out.push_str(match position {
            Position::Start => r"\A",
            Position::End => r"\z",
            Position::LineStart => "(?m:^)",
            Position::LineEnd => "(?m:$)",
            Position::WordBoundary => r"\b",
            Position::NoWordBoundary => r"\B",
        }),
        Node::Group { captures, body } => {
            enclose(if *captures { "(" } else { "(?:" }, body, out);
        }
        Node::Atomic(body) => enclose("(?>", body, out),
        Node::Look { look, body } => {
            let open = match look {
                Look::Ahead => "(?=",
                Look::NotAhead => "(?!",
                Look::Behind => "(?<=",
                Look::NotBehind => "(?<!",
            };
            match &**body {
                // Each branch has a length of its own, and with only one length the engine steps back by bytes.
                Node::Alternatives(branches) if *look == Look::Behind => {
                    out.push_str("(?>");
                    append_each(open, branches, "|", out);
                    out.push(')');
                }
                Node::Alternatives(branches) if *look == Look::NotBehind => {
                    out.push_str("(?:");
                    append_each(open, branches, "", out);
                    out.push(')');
                }
                // The engine would come back to another way to match a look-around: with other groups.
                body if matches!(look, Look::Ahead | Look::Behind) && body.captures() => {
                    enclose(open, &Node::Atomic(Box::new(body.clone())), out);
                }
                _ => enclose(open, body, out),
            }
        }
        Node::Reference { group, insensitive } => {
            let flag = if *insensitive { "i" } else { "" };
            append_text(format_args!(r"(?{flag}:\{group})"), out);
        }
        Node::Sequence(items) => items.iter().for_each(|item| append(item, out)),
        Node::Alternatives(branches) => {
            for (at, branch) in branches.iter().enumerate() {
                if at > 0 {
                    out.push('|');
                }
                append(branch, out);
            }
        }
        Node::Repetition {
            body,
            times,
            greedy,
        } => append_repetition(body, *times, *greedy, out),
    }
}

fn append_repetition(body: &Node, times: Times, greedy: bool, out: &mut String) {
    match body {
        // `a{0}` is nothing; without it the backtracking engine takes ((?>.)+?)* for ((?>.)+?)?.
        Node::Group {
            captures: true,
            body,
        } if times.least == 0 && times.most.is_none() => enclose("(a{0}", body, out),
        _ => append(body, out),
    }
    append_times(times, out);
    if !greedy {
        out.push('?');
    }
}

fn enclose(open: &str, body: &Node, out: &mut String) {
    out.push_str(open);
    append(body, out);
    out.push(')');
}

fn append_each(open: &str, branches: &[Node], between: &str, out: &mut String) {
    for (at, branch) in branches.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        enclose(open, branch, out);
    }
}

fn append_times(times: Times, out: &mut String) {
    match (times.least, times.most) {
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (least, None) => append_text(format_args!("{{{least},}}"), out),
        (least, Some(most)) => append_text(format_args!("{{{least},{most}}}"), out),
    }
}

fn append_set(set: ByteSet, out: &mut String) {
    let ranges = set.ranges();
    if let [(first, last)] = *ranges.as_slice()
        && first == last
    {
        return append_byte(first, out);
    }
    // No byte at all: the complement of all.
    let (open, ranges) = match ranges.is_empty() {
        true => ("[^", vec![(0, u8::MAX)]),
        false => ("[", ranges),
    };
    out.push_str(open);
    for (first, last) in ranges {
        append_byte(first, out);
        if last > first {
            out.push('-');
            append_byte(last, out);
        }
    }
    out.push(']');
}

fn append_byte(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'=' | b',' | b';' | b'%') {
        out.push(char::from(byte));
    } else {
        append_text(format_args!(r"\x{byte:02X}"), out);
    }
}

fn append_text(text: std::fmt::Arguments<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
