//! Client heads in, upstream heads out.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;
use crate::request::Scheme;
use crate::request::testing::Sample;
use headgate_table::{BackendProtocol, FieldEdit, FieldEdits, Template};

/// Fields of the upstream request, sorted; of the usual ones only those in `shown`.
fn head(sample: &Sample, shown: &[&str]) -> String {
    head_with(sample, Extra::default(), shown)
}

fn head_with(sample: &Sample, extra: Extra<'_>, shown: &[&str]) -> String {
    const USUAL: [&str; 9] = [
        "host",
        "x-request-id",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-scheme",
    ];
    let head = upstream_head(&mut sample.context(), extra);
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let mut lines: Vec<_> = fields
        .filter(|(name, _)| !USUAL.contains(name) || shown.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.sort();
    lines.join("|")
}

#[test]
fn the_usual_fields() {
    let sample = Sample::new("GET", "/")
        .header("x-request-id", "r")
        .header("accept", "*/*");
    let all = [
        "host",
        "x-request-id",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-scheme",
    ];
    assert_eq!(
        head(&sample, &all),
        "accept=*/*|host=Shop.example:8080|x-forwarded-for=192.0.2.7|x-forwarded-host=Shop.example:8080|\
         x-forwarded-port=8080|x-forwarded-proto=http|x-forwarded-scheme=http|x-real-ip=192.0.2.7|x-request-id=r|x-scheme=http"
    );
}

#[test]
fn spoofable_fields_of_clients_are_dropped() {
    let sample = Sample::new("GET", "/")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-host", "evil")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-port", "1")
        .header("x-forwarded-prefix", "/evil")
        .header("x-forwarded-user", "root")
        .header("x-real-ip", "6.6.6.6")
        .header("x-scheme", "https")
        .header("x-original-uri", "/D")
        .header("x-original-url", "/D")
        .header("forwarded", "for=6.6.6.6")
        .header("ssl-client-verify", "SUCCESS")
        .header("proxy", "http://evil")
        .header("x_forwarded_for", "6.6.6.6");
    assert_eq!(
        head(
            &sample,
            &[
                "x-forwarded-for",
                "x-real-ip",
                "x-scheme",
                "x-forwarded-proto",
                "x-forwarded-port"
            ]
        ),
        "x-forwarded-for=192.0.2.7|x-forwarded-port=8080|x-forwarded-proto=http|x-original-forwarded-for=6.6.6.6|\
         x-original-forwarded-host=evil|x-real-ip=192.0.2.7|x-scheme=http"
    );
}

#[test]
fn other_spellings_of_spoofable_fields_are_dropped() {
    let sample = Sample::new("GET", "/")
        .header("x.dotted", "1")
        .header("x_any", "1")
        .header("x_forwarded_for", "6")
        .header("ssl_client_dn", "6");
    assert_eq!(head(&sample, &[]), "x.dotted=1|x_any=1");
}

#[test]
fn connection_cannot_list_fields_of_the_proxy() {
    let sample = Sample::new("GET", "/")
        .header("connection", "x-forwarded-for, x-real-ip, host, x-mine")
        .header("x-mine", "1");
    assert_eq!(
        head(&sample, &["x-forwarded-for", "x-real-ip", "host"]),
        "host=Shop.example:8080|x-forwarded-for=192.0.2.7|x-real-ip=192.0.2.7"
    );
}

#[test]
fn trusted_forwarded_headers() {
    let trusted = |append| {
        Sample::new("GET", "/")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "b.test, c")
            .header("x-forwarded-prefix", "/p")
            .settings(|settings| {
                settings.forwarded.use_forwarded_headers = true;
                settings.forwarded.append = append;
            })
    };
    assert_eq!(
        head(
            &trusted(false),
            &[
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
                "host"
            ]
        ),
        "host=b.test|x-forwarded-for=6.6.6.6|x-forwarded-host=b.test|x-forwarded-prefix=/p|x-forwarded-proto=https|\
         x-original-forwarded-for=6.6.6.6|x-original-forwarded-host=b.test, c"
    );
    assert!(
        head(&trusted(true), &["x-forwarded-for"]).contains("x-forwarded-for=6.6.6.6, 192.0.2.7")
    );
}

#[test]
fn host_prefix_and_original_uri() {
    let sample = Sample::new("GET", "/x%20y?z")
        .forwarding(|forwarding| forwarding.host = Some(HeaderValue::from_static("inner").into()))
        .settings(|settings| settings.add_original_uri = true);
    let extra = Extra {
        prefix: Some(HeaderValue::from_static("/p")),
        ..Extra::default()
    };
    assert_eq!(
        head_with(&sample, extra, &["host", "x-forwarded-host"]),
        "host=inner|x-forwarded-host=Shop.example:8080|x-forwarded-prefix=/p|x-original-uri=/x%20y?z"
    );
}

#[test]
fn configured_fields_have_variables_and_may_remove() {
    let field = |name: &'static str, value: &str| {
        (
            HeaderName::from_static(name),
            Template::parse(value).unwrap(),
        )
    };
    let sample = Sample::new("GET", "/")
        .header("x-user", "u")
        .header("accept", "*/*")
        .settings(|settings| {
            settings.request_headers = [
                field("x-copy", "$http_x_user@$host"),
                field("x-user", ""),
                field("accept", "$arg_none"),
                field("content-length", "9"),
                field("host", "evil"),
            ]
            .into();
        });
    assert_eq!(
        head(&sample, &["host"]),
        "host=Shop.example:8080|x-copy=u@shop.example"
    );
}

#[test]
fn upgrades_are_requested_from_the_upstream() {
    let websocket = |sample: Sample| {
        sample
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
    };
    let sample = websocket(Sample::new("GET", "/"));
    assert_eq!(
        head(&sample, &[]),
        "connection=upgrade|sec-websocket-version=13|upgrade=websocket"
    );
    assert!(upstream_head(&mut sample.context(), Extra::default()).upgrade);

    let fixed = websocket(Sample::new("GET", "/"))
        .forwarding(|forwarding| forwarding.connection_header = Some(ConnectionHeader::KeepAlive));
    assert_eq!(
        head(&fixed, &[]),
        "connection=keep-alive|sec-websocket-version=13"
    );
    let grpc = websocket(Sample::new("GET", "/")).protocol(BackendProtocol::Grpc);
    assert_eq!(head(&grpc, &[]), "sec-websocket-version=13");
}

#[test]
fn trailers_are_for_grpc() {
    let sample = || Sample::new("POST", "/").header("te", "trailers");
    assert_eq!(head(&sample(), &[]), "");
    assert_eq!(
        head(&sample().protocol(BackendProtocol::Grpcs), &[]),
        "te=trailers"
    );
}

#[test]
fn lengths_and_cookies_have_one_spelling() {
    let sample = Sample::new("POST", "/")
        .header("content-length", "0005")
        .header("expect", "100-continue");
    assert_eq!(
        head_with(
            &sample,
            Extra {
                body_length: Some(5),
                ..Extra::default()
            },
            &[]
        ),
        "content-length=5"
    );
    let sample = Sample::new("POST", "/")
        .header("content-length", "5")
        .header("content-length", "5");
    assert_eq!(
        head_with(
            &sample,
            Extra {
                body_length: Some(5),
                ..Extra::default()
            },
            &[]
        ),
        "content-length=5"
    );
    let sample = Sample::new("POST", "/").header("content-length", "0");
    assert_eq!(head(&sample, &[]), "content-length=0");

    let sample = Sample::new("GET", "/")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    assert_eq!(head(&sample, &[]), "cookie=a=1; b=2");
}

#[test]
fn the_scheme_is_the_clients() {
    let mut sample = Sample::new("GET", "/");
    sample.connection.scheme = Scheme::Https;
    assert_eq!(
        head(&sample, &["x-scheme", "x-forwarded-port"]),
        "x-forwarded-port=443|x-scheme=https"
    );
}

#[test]
fn the_backend_edits_last_except_reserved_fields() {
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let edits = FieldEdits(
        [
            FieldEdit::Set(name("x-user"), value("set")),
            FieldEdit::Set(HOST, value("evil")),
            FieldEdit::Add(name("x-user"), value("added")),
            FieldEdit::Add(CONTENT_LENGTH, value("7")),
            FieldEdit::Remove(X_REAL_IP),
            FieldEdit::Remove(HOST),
        ]
        .into(),
    );
    let sample = Sample::new("GET", "/").header("x-user", "client");
    let extra = Extra {
        edits: Some(&edits),
        ..Extra::default()
    };
    assert_eq!(
        head_with(&sample, extra, &["host", "x-real-ip"]),
        "host=Shop.example:8080|x-user=added|x-user=set"
    );
}
