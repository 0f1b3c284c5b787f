#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use headgate_table::{FastCgi, Forwarding, Policy};
use http::Request;

use super::*;
use crate::request::testing::Sample;

/// The parameters of a request with these fields as `NAME=value`.
fn params(
    sample: Sample,
    target: Option<&str>,
    fields: &[(&str, &str)],
    length: Length,
) -> Vec<String> {
    let context = sample.context();
    let mut request = Request::post("/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let target = target.map(|target| target.parse().unwrap());
    let script = Script::of(&context, target.as_ref());
    let list = script.params(&context, &head, length).list();
    list.into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn with(mut sample: Sample, index: Option<&str>, configured: &[(&str, &str)]) -> Sample {
    let fastcgi = FastCgi {
        index: index.map(Into::into),
        params: configured
            .iter()
            .map(|(name, value)| (Arc::from(*name), Template::parse(value).unwrap()))
            .collect(),
    };
    sample.route.policy = Arc::new(Policy {
        forwarding: Arc::new(Forwarding {
            fastcgi: Some(Arc::new(fastcgi)),
            ..Forwarding::default()
        }),
        ..Policy::default()
    });
    sample
}

#[test]
fn the_parameters_are_those_of_nginx() {
    let sample = Sample::new("POST", "/a%20b/?q=1&r=%20");
    let fields = [
        ("host", "a.example"),
        ("content-type", "text/plain"),
        ("x-foo-bar", "1"),
        ("x-foo-bar", "2"),
        ("cookie", "a=1"),
        ("connection", "close"),
        ("x_foo_bar", "other"),
        ("x_own", "u"),
    ];
    let found = params(sample, None, &fields, Length::Exact(5));
    let names: Vec<&str> = found
        .iter()
        .map(|pair| pair.split_once('=').unwrap().0)
        .collect();
    assert_eq!(
        names.join(" "),
        "QUERY_STRING REQUEST_METHOD CONTENT_TYPE CONTENT_LENGTH SCRIPT_NAME REQUEST_URI DOCUMENT_URI DOCUMENT_ROOT \
         SERVER_PROTOCOL REQUEST_SCHEME GATEWAY_INTERFACE SERVER_SOFTWARE REMOTE_ADDR REMOTE_PORT SERVER_ADDR SERVER_PORT \
         SERVER_NAME REDIRECT_STATUS HTTP_HOST HTTP_CONTENT_TYPE HTTP_X_FOO_BAR HTTP_COOKIE HTTP_X_OWN"
    );
    for pair in [
        "QUERY_STRING=q=1&r=%20",
        "REQUEST_METHOD=POST",
        "CONTENT_TYPE=text/plain",
        "CONTENT_LENGTH=5",
        "SCRIPT_NAME=/a b/",
        "REQUEST_URI=/a%20b/?q=1&r=%20",
        "DOCUMENT_URI=/a b/",
        "GATEWAY_INTERFACE=CGI/1.1",
        "REDIRECT_STATUS=200",
        "HTTP_X_FOO_BAR=1, 2",
    ] {
        assert!(
            found.iter().any(|found| found == pair),
            "{pair} in {found:?}"
        );
    }
}

#[test]
fn lengths_are_empty_without_a_body() {
    let length = |fields: &[(&str, &str)], length| {
        let found = params(Sample::new("GET", "/"), None, fields, length);
        found
            .into_iter()
            .find(|pair| pair.starts_with("CONTENT_LENGTH="))
            .unwrap()
    };
    assert_eq!(length(&[], Length::None), "CONTENT_LENGTH=");
    assert_eq!(
        length(&[("content-length", "0")], Length::None),
        "CONTENT_LENGTH=0"
    );
    assert_eq!(length(&[], Length::Exact(0)), "CONTENT_LENGTH=0");
}

#[test]
fn configured_parameters_follow_the_rewritten_path() {
    let configured = [
        ("SCRIPT_FILENAME", "/var/www$fastcgi_script_name"),
        ("HTTP_X_FIXED", "own"),
        (
            "ALL",
            "${uri}/$args/$request_uri/$document_root/$fastcgi_path_info",
        ),
    ];
    let sample = with(
        Sample::new("GET", "/app/x?q"),
        Some("index.php"),
        &configured,
    );
    let fields = [("x-fixed", "client"), ("x-fixed-not", "client")];
    let found = params(sample, Some("/a%20b/?z"), &fields, Length::None);
    let tail = [
        "SCRIPT_FILENAME=/var/www/a b/index.php",
        "HTTP_X_FIXED=own",
        "ALL=/a b//z//app/x?q//usr/local/nginx/html/",
        "HTTP_X_FIXED_NOT=client",
    ];
    assert!(found.ends_with(&tail.map(str::to_owned)), "{found:?}");
    assert!(found.contains(&"SCRIPT_NAME=/a b/index.php".to_owned()));
    let sample = with(Sample::new("GET", "/a.php"), Some("index.php"), &[]);
    let found = params(sample, None, &[], Length::None);
    assert!(
        found.contains(&"SCRIPT_NAME=/a.php".to_owned()),
        "{found:?}"
    );
}
