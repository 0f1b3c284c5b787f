//! Responses: those of a hostile upstream, and those of the proxy itself to requests with a body.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Request, Scenario, Scripted};

use super::super::setup::BINARY;
use super::OK;

/// The body of a request that the proxy responds to itself is never the next request.
#[test]
fn f12_local_responses() {
    let upstream = Scripted::responding(OK);
    let refusing = Scripted::responding("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let sign_in = format!("http://{}/", refusing.address());
    let route = |path: &str, service: &str, annotations: &[(&str, &str)]| {
        Ingress::new(path.trim_start_matches('/'))
            .annotations(annotations)
            .path(path, service)
    };
    let program = Scenario::new()
        .service("web", &[upstream.address()])
        .service("none", &[])
        .ingress(Ingress::new("open").path("/open", "web"))
        .ingress(route(
            "/list",
            "web",
            &[("denylist-source-range", "0.0.0.0/0")],
        ))
        .ingress(route("/auth", "web", &[("auth-url", &sign_in)]))
        .ingress(route("/secure", "web", &[("force-ssl-redirect", "true")]))
        .ingress(route(
            "/moved",
            "web",
            &[("permanent-redirect", "http://b.test")],
        ))
        .ingress(route("/size", "web", &[("proxy-body-size", "1")]))
        .ingress(route("/none", "none", &[]))
        .ingress(route("/cors", "web", &[("enable-cors", "true")]))
        .start(BINARY);
    let inner = "GET /open/smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    for (method, path, status) in [
        ("POST", "/list", 403),
        ("POST", "/auth", 401),
        ("POST", "/secure", 308),
        ("POST", "/moved", 301),
        ("POST", "/size", 413),
        ("POST", "/none", 503),
        ("POST", "http://unknown.test/", 404),
        ("OPTIONS", "/cors", 204),
        ("TRACE", "/open", 405),
        ("POST", "/open/..;/x", 400),
    ] {
        for is_chunked in [false, true] {
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nOrigin: http://b.test\r\n");
            let request = match is_chunked {
                false => format!("{head}Content-Length: {}\r\n\r\n{inner}", inner.len()),
                true => format!(
                    "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n",
                    inner.len()
                ),
            };
            let mut connection = Connection::open(program.http());
            connection.send(request);
            let _ = connection.try_send(&Request::get("/open/after").bytes());
            connection.response().is(status);
            // The connection closes, or the next request gets its response.
            if let Ok(next) = connection.try_response(false) {
                next.is(200);
            }
        }
    }
    let forwarded = upstream.requests();
    assert!(
        forwarded
            .iter()
            .all(|request| request.starts_with("GET /open/after ")),
        "{forwarded:?}"
    );
}

/// Responses of a hostile upstream. Its connections stay open, and none is used again.
#[test]
fn f15_responses() {
    for (what, response, statuses) in [
        (
            "length and coding",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            &[200, 502][..],
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            &[502],
        ),
        (
            "an odd length",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
            &[502],
        ),
        (
            "an unknown coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nx",
            &[200, 502],
        ),
        (
            "a folded field",
            "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
            &[502],
        ),
        (
            "a space before the colon",
            "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
            &[502],
        ),
        (
            "NUL in a value",
            "HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 0\r\n\r\n",
            &[502],
        ),
        (
            "101 that the client did not ask for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            &[502],
        ),
        (
            "bytes after the end",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            &[200],
        ),
    ] {
        let bytes = response.to_owned();
        let upstream = Scripted::start(move |connection| {
            if connection.request().is_some() {
                connection.send(&bytes);
                while connection.request().is_some() {}
            }
        });
        let program = Scenario::simple(upstream.address(), &[])
            .argument("--workers=1")
            .start(BINARY);
        for count in 1..=2 {
            // A response that is cut within its head is none.
            if let Ok(response) = Request::post("/", "x").try_send(program.http()) {
                assert!(statuses.contains(&response.status), "{what}\n{response:?}");
                assert!(!response.text().contains("evil"), "{what}\n{response:?}");
            }
            assert_eq!(
                upstream.connections(),
                count,
                "{what}: a connection is used again"
            );
        }
    }
}

/// Interim responses do not prolong the wait for the final one for ever.
#[test]
fn f15_interim_responses_without_end() {
    let upstream = Scripted::start(|connection| {
        if connection.request().is_some() {
            while connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") {}
        }
    });
    let timeout = [("proxy-read-timeout", "1")];
    let program = Scenario::simple(upstream.address(), &timeout).start(BINARY);
    Request::post("/", "x").send(program.http()).is(504);
}
