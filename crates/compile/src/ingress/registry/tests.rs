//! Each validator accepts valid texts and refuses others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use http::StatusCode;
use ipnet::IpNet;

use headgate_table::{OriginPattern, ReplaceRule, RetryOn};

use super::value::{parse_bool, parse_cidrs, parse_duration, parse_int, parse_size};
use super::{
    Class, Kind, NameRef, NextUpstream, Origin, TlsVersions, Validation, Value, parse_header_name,
    parse_header_value, parse_replacement,
};

/// 64 bytes, one more than a label may have.
const LONG_LABEL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn kinds_accept_and_refuse() {
    let words = Kind::OneOf(&["on", "off"]);
    let cases: [(Kind, &[&str], &[&str]); 24] = [
        (
            Kind::Bool,
            &["true", "False", "1", "t"],
            &["yes", "on", "tRUE", " true", "true\n", "2"],
        ),
        (Kind::OnOff, &["on", "off", " on "], &["true", "On", "o n"]),
        (
            Kind::Int,
            &["0", "-5", "+7"],
            &["1.5", "", "0x1", "1 ", "٣", "99999999999999999999"],
        ),
        (
            Kind::Size,
            &["0", "8k", "1M", "2g", "5b"],
            &["k", "-1", "1kb", "1.5m", "1 m", "99999999999999999999g"],
        ),
        (Kind::SizeText, &["8k", "1g"], &["8x"]),
        (
            Kind::Duration,
            &["10", "1h30m", "500ms", "1h 5m"],
            &["", "h", "1x", "-1s", "1.5s", "99999999999999999999y"],
        ),
        (
            Kind::Chars(Class::Basic),
            &["a-b.c_d~/:9"],
            &["a b", "a,b", "a$b", "a\n", "é", "a\0", "a;b", "a\"b"],
        ),
        (
            Kind::Chars(Class::Space),
            &["My Realm"],
            &["a,b", "a\rb", "a\tb"],
        ),
        (Kind::Chars(Class::Extended), &["a, b"], &["a;b"]),
        (
            Kind::Chars(Class::Regex),
            &["~^www\\.(a|b)+[x]{2}$", "a?b&c=d"],
            &["a b", "a,b", "a;b", "a#b", "a\nb"],
        ),
        (
            Kind::Chars(Class::Url),
            &["https://x/y?a=b&c=d,e"],
            &["/%20", "/#a", "u@h", "a$b", "a b", "a;b"],
        ),
        (
            Kind::Spaced(Class::UrlVariables),
            &["http://$host/a?b = c"],
            &["a;b", "a{b}", "a\nb"],
        ),
        (
            Kind::Chars(Class::PathCapture),
            &["/$1/$2", "x"],
            &["/a?b", "/a=b", "/(a)", "/{a}", "/a b", "/a;"],
        ),
        (
            Kind::Spaced(Class::Variables),
            &["${request_uri} $host"],
            &["$(x)", "a.b", "a/b", "a\"b"],
        ),
        (
            Kind::Chars(Class::HeaderList),
            &["X-A, x_b"],
            &["X-A;", "X:A", "X-A\r\nB"],
        ),
        (
            Kind::AppRoot,
            &["/app", "/"],
            &["app", "http://x", "/a?b", "/a\n"],
        ),
        (words, &["on", " off\n"], &["ON", "onoff", "x"]),
        (
            Kind::AnyCaseOf(&["GRPC"]),
            &["grpc", "GrPc"],
            &["grp", "GRPCS"],
        ),
        (
            Kind::Cidrs,
            &["10.0.0.1", "10.0.0.0/8, ::1, 2001:db8::/32"],
            &["10.0.0.0/33", "a", "10.0.0.1,x", ",", "10.0.0", "010.0.0.1"],
        ),
        (
            Kind::Codes,
            &["404", "500, 503"],
            &["200", "600", "abc", "404;500", "-404"],
        ),
        (
            Kind::ServerNames,
            &["a.example,b.example", "~^x\\d+$"],
            &["a b", "a;b", "\"a\"", "a\nb", ","],
        ),
        (
            Kind::NextUpstream,
            &["error timeout", "http_502 http_429", "off"],
            &["errors", "error,timeout", "http_200"],
        ),
        (
            Kind::Service,
            &["web", "a-1"],
            &["1a", "Web", "a.b", "ns/web", "-a", "a-", LONG_LABEL],
        ),
        (
            Kind::CommonName,
            &["CN=admin", "CN=.*"],
            &["admin", "cn=a", "CN=a\nb"],
        ),
    ];
    for (kind, good, bad) in cases {
        for text in good {
            assert!(
                kind.parse(text, Validation::Full).is_ok(),
                "{kind:?} should accept {text:?}"
            );
        }
        for text in bad {
            assert!(
                kind.parse(text, Validation::Full).is_err(),
                "{kind:?} should refuse {text:?}"
            );
        }
    }
}

#[test]
fn without_validation_texts_are_free_and_types_stay() {
    let basic = Kind::Chars(Class::Basic);
    assert!(basic.parse("a;b", Validation::TypesOnly).is_ok());
    for text in ["a\nb", "a\rb", "a\0b"] {
        assert!(
            basic.parse(text, Validation::TypesOnly).is_err(),
            "{text:?}"
        );
    }
    assert!(Kind::Int.parse("x", Validation::TypesOnly).is_err());
    assert!(Kind::Cidrs.parse("x", Validation::TypesOnly).is_err());
}

#[test]
fn numbers_have_their_values() {
    assert_eq!(parse_bool("T"), Ok(true));
    assert_eq!(parse_int("-12"), Ok(-12));
    assert_eq!(parse_size("2k"), Ok(2048));
    assert_eq!(parse_size("3G"), Ok(3 << 30));
    assert_eq!(parse_size("7b"), Ok(7));
    assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("9"), Ok(Duration::from_secs(9)));
}

#[test]
fn networks_are_normalised() {
    let nets = parse_cidrs(" 10.1.2.3/8 ,::1,10.0.0.0/8").unwrap();
    let expected: Vec<IpNet> = ["10.0.0.0/8", "::1/128"]
        .iter()
        .map(|net| net.parse().unwrap())
        .collect();
    assert_eq!(nets, expected);
}

#[test]
fn next_upstream_off_wins() {
    let parse = |text| Kind::NextUpstream.parse(text, Validation::Full);
    assert_eq!(
        parse("error off"),
        Ok(Value::NextUpstream(NextUpstream::default()))
    );
    assert_eq!(
        parse(" error  timeout"),
        Ok(Value::NextUpstream(NextUpstream {
            on: RetryOn {
                error: true,
                timeout: true,
                ..RetryOn::default()
            },
            non_idempotent: false,
        }))
    );
    let Ok(Value::NextUpstream(some)) = parse("http_429 non_idempotent") else {
        panic!("a list of conditions")
    };
    assert!(some.non_idempotent && !some.on.error);
    assert!(
        some.on.statuses.contains(StatusCode::TOO_MANY_REQUESTS)
            && !some.on.statuses.contains(StatusCode::BAD_GATEWAY)
    );
}

#[test]
fn object_names() {
    let named = NameRef::parse("ns/a.b").unwrap();
    assert_eq!(
        (named.namespace_or("x"), named.name.as_str()),
        ("ns", "a.b")
    );
    assert_eq!(NameRef::parse("a").unwrap().namespace_or("x"), "x");
    for text in [
        "", "/", "a/", "/a", "a/b/c", "A", "a..b", "../x", "a_b", "ns.x/a",
    ] {
        assert!(NameRef::parse(text).is_err(), "{text}");
    }
}

#[test]
fn origins() {
    let exact = |text: &str| Ok(Origin::Pattern(OriginPattern::Exact(text.to_owned())));
    assert_eq!(Origin::parse("*"), Ok(Origin::Any));
    assert_eq!(Origin::parse("null"), exact("null"));
    assert_eq!(
        Origin::parse("https://*.Example.com:8443"),
        Ok(Origin::Pattern(OriginPattern::OneLabel {
            scheme: "https://".to_owned(),
            suffix: ".example.com:8443".to_owned(),
        }))
    );
    assert_eq!(
        Origin::parse("HTTP://Origin.com"),
        exact("http://origin.com")
    );
    assert_eq!(
        Origin::parse("capacitor://localhost:080"),
        exact("capacitor://localhost:80")
    );
    for text in [
        "",
        "example.com",
        "https://",
        "https://a/b",
        "https://a*.com",
        "https://*.*.com",
        "https://a:x",
        "https://a:+1",
        "https://a:70000",
        "h ttp://a",
    ] {
        assert!(Origin::parse(text).is_err(), "{text}");
    }
}

#[test]
fn replacements() {
    assert_eq!(parse_replacement("off"), Ok(None));
    assert_eq!(
        parse_replacement(" /a  /b "),
        Ok(Some(ReplaceRule {
            from: "/a".to_owned(),
            to: "/b".to_owned()
        }))
    );
    for text in ["", "/a", "a b c", "~x y"] {
        assert!(parse_replacement(text).is_err(), "{text}");
    }
}

#[test]
fn header_names_and_values() {
    assert_eq!(parse_header_name("X-A").unwrap(), "x-a");
    assert!(parse_header_name("a b").is_err());
    assert_eq!(parse_header_value("a b").unwrap(), "a b");
    assert!(parse_header_value("a\nb").is_err());
}

#[test]
fn old_tls_versions_are_dropped() {
    assert_eq!(
        TlsVersions::parse("TLSv1.3 TLSv1.1"),
        (
            Some(TlsVersions {
                tls12: false,
                tls13: true
            }),
            vec!["TLSv1.1"]
        )
    );
    assert_eq!(TlsVersions::parse("SSLv3").0, None);
}

#[test]
fn errors_are_short_and_printable() {
    let text = format!("\u{1b}[31m\n\"{}", "x".repeat(500));
    let message = Kind::Int
        .parse(&text, Validation::Full)
        .unwrap_err()
        .to_string();
    assert!(message.contains("\\u{1b}[31m\\n\\\""), "{message}");
    assert!(message.contains("a whole number"), "{message}");
    assert!(
        message.chars().count() < 160 && !message.contains(char::is_control),
        "{message}"
    );
    let turned = Kind::Bool
        .parse("\u{202e}eurt", Validation::Full)
        .unwrap_err()
        .to_string();
    assert!(!turned.contains('\u{202e}'), "{turned}");
}
