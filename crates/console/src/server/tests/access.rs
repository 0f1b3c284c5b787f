//! Host, Origin, method and token.

use super::*;

fn open() -> SocketAddr {
    console(Access::default(), Limits::default())
}

fn closed() -> SocketAddr {
    console(
        Access::default().with_token(TOKEN).unwrap(),
        Limits::default(),
    )
}

#[test]
fn foreign_names_and_sites_are_refused() {
    let address = open();
    let asked =
        |fields: &[&str]| status(&exchange(address, &[&["GET / HTTP/1.1"], fields].concat()));
    assert_eq!(asked(&["Host: localhost"]), 200);
    assert_eq!(asked(&[&format!("Host: {address}")]), 200);
    assert_eq!(asked(&["Host: evil.example"]), 421);
    assert_eq!(asked(&["Host: localhost", "Host: localhost"]), 400);
    assert_eq!(asked(&[]), 400);
    assert_eq!(
        asked(&["Host: localhost", "Origin: http://evil.example"]),
        403
    );
    assert_eq!(
        asked(&[
            "Host: localhost",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Mode: cors"
        ]),
        403
    );
    let absolute = exchange(
        address,
        &["GET http://evil.example/ HTTP/1.1", "Host: localhost"],
    );
    assert_eq!(status(&absolute), 421);
    // Style and scripts are no exception.
    let asset = exchange(
        address,
        &["GET /assets/live.js HTTP/1.1", "Host: evil.example"],
    );
    assert_eq!(status(&asset), 421);
    assert_eq!(
        body(&asked_json(address)),
        "{\n  \"error\": \"Host is not a name of this console: use localhost, the address, or a name that it is configured with\"\n}\n"
    );
}

fn asked_json(address: SocketAddr) -> String {
    let lines = [
        "GET / HTTP/1.1",
        "Host: evil.example",
        "Accept: application/json",
    ];
    exchange(address, &lines)
}

#[test]
fn configured_names_are_own_names() {
    let access = Access::open(["headgate-console.ingress.svc".to_owned()]);
    let address = console(access, Limits::default());
    let host = "Host: headgate-console.ingress.svc:80";
    assert_eq!(status(&exchange(address, &["GET / HTTP/1.1", host])), 200);
}

#[test]
fn nothing_is_written() {
    let address = open();
    for method in [
        "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND",
    ] {
        let target = if method == "CONNECT" {
            "localhost:80"
        } else {
            "/routes"
        };
        let line = format!("{method} {target} HTTP/1.1");
        let response = exchange(address, &[&line, "Host: localhost", "Content-Length: 0"]);
        assert_eq!(status(&response), 405, "{method}");
        assert_eq!(field(&response, "allow"), Some("GET, HEAD"));
    }
    // Without a token there is nothing to log in to.
    let login = exchange(
        address,
        &[
            "POST /login HTTP/1.1",
            "Host: localhost",
            "Content-Length: 0",
        ],
    );
    assert_eq!(status(&login), 405);
    assert_eq!(status(&get(address, "/login", &[])), 404);
    let head = exchange(address, &["HEAD / HTTP/1.1", "Host: localhost"]);
    assert_eq!((status(&head), body(&head)), (200, ""));
}

#[test]
fn every_response_has_the_policy() {
    let address = open();
    for path in [
        "/",
        "/assets/console.css",
        "/nothing",
        "/openapi.json",
        "/routes?limit=x",
    ] {
        let response = get(address, path, &[]);
        let policy = field(&response, "content-security-policy").expect(path);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(
            field(&response, "x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(field(&response, "x-frame-options"), Some("DENY"), "{path}");
        let is_asset = path.starts_with("/assets/");
        let stored = field(&response, "cache-control") != Some("no-store");
        assert_eq!(stored, is_asset, "{path}");
    }
}

#[test]
fn without_the_token_there_is_only_the_form() {
    let address = closed();
    for path in [
        "/",
        "/routes",
        "/openapi.json",
        "/live",
        "/nothing",
        "/assets/../routes",
    ] {
        let page = get(address, path, &["Accept: text/html"]);
        assert!([401, 404].contains(&status(&page)), "{path}");
        assert!(!page.contains("shop.example"), "{path}");
        let data = get(address, path, &["Accept: application/json"]);
        assert!([401, 404].contains(&status(&data)), "{path}");
    }
    let data = get(address, "/", &["Accept: application/json"]);
    assert_eq!(
        field(&data, "www-authenticate"),
        Some("Bearer realm=\"Headgate console\"")
    );
    let events = get(address, "/", &["Accept: text/event-stream"]);
    assert_eq!(status(&events), 401);
    let style = get(address, "/assets/console.css", &[]);
    assert_eq!(status(&style), 200);
    let authorization = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(status(&get(address, "/routes", &[&authorization])), 200);
}

fn log_in(address: SocketAddr, form: &str, fields: &[&str]) -> String {
    let length = format!("Content-Length: {}", form.len());
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let head = [
        "POST /login HTTP/1.1",
        "Host: localhost",
        &length,
        kind,
        "Connection: close",
    ];
    let mut stream = connect(address);
    let head = [&head, fields].concat().join("\r\n");
    stream
        .write_all(format!("{head}\r\n\r\n{form}").as_bytes())
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn a_session_takes_the_place_of_the_token() {
    let address = closed();
    let wrong = log_in(address, "token=0123456789abcdef&next=%2Froutes", &[]);
    assert_eq!((status(&wrong), field(&wrong, "set-cookie")), (401, None));
    assert!(wrong.contains("This is not the token.") && wrong.contains("value=\"/routes\""));

    let foreign = log_in(
        address,
        &format!("token={TOKEN}"),
        &["Origin: http://evil.example"],
    );
    assert_eq!(status(&foreign), 403);

    let right = log_in(
        address,
        &format!("token={TOKEN}&next=%2Froutes%3Fq%3Da"),
        &["Origin: http://localhost"],
    );
    assert_eq!(
        (status(&right), field(&right, "location")),
        (303, Some("/routes?q=a"))
    );
    let cookie = field(&right, "set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(TOKEN));
    let session = cookie.split(';').next().unwrap();
    let cookie = format!("Cookie: {session}");
    assert_eq!(status(&get(address, "/routes", &[&cookie])), 200);
    // A replica with the same token knows the session, one with another does not.
    assert_eq!(status(&get(closed(), "/routes", &[&cookie])), 200);
    let other = Access::default()
        .with_token("another token of 24 byte")
        .unwrap();
    assert_eq!(
        status(&get(
            console(other, Limits::default()),
            "/routes",
            &[&cookie]
        )),
        401
    );

    let end = log_in(address, "token=", &[]);
    assert_eq!(field(&end, "location"), Some("/login"));
    assert!(
        field(&end, "set-cookie")
            .unwrap()
            .starts_with("headgate-console=; Path=/; Max-Age=0")
    );
    let elsewhere = log_in(address, &format!("token={TOKEN}&next=//evil.example"), &[]);
    assert_eq!(field(&elsewhere, "location"), Some("/"));
}

#[test]
fn a_link_of_another_site_is_loaded_again_to_get_the_cookie() {
    let address = closed();
    let fetched = [
        "Accept: text/html",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
    ];
    let response = get(address, "/findings", &fetched);
    assert_eq!(status(&response), 401);
    assert!(body(&response).contains("http-equiv=\"refresh\""));
    let again = get(
        address,
        "/findings",
        &["Accept: text/html", "Sec-Fetch-Site: same-origin"],
    );
    assert!(body(&again).contains("value=\"/findings\""));
}

#[test]
fn a_form_is_small() {
    let form = format!("token={}", "a".repeat(9_000));
    assert_eq!(status(&log_in(closed(), &form, &[])), 400);
}
