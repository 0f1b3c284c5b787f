//! Request targets, hosts and methods.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Request, Scenario, Scripted};

use super::super::setup::BINARY;
use super::{Entry, OK, check, refused, served};

fn get(target: &str, host: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn t1_and_t2_hosts() {
    let mut entries: Vec<Entry> = [
        ("T1", "no Host", "GET / HTTP/1.1\r\n\r\n"),
        (
            "T1",
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        ),
        (
            "T1",
            "two equal Hosts",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
        ),
        ("T1", "an empty Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n"),
        (
            "T1",
            "an empty Host before another",
            "GET / HTTP/1.1\r\nHost: \r\nHost: a.test\r\n\r\n",
        ),
        (
            "T2",
            "NUL in Host",
            "GET / HTTP/1.1\r\nHost: a.test\0\r\n\r\n",
        ),
        (
            "T2",
            "a folded Host",
            "GET / HTTP/1.1\r\nHost:\r\n a.test\r\n\r\n",
        ),
    ]
    .into_iter()
    .map(|(id, what, text)| refused(id, what, text, 400))
    .collect();
    for (id, host) in [
        ("T1", "a.test, b.test"),
        ("T1", "a.test,a.test"),
        ("T2", "u@a.test"),
        ("T2", "a.test/x"),
        ("T2", "a.test?x"),
        ("T2", "a.test#x"),
        ("T2", "a.test b"),
        ("T2", "a%2etest"),
        ("T2", "a..test"),
        ("T2", "[::1"),
        ("T2", "a:b:c"),
        ("T2", "a.test:x"),
        ("T2", "a.test:"),
        ("T2", "a.test:99999"),
        ("T2", "a.test\\@b.test"),
        ("T2", "http://a.test"),
    ] {
        entries.push(refused(id, "a Host", get("/", host), 400));
    }
    check(&entries);
}

/// Every spelling of a host has the rules of the host, however many there are.
#[test]
fn t3_one_host_however_it_is_spelled() {
    for count in [1, 10_000] {
        let upstream = Scripted::responding(OK);
        let hosts = (1..count).fold(Ingress::new("others"), |ingress, number| {
            ingress.host(&format!("h{number}.test")).path("/", "web")
        });
        let program = Scenario::new()
            .service("web", &[upstream.address()])
            .ingress(hosts.host("b.test").path("/", "web"))
            .ingress(
                Ingress::new("denied")
                    .annotation("denylist-source-range", "0.0.0.0/0")
                    .host("app.test")
                    .path("/", "web"),
            )
            .start(BINARY);
        let mut connection = Connection::open(program.http());
        for name in ["host", "Host", "HOST"] {
            for host in [
                "app.test",
                "APP.TEST",
                "app.test.",
                "App.Test.:80",
                "app.test:99",
            ] {
                connection.send(format!("GET / HTTP/1.1\r\n{name}: {host}\r\n\r\n"));
                connection.response().is(403);
            }
        }
        assert_eq!(upstream.requests(), Vec::<String>::new());
    }
}

#[test]
fn t4_to_t7_forms_of_targets() {
    let mut entries: Vec<Entry> = [
        (
            "T4",
            "absolute without Host",
            "GET http://a.test/ HTTP/1.1\r\n\r\n".to_owned(),
        ),
        ("T6", "user", get("@evil.test/", "a.test")),
        ("T6", "no slash", get("x", "a.test")),
        ("T6", "asterisk with GET", get("*", "a.test")),
        (
            "T6",
            "asterisk with OPTIONS",
            "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        ),
        ("T6", "authority", get("a.test:80", "a.test")),
        ("T6", "another scheme", get("ftp://a.test/", "a.test")),
        ("T6", "a scheme alone", get("http:", "a.test")),
        ("T6", "no authority", get("http:///x", "a.test")),
        (
            "T6",
            "a user in an absolute target",
            get("http://u@a.test/", "a.test"),
        ),
        (
            "T6",
            "a backslash for an authority",
            get("http:\\\\b.test/", "a.test"),
        ),
        ("T6", "a query alone", get("?x", "a.test")),
        ("T6", "a fragment alone", get("#x", "a.test")),
        ("T6", "a space", get("/a b", "a.test")),
        ("T6", "a control character", get("/a\x01b", "a.test")),
        (
            "T6",
            "an empty target",
            "GET  HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        ),
    ]
    .into_iter()
    .map(|(id, what, text)| refused(id, what, text, 400))
    .collect();
    entries.extend([
        served(
            "T4",
            "absolute against Host",
            get("http://a.test/x", "b.test"),
            &[&["GET /x HTTP/1.1", "Host: a.test", "!b.test"]],
        ),
        Entry {
            responses: vec![403],
            forwarded: &[],
            ..served(
                "T4",
                "a rule of the host in the target",
                get("http://A.test./denied", "b.test"),
                &[],
            )
        },
        served(
            "T6",
            "two slashes are no authority",
            get("//evil.test/", "a.test"),
            &[&["GET //evil.test/ HTTP/1.1", "Host: a.test"]],
        ),
        served(
            "T7",
            "a fragment",
            get("/x#/denied", "a.test"),
            &[&["GET /x HTTP/1.1", "!#"]],
        ),
        Entry {
            responses: vec![403],
            forwarded: &[],
            ..served(
                "T7",
                "a rule before a fragment",
                get("/denied#/x", "a.test"),
                &[],
            )
        },
    ]);
    check(&entries);
}

#[test]
fn t8_and_t9_methods() {
    let inner = "GET /inner HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let refused_methods = [
        (
            "T8",
            "CONNECT",
            format!("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n{inner}"),
            405,
        ),
        (
            "T8",
            "CONNECT with a path",
            format!("CONNECT / HTTP/1.1\r\nHost: a.test\r\n\r\n{inner}"),
            405,
        ),
        (
            "T8",
            "TRACE",
            format!("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n{inner}"),
            405,
        ),
        (
            "T9",
            "a method that is no token",
            format!("G(T / HTTP/1.1\r\nHost: a.test\r\n\r\n{inner}"),
            400,
        ),
        (
            "T9",
            "no method",
            format!(" / HTTP/1.1\r\nHost: a.test\r\n\r\n{inner}"),
            400,
        ),
    ];
    let mut entries: Vec<Entry> = refused_methods
        .into_iter()
        .map(|(id, what, text, status)| refused(id, what, text, status))
        .collect();
    entries.extend([
        served(
            "T9",
            "lower case",
            "get / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[&["get / HTTP/1.1"]],
        ),
        served(
            "T9",
            "lower case of TRACE",
            "trace / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[&["trace / HTTP/1.1"]],
        ),
        served(
            "T9",
            "an unknown method",
            "X-Y.Z / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[&["X-Y.Z / HTTP/1.1"]],
        ),
    ]);
    check(&entries);
}

/// What is kept or counted for one host is not that of another: responses of authentication services, and rates.
#[test]
fn t10_keys_include_the_host() {
    let web = Echo::start("web");
    let open = Scripted::responding(OK);
    let closed = Scripted::responding("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let host = |name: &str, auth: &Scripted| {
        Ingress::new(name)
            .annotations(&[
                ("auth-url", &format!("http://{}/", auth.address())),
                ("auth-cache-key", "$http_authorization"),
                ("limit-rpm", "1"),
            ])
            .host(&format!("{name}.test"))
            .path("/", "web")
    };
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(host("a", &open))
        .ingress(host("b", &closed))
        .start(BINARY);
    let get = |host: &str| {
        let request = Request::get("/same")
            .host(host)
            .field("Authorization", "one");
        request.send(program.http()).status
    };
    for _ in 0..3 {
        assert_eq!((get("a.test"), get("b.test")), (200, 401));
    }
    for _ in 0..3 {
        assert_eq!(get("a.test"), 200);
    }
    // The burst of one host is used up, not that of the other.
    assert_eq!((get("a.test"), get("b.test")), (503, 401));
}
