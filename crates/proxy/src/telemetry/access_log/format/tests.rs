#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::Ipv6Addr;
use std::sync::Arc;

use http::{Method, StatusCode, Uri};

use super::super::LONGEST_LINE;
use super::*;
use crate::telemetry::testing::{Request, attempt};

const TIME: &str = "12/Mar/2026:10:00:00 +0000";

fn written(seen: &Observation<'_>) -> String {
    let mut out = Vec::new();
    line(&mut out, seen, TIME);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_that_reached_no_endpoint() {
    let expected = "127.0.0.1 - - [12/Mar/2026:10:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 12 \"-\" \"-\" 77 0.003 [-] [] - - - - -\n";
    assert_eq!(written(&Request::default().seen()), expected);
}

#[test]
fn a_request_with_three_attempts() {
    let mut request = Request::default();
    let mut attempts = [
        attempt(request.end, 1_090, None),
        attempt(request.end, 80, Some(10)),
        attempt(request.end, 40, Some(30)),
    ];
    attempts[0].status = Some(StatusCode::GATEWAY_TIMEOUT);
    attempts[1].status = None;
    attempts[2].endpoint = (Ipv6Addr::LOCALHOST, 80).into();
    request.attempts = attempts.into();
    let canary = Arc::from("shop-next-80");
    let mut seen = request.seen();
    seen.upstream = Some("shop-web-80");
    seen.alternative = Some(&canary);
    seen.referer = Some(b"http://from.example/");
    seen.user_agent = Some(b"agent/1.0");
    seen.request_id = Some(b"0123abc");
    seen.authorization = Some(b"Basic dSJzZXI6cGFzcw==");
    seen.client = IpAddr::V6(Ipv6Addr::LOCALHOST);
    seen.duration = Duration::from_micros(12_034_999);
    seen.version = Version::HTTP_2;
    assert_eq!(
        written(&seen),
        "::1 - u\\x22ser [12/Mar/2026:10:00:00 +0000] \"GET /a?b=c HTTP/2.0\" 200 12 \"http://from.example/\" \"agent/1.0\" 77 12.034 \
         [shop-web-80] [shop-next-80] 127.0.0.1:8080, 127.0.0.1:8080, [::1]:80 0, 10, 30 1.010, 0.010, 0.030 504, -, 200 0123abc\n"
    );
}

#[test]
fn the_default_backend_has_a_name() {
    let request = Request::default();
    let mut seen = request.seen();
    seen.default_backend = true;
    assert!(written(&seen).contains(" [upstream-default-backend] [] "));
    seen.upstream = Some("shop-errors-80");
    assert!(written(&seen).contains(" [shop-errors-80] [] "));
}

#[test]
fn no_text_ends_a_field_or_a_line() {
    for (text, expected) in [
        (&b"plain ~"[..], "plain ~"),
        (b"", "-"),
        (b"\" 200", "\\x22 200"),
        (b"back\\slash", "back\\x5Cslash"),
        (b"tab\tend", "tab\\x09end"),
        (b"a\r\nb\0\x7f", "a\\x0D\\x0Ab\\x00\\x7F"),
        ("é".as_bytes(), "\\xC3\\xA9"),
    ] {
        let request = Request::default();
        let mut seen = request.seen();
        seen.user_agent = Some(text);
        assert!(
            written(&seen).contains(&format!(" \"-\" \"{expected}\" 77 ")),
            "{expected}"
        );
    }
}

#[test]
fn targets_are_shown_as_in_a_request_line() {
    for (version, target, expected) in [
        (
            Version::HTTP_11,
            "http://shop.example/a?b",
            "GET http://shop.example/a?b HTTP/1.1",
        ),
        (
            Version::HTTP_2,
            "https://shop.example/a?b",
            "GET /a?b HTTP/2.0",
        ),
        (Version::HTTP_10, "/", "GET / HTTP/1.0"),
        (Version::HTTP_11, "*", "GET * HTTP/1.1"),
        (
            Version::HTTP_11,
            "shop.example:443",
            "GET shop.example:443 HTTP/1.1",
        ),
    ] {
        let request = Request {
            target: Uri::from_static(target),
            ..Request::default()
        };
        let mut seen = request.seen();
        seen.version = version;
        assert!(
            written(&seen).contains(&format!("] \"{expected}\" 200 ")),
            "{}",
            written(&seen)
        );
    }
}

/// Whatever clients send, a line is bounded and has all its fields.
#[test]
fn lines_are_bounded() {
    let long = &vec![0xFF; 60_000][..];
    let name: Arc<str> = Arc::from("n".repeat(5_000));
    let mut request = Request {
        method: Method::from_bytes(&[b'M'; 5_000]).unwrap(),
        target: format!("/{}", "x".repeat(60_000)).parse().unwrap(),
        ..Request::default()
    };
    request.attempts = (0..100)
        .map(|_| attempt(request.end, u64::MAX / 2, Some(u64::MAX / 2)))
        .collect();
    for attempt in &mut request.attempts {
        attempt.endpoint = (Ipv6Addr::from([0xFFFF_u16; 8]), u16::MAX).into();
        attempt.progress.bytes.set(u64::MAX);
    }
    let mut seen = request.seen();
    (seen.referer, seen.user_agent, seen.request_id) = (Some(long), Some(long), Some(long));
    (seen.upstream, seen.alternative) = (Some(&*name), Some(&name));
    (seen.body_bytes_sent, seen.request_length, seen.duration) =
        (u64::MAX, u64::MAX, Duration::MAX);
    seen.client = IpAddr::V6(Ipv6Addr::from([0xFFFF_u16; 8]));
    let line = written(&seen);
    assert!(line.len() <= LONGEST_LINE, "{}", line.len());
    assert!(
        line.contains("xxx... HTTP/1.1\" 200 ") && line.contains("\\xFF...\" "),
        "{line}"
    );
    assert!(line.ends_with("...\n"), "{line}");
}

/// Whatever text there is, a line is one line of ASCII with all its quotes. The inputs are split at bytes 0xFE.
fn is_one_line(bytes: &[u8]) {
    let mut texts = bytes.split(|byte| *byte == 0xFE);
    let mut next = || texts.next().unwrap_or_default();
    let mut request = Request::default();
    if let Ok(method) = Method::from_bytes(next()) {
        request.method = method;
    }
    if let Ok(target) = Uri::try_from(next()) {
        request.target = target;
    }
    let mut seen = request.seen();
    (seen.referer, seen.user_agent) = (Some(next()), Some(next()));
    (seen.request_id, seen.authorization) = (Some(next()), Some(next()));
    let line = written(&seen);
    assert!(line.len() <= LONGEST_LINE && line.ends_with('\n'));
    let text = line.trim_end_matches('\n').as_bytes();
    assert!(
        text.iter().all(|byte| matches!(byte, b' '..=b'~')),
        "{line}"
    );
    assert_eq!(
        text.iter().filter(|byte| **byte == b'"').count(),
        6,
        "{line}"
    );
}

#[test]
fn fuzz_access_log() {
    headgate_fuzz::check("access-log", is_one_line);
}
