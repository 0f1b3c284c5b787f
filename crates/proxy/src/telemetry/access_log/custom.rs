//! Lines of a configured format (`log-format-upstream`).

use headgate_table::{LogEscape, LogFormat, Piece, Variable};

use super::format;
use crate::telemetry::observation::Observation;
use crate::values;

/// Longest value, bytes before escaping.
const LONGEST_VALUE: usize = 4 << 10;
/// Longest line, bytes.
const LONGEST_LINE: usize = 64 << 10;

/// Appends the line of a request. `scratch` is reused from line to line.
pub(super) fn line(
    out: &mut Vec<u8>,
    seen: &Observation<'_>,
    format: &LogFormat,
    scratch: &mut Vec<u8>,
) {
    let end = out.len() + LONGEST_LINE;
    for piece in format.template.pieces() {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => {
                scratch.clear();
                values::write(variable, seen, scratch);
                value(out, variable, scratch, format.escape);
            }
            Piece::Capture(_) | Piece::Group(_) => {}
        }
    }
    out.truncate(end);
    out.push(b'\n');
}

fn value(out: &mut Vec<u8>, variable: &Variable, value: &[u8], escape: LogEscape) {
    let bounded = value.get(..LONGEST_VALUE).unwrap_or(value);
    match escape {
        LogEscape::Hex if value.is_empty() && !is_empty_text(variable) => out.push(b'-'),
        LogEscape::Hex => format::escaped(out, value, LONGEST_VALUE),
        LogEscape::Json => json(out, bounded),
        LogEscape::None => plain(out, bounded),
    }
}

/// Whether nginx writes an empty value of it as nothing rather than as `-`: those that its configuration sets.
fn is_empty_text(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::ProxyAlternativeUpstreamName
            | Variable::Namespace
            | Variable::ObjectName
            | Variable::ServiceName
            | Variable::ServicePort
            | Variable::LocationPath
            | Variable::IsArgs
            | Variable::Https
            | Variable::Http2
            | Variable::RequestCompletion
    )
}

/// As in a JSON string. What is not UTF-8 is replaced, because no JSON can hold it.
fn json(out: &mut Vec<u8>, value: &[u8]) {
    for character in String::from_utf8_lossy(value).chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            control if u32::from(control) < 0x20 => {
                let code = u32::from(control);
                out.extend_from_slice(format!("\\u{code:04X}").as_bytes());
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// As it is, except that no client can end a line or control a terminal.
fn plain(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        if byte.is_ascii_control() {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::telemetry::testing::{Request, attempt};
    use headgate_table::Template;
    use http::Uri;

    fn written(source: &str, escape: LogEscape, request: &Request) -> String {
        let (template, problems) = Template::log_format(source);
        assert_eq!(problems, [], "{source}");
        let mut out = Vec::new();
        let format = LogFormat { template, escape };
        line(&mut out, &request.seen(), &format, &mut Vec::new());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn variables_have_their_values() {
        let mut request = Request::default();
        request.attempts = vec![
            attempt(request.end, 1_090, None),
            attempt(request.end, 40, Some(30)),
        ];
        for (source, expected) in [
            ("$status $request_method $uri", "200 GET -\n"),
            ("$remote_addr|$request", "127.0.0.1|GET /a?b=c HTTP/1.1\n"),
            ("$request_uri $args $arg_b $is_args", "/a?b=c b=c c ?\n"),
            ("$upstream_addr", "127.0.0.1:8080, 127.0.0.1:8080\n"),
            (
                "$upstream_status/$upstream_connect_time",
                "-, 200/-, 0.000\n",
            ),
            ("$body_bytes_sent $request_time", "12 0.003\n"),
            (
                "$http_x [$namespace] [$proxy_alternative_upstream_name]",
                "- [] []\n",
            ),
            ("$host $server_protocol", "shop.example HTTP/1.1\n"),
        ] {
            assert_eq!(written(source, LogEscape::Hex, &request), expected);
        }
    }

    #[test]
    fn values_are_escaped() {
        let target = Uri::from_static("/a\"b?x=\\y");
        let request = Request {
            target,
            ..Request::default()
        };
        for (escape, expected) in [
            (
                LogEscape::Hex,
                "{\"u\":\"/a\\x22b?x=\\x5Cy\",\"h\":\"-\"}\n",
            ),
            (LogEscape::Json, "{\"u\":\"/a\\\"b?x=\\\\y\",\"h\":\"\"}\n"),
            (LogEscape::None, "{\"u\":\"/a\"b?x=\\y\",\"h\":\"\"}\n"),
        ] {
            let source = "{\"u\":\"$request_uri\",\"h\":\"$http_x\"}";
            assert_eq!(written(source, escape, &request), expected);
        }
    }

    #[test]
    fn no_value_ends_a_line() {
        let mut out = Vec::new();
        json(&mut out, b"a\nb\x01\xff");
        plain(&mut out, b"c\r\nd");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\nb\\u0001\u{fffd}c\\x0D\\x0Ad"
        );
    }

    #[test]
    fn lines_are_bounded() {
        let target = format!("/{}", "x".repeat(60_000)).parse().unwrap();
        let request = Request {
            target,
            ..Request::default()
        };
        let source = "$request_uri".repeat(100);
        for escape in [LogEscape::Hex, LogEscape::Json, LogEscape::None] {
            assert!(written(&source, escape, &request).len() <= LONGEST_LINE + 1);
        }
    }
}
