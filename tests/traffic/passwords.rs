//! Basic and digest authentication with the programs that people use: `htpasswd` and `curl`.

use std::path::Path;
use std::process::{Command, Stdio};

use headgate_testkit::{Echo, Program, Request, Scenario};
use serde_json::{Value, json};

use super::setup::{Annotations, BINARY};

const BASIC: Annotations<'_> = &[("auth-type", "basic"), ("auth-secret", "users")];

fn secret(users: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "namespace": "shop", "name": "users" },
        "stringData": { "auth": users } })
}

fn scenario(web: &Echo, annotations: Annotations<'_>, users: &str) -> Scenario {
    Scenario::simple(web.address(), annotations).object(secret(users))
}

/// A request with the name and password, in base64.
fn request(credentials: &str) -> Request {
    Request::get("/").field("authorization", &format!("Basic {credentials}"))
}

/// The path of a program; `None`, with a message, if it is not installed.
fn installed(program: &str) -> Option<String> {
    let path = format!("/usr/bin/{program}");
    if Path::new(&path).exists() {
        return Some(path);
    }
    println!("skipped: no {path}");
    None
}

fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).stderr(Stdio::inherit()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn files_of_the_real_htpasswd() {
    let Some(htpasswd) = installed("htpasswd") else {
        return;
    };
    let formats = [
        &["-m"][..],
        &["-B", "-C", "5"],
        &["-d"],
        &["-s"],
        &["-2"],
        &["-5", "-r", "2000"],
    ];
    for format in formats {
        let mut arguments = vec!["-n", "-b"];
        arguments.extend(format);
        arguments.extend(["alice", "wonder:1"]);
        let users = run(&htpasswd, &arguments);
        let web = Echo::start("web");
        let program = scenario(&web, BASIC, &users).start(BINARY);
        // alice:wonder:1, twice: the second is a known result.
        for _ in 0..2 {
            let response = request("YWxpY2U6d29uZGVyOjE=").send(program.http());
            assert_eq!(response.status, 200, "{format:?}");
            response.echo().has("authorization", None);
        }
        for wrong in ["YWxpY2U6d29uZGVy", "YWxpY2U6", "Ym9iOndvbmRlcjox"] {
            let response = request(wrong).send(program.http());
            assert_eq!(response.status, 401, "{format:?} {wrong}");
        }
        assert_eq!(web.requests(), 2, "{format:?}");
    }
}

#[test]
fn a_changed_secret_applies_at_once() {
    let web = Echo::start("web");
    // {SHA} of "secret", then bcrypt of "secret" under another name, then no file.
    let first = scenario(&web, BASIC, "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=");
    let program = first.start(BINARY);
    request("YWxpY2U6c2VjcmV0").send(program.http()).is(200);
    let second = "bob:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    scenario(&web, BASIC, second).replace(&program);
    request("YWxpY2U6c2VjcmV0").send(program.http()).is(401);
    request("Ym9iOnNlY3JldA==").send(program.http()).is(200);
    Scenario::simple(web.address(), BASIC).replace(&program);
    request("Ym9iOnNlY3JldA==").send(program.http()).is(503);
    assert_eq!(web.requests(), 2);
}

#[test]
fn passwords_are_in_no_output() {
    let web = Echo::start("web");
    let program = scenario(&web, BASIC, "alice:{PLAIN}hunter2\nbob:hunter2").start(BINARY);
    // alice:hunter2
    request("YWxpY2U6aHVudGVyMg==").send(program.http()).is(200);
    let line = program.until_access_log("alice", |line| line.contains(" - alice "));
    let findings = program.admin_get("/debug/findings").text();
    assert!(findings.contains("key \\\"auth\\\" line 2"), "{findings}");
    let table = program.admin_get("/debug/table").text();
    assert!(table.contains("basic"), "{table}");
    for text in [line, findings, table] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn curl_passes_digest_authentication() {
    let Some(curl) = installed("curl") else {
        return;
    };
    let web = Echo::start("web");
    // MD5 of "alice:staff:secret".
    let users = "alice:staff:b243e45d0b19752d3b4f217afa136a79";
    let annotations = [
        ("auth-type", "digest"),
        ("auth-secret", "users"),
        ("auth-realm", "staff"),
    ];
    let program = scenario(&web, &annotations, users).start(BINARY);
    let status = |credentials: &str, more: &[&str]| curl_status(&curl, &program, credentials, more);
    assert_eq!(status("alice:secret", &[]), "200");
    assert_eq!(status("alice:secret", &["--data", "body"]), "200");
    assert_eq!(status("alice:Secret", &[]), "401");
    assert_eq!(status("bob:secret", &[]), "401");
    assert_eq!(web.requests(), 2);
}

fn curl_status(curl: &str, program: &Program, credentials: &str, more: &[&str]) -> String {
    let url = format!("http://{}/a?b=c", program.http());
    let mut arguments = vec!["--silent", "--digest", "--user", credentials];
    arguments.extend(["--header", "Host: a.test", "--output", "/dev/null"]);
    arguments.extend(["--write-out", "%{http_code}"]);
    arguments.extend(more);
    arguments.push(&url);
    run(curl, &arguments)
}
