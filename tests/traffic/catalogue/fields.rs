//! Fields of requests, and who is trusted for them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Request, Scenario, Scripted};

use super::super::setup::{BINARY, serve_with};
use super::{Conditions, Entry, OK, check, check_with, refused, served};

/// A GET with these fields.
fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

#[test]
fn h1_and_h2_hop_by_hop_fields() {
    const OURS: &[Conditions] = &[&[
        "Host: a.test",
        "X-Real-IP: 127.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Scheme: http",
        "!\r\nx-real-ip: 6.6.6.6",
        "!\r\nx-forwarded-for: 6.6.6.6",
        "!\r\nconnection:",
    ]];
    let mut entries: Vec<Entry> = [
        "Connection: X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Scheme\r\n",
        "Connection: X-Real-IP\r\nConnection: x-forwarded-for, X-SCHEME\r\nX-Real-IP: 6.6.6.6\r\n",
        "Connection: host, content-length, close-not, keep-alive\r\n",
        "Connection: ,,,\r\n",
        "Connection: X-Forwarded-For;q=1, @, \"X-Real-IP\"\r\nX-Forwarded-For: 6.6.6.6\r\n",
    ]
    .iter()
    .map(|fields| served("H1", "fields that Connection lists", get(fields), OURS))
    .collect();
    entries.extend([
        served(
            "H1",
            "a length that Connection lists",
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Content-Length, Host\r\nContent-Length: 5\r\n\r\nhello",
            &[&["Host: a.test", "Content-Length: 5"]],
        ),
        served(
            "H1",
            "a coding that Connection lists",
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            &[&["Host: a.test", "Content-Length: 5"]],
        ),
        served(
            "H2",
            "standard ones",
            get("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: x\r\nHTTP2-Settings: AAMA\r\nTrailer: X\r\nX-Kept: 1\r\n"),
            &[&["X-Kept: 1", "!keep-alive", "!proxy-connection", "!\r\nte:", "!upgrade", "!http2"]],
        ),
    ]);
    check(&entries);
}

#[test]
fn h3_to_h6_fields_that_upstreams_trust() {
    let mut entries = vec![served(
        "H3",
        "addresses of the client",
        get(
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n",
        ),
        &[&[
            "X-Forwarded-For: 127.0.0.1",
            "X-Real-IP: 127.0.0.1",
            "X-Original-Forwarded-For: 6.6.6.6, 7.7.7.7",
            "!\r\nforwarded:",
        ]],
    )];
    for name in [
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Forwarded-Scheme",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Uri",
        "X-Scheme",
        "X-Original-URI",
        "X-Original-Url",
        "X-Original-Forwarded-Host",
        "x-FORWARDED-prefix",
    ] {
        let text = get(&format!("{name}: evil\r\n"));
        entries.push(served("H3", "a forged field", text, &[&["!evil"]]));
    }
    for name in [
        "X_Forwarded_For",
        "X-Forwarded_For",
        "X_Real_IP",
        "X_Scheme",
        "My_Field",
        "_",
        "SSL_Client_Verify",
    ] {
        let text = get(&format!("{name}: evil\r\n"));
        entries.push(served("H4", "an underscore", text, &[&["!evil"]]));
    }
    for name in [
        "ssl-client-verify",
        "SSL-Client-Cert",
        "ssl-client-subject-dn",
        "ssl-client-issuer-dn",
    ] {
        let text = get(&format!("{name}: evil\r\n"));
        entries.push(served("H5", "a certificate", text, &[&["!evil"]]));
    }
    for name in ["Proxy", "proxy", "PROXY"] {
        let text = get(&format!("{name}: evil\r\n"));
        entries.push(served("H6", "Proxy", text, &[&["!evil"]]));
    }
    check(&entries);
}

/// With names of any characters allowed, other spellings of trusted fields still do not pass.
#[test]
fn h4_other_spellings_where_they_are_allowed() {
    let upstream = Scripted::responding(OK);
    let program = Scenario::simple(upstream.address(), &[])
        .settings(&[
            ("enable-underscores-in-headers", "true"),
            ("ignore-invalid-headers", "false"),
        ])
        .start(BINARY);
    let mut entries = vec![served(
        "H4",
        "others pass",
        get("My_Field: 1\r\n"),
        &[&["My_Field: 1"]],
    )];
    for name in [
        "X_Forwarded_For",
        "X.Forwarded.For",
        "X-Forwarded_Host",
        "X_Real_IP",
        "X_Scheme",
        "X_Original_URI",
        "SSL_CLIENT_VERIFY",
        "X_Request_ID",
    ] {
        let text = get(&format!("{name}: evil\r\n"));
        entries.push(served(
            "H4",
            "a spelling of a trusted field",
            text,
            &[&["!evil"]],
        ));
    }
    check_with(&program, &upstream, &entries);
}

/// The authentication service gets the same trusted fields as the upstream, and its identity cannot be forged.
#[test]
fn h3_and_h5_authentication() {
    let service = Scripted::responding(OK);
    let upstream = Scripted::responding(OK);
    let program = Scenario::simple(
        upstream.address(),
        &[
            ("auth-url", &format!("http://{}/check", service.address())),
            ("auth-response-headers", "X-User, X-Groups"),
        ],
    )
    .start(BINARY);
    let forged = get(
        "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: evil\r\nX-Original-URL: evil\r\n\
         X-Original-Method: evil\r\nX-User: evil\r\nX_User: evil\r\nx-groups: evil\r\nssl-client-verify: evil\r\n",
    );
    check_with(
        &program,
        &upstream,
        &[served(
            "H5",
            "an identity",
            forged,
            &[&["X-Forwarded-For: 127.0.0.1", "!evil"]],
        )],
    );
    let asked = service.requests();
    let request = asked[0].to_lowercase();
    for (name, value) in [
        ("x-original-url", "http://a.test/"),
        ("x-original-method", "get"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        let line = format!("\r\n{name}: {value}\r\n");
        assert!(request.contains(&line), "{line:?} is not in {request}");
    }
    assert!(!request.contains("ssl-client-verify"), "{request}");
}

/// A rule on a field is no weaker when the field is repeated.
#[test]
fn h7_repeated_fields() {
    let (program, web) = serve_with(
        &[
            ("block-user-agents", "~*evil"),
            ("block-referers", "~*evil"),
        ],
        &[],
    );
    for fields in [
        &[("User-Agent", "evil")][..],
        &[("User-Agent", "good"), ("User-Agent", "evil")],
        &[("User-Agent", "evil"), ("User-Agent", "good")],
        &[("User-Agent", "evil"), ("user-agent", "evil")],
        &[("Referer", ""), ("Referer", "http://evil.test/")],
    ] {
        let request = fields
            .iter()
            .fold(Request::get("/"), |request, (name, value)| {
                request.field(name, value)
            });
        request.send(program.http()).is(403);
    }
    assert_eq!(web.requests(), 0);
}

#[test]
fn h8_to_h10_malformed_and_large_fields() {
    let mut entries: Vec<Entry> = [
        ("H8", "NUL in a value", "X-A: 1\x002\r\n"),
        ("H8", "a bare CR in a value", "X-A: 1\rX-B: 2\r\n"),
        ("H8", "a control character in a value", "X-A: 1\x012\r\n"),
        ("H8", "a folded field", "X-A: 1\r\n 2\r\n"),
        ("H8", "a line without colon", "nonsense\r\n"),
        ("H10", "a space before the colon", "X-A : 1\r\n"),
        ("H10", "a space in a name", "X A: 1\r\n"),
        ("H10", "an empty name", ": 1\r\n"),
        ("H10", "NUL in a name", "X\0A: 1\r\n"),
    ]
    .into_iter()
    .map(|(id, what, fields)| refused(id, what, get(fields), 400))
    .collect();
    let cookies = format!("Cookie: {}\r\n", "a=b; ".repeat(1500)).repeat(8);
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    entries.extend([
        refused(
            "H8",
            "a space before the first field",
            "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
            400,
        ),
        refused(
            "H9",
            "one large cookie",
            get(&format!("Cookie: a={}\r\n", "b".repeat(64 << 10))),
            431,
        ),
        refused("H9", "many cookies", get(&cookies), 431),
        refused("H9", "many fields", get(&many), 431),
        refused("H10", "a bracket in a name", get("X[a]: evil\r\n"), 400),
        served(
            "H10",
            "a dot in a name",
            get("X.A: evil\r\n"),
            &[&["!evil"]],
        ),
        refused(
            "H10",
            "letters beyond ASCII in a name",
            get("X-Caf\u{e9}: 1\r\n"),
            400,
        ),
    ]);
    check(&entries);
}

/// A coded request is not decoded, and a coded response is not coded again.
#[test]
fn h11_content_codings() {
    let body = "x".repeat(2000);
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let upstream = Scripted::responding(&response);
    let program = Scenario::new()
        .service("web", &[upstream.address()])
        .settings(&[("use-gzip", "true")])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    let request = Request::post("/", "\x1f\x08 not a gzip stream")
        .field("Content-Encoding", "gzip")
        .field("Accept-Encoding", "gzip");
    let response = request
        .send(program.http())
        .is(200)
        .has("content-encoding", "br");
    assert_eq!(response.text(), body);
    let received = upstream.wait_for(1).remove(0);
    assert!(
        received.ends_with("\r\n\r\n\x1f\x08 not a gzip stream"),
        "{received:?}"
    );
}

/// Ten kilobytes that expand to ten megabytes pass in both directions as they are.
#[test]
fn h11_bodies_that_expand() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 10 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let served = bomb.clone();
    let upstream = Scripted::start(move |connection| {
        while connection.request().is_some() {
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                served.len()
            ));
            connection.send(&served);
        }
    });
    let program = Scenario::new()
        .service("web", &[upstream.address()])
        .settings(&[("use-gzip", "true"), ("enable-brotli", "true")])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    for accepted in ["gzip", "br", "identity"] {
        let request = Request::post("/", bomb.clone())
            .field("Content-Encoding", "gzip")
            .field("Accept-Encoding", accepted);
        let response = request.send(program.http()).is(200);
        assert!(response.body == bomb, "{} bytes", response.body.len());
    }
    let body = String::from_utf8_lossy(&bomb).into_owned();
    for received in upstream.wait_for(3) {
        assert!(received.ends_with(&body), "{} bytes", received.len());
    }
}
