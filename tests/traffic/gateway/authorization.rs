//! Authorization services.

use headgate_testkit::protobuf::{field, number};
use headgate_testkit::{Authorizer, Check, Connection, Echo, Http2, Request, Scripted};
use serde_json::{Value, json};

use super::grpc;
use super::setup::{Cluster, PORT, Running, filtered, to};
use crate::traffic::setup::closed_port;

const ALLOWED: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: alice\r\nX-Other: granted\r\n\r\nok";
const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nWWW-Authenticate: Basic\r\nX-Why: no user\r\n\r\nlogin";

/// A service that allows requests with `Authorization: good`.
fn service() -> Scripted {
    Scripted::start(|connection| {
        while let Some(request) = connection.request() {
            let is_good = request.to_lowercase().contains("authorization: good");
            connection.send(if is_good { ALLOWED } else { REFUSED });
        }
    })
}

fn auth(service: &str, http: Value) -> Value {
    json!([{ "type": "ExternalAuth", "externalAuth": {
        "protocol": "HTTP", "backendRef": to(service), "http": http,
    } }])
}

fn start(service: &Scripted, v1: &Echo) -> Running {
    let rules = json!([
        filtered("/all", auth("auth", json!({ "path": "/check/" })), "v1"),
        filtered(
            "/some",
            auth(
                "auth",
                json!({ "allowedHeaders": ["X-Ask"], "allowedResponseHeaders": ["X-User", "X-Role"] })
            ),
            "v1"
        ),
        filtered("/missing", auth("none", json!({})), "v1"),
        filtered("/down", auth("down", json!({})), "v1"),
    ]);
    Cluster::simple(&[v1])
        .service("auth", &[service.address()])
        .service("down", &[closed_port()])
        .route("r", rules)
        .start()
}

#[test]
fn the_service_gets_what_identifies_a_request_and_decides() {
    let (service, v1) = (service(), Echo::start("v1"));
    let running = start(&service, &v1);
    let post = Request::post("/all/x?y=1", "body")
        .field("Authorization", "good")
        .field("X-User", "mallory")
        .field("X-Ask", "not asked for");
    let echo = post.send(running.at(PORT)).is(200).echo();
    assert_eq!(echo.body(), "body");
    echo.has("x-user", "alice").has("x-other", "granted");
    let asked = service.wait_for(1).pop().unwrap().to_lowercase();
    assert!(
        asked.starts_with("post /check/all/x?y=1 http/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("host: a.test\r\n") && asked.contains("content-length: 0\r\n"),
        "{asked}"
    );
    assert!(
        !asked.contains("x-ask") && !asked.contains("mallory"),
        "{asked}"
    );
    let some = running
        .send("/some Authorization=good X-User=mallory X-Role=admin X-Ask=1")
        .is(200)
        .echo();
    some.has("x-user", "alice")
        .has("x-role", None)
        .has("x-other", None);
    let asked = service.wait_for(2).pop().unwrap().to_lowercase();
    assert!(
        asked.starts_with("get /some http/1.1\r\n") && asked.contains("x-ask: 1\r\n"),
        "{asked}"
    );
    assert_eq!(v1.requests(), 2);
}

#[test]
fn a_refusal_is_the_response_and_without_a_service_no_request_is_allowed() {
    let (service, v1) = (service(), Echo::start("v1"));
    let running = start(&service, &v1);
    let refused = running.send("/all").is(401);
    assert_eq!(refused.text(), "login");
    refused
        .has("www-authenticate", "Basic")
        .has("x-why", "no user");
    running.check(&[
        ("/missing Authorization=good", "500"),
        ("/down Authorization=good", "500"),
    ]);
    assert_eq!(v1.requests(), 0);
}

#[test]
fn a_service_over_http_gets_bodies_up_to_their_bound() {
    let (service, v1) = (service(), Echo::start("v1"));
    let mut filter = auth("auth", json!({ "allowedHeaders": ["Content-Type"] }));
    filter[0]["externalAuth"]["forwardBody"] = json!({ "maxSize": 5 });
    let running = Cluster::simple(&[&v1])
        .service("auth", &[service.address()])
        .route("r", json!([filtered("/", filter, "v1")]))
        .start();
    let good = |request: Request| request.field("Authorization", "good");
    let post = good(Request::post("/", "12345"));
    let echo = post.send(running.at(PORT)).is(200).echo();
    assert_eq!(echo.body(), "12345");
    let asked = service.wait_for(1).pop().unwrap().to_lowercase();
    assert!(
        asked.contains("content-length: 5\r\n") && asked.ends_with("12345"),
        "{asked}"
    );
    let chunked = |content: &str| {
        let request = good(Request::new("POST", "/")).field("Transfer-Encoding", "chunked");
        let mut connection = Connection::open(running.at(PORT));
        connection.send(request.bytes()).send(content).response()
    };
    let echo = chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").is(200).echo();
    assert_eq!(echo.body(), "abcde");
    assert!(service.wait_for(2).pop().unwrap().ends_with("abcde"));
    good(Request::get("/")).send(running.at(PORT)).is(200);
    service.wait_for(3);
    // Neither the service nor the endpoint gets a longer one.
    good(Request::post("/", "123456"))
        .send(running.at(PORT))
        .is(413);
    chunked("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n").is(413);
    assert_eq!((service.requests().len(), v1.requests()), (3, 3));
}

/// `HeaderValueOption`
fn option(name: &str, value: &str, rest: &[u8]) -> Vec<u8> {
    let header = [field(1, name), field(2, value)].concat();
    [&field(1, header), rest].concat()
}

/// `CheckResponse` with an `OkHttpResponse`.
fn allowed(response: &[Vec<u8>]) -> Vec<u8> {
    [field(1, ""), field(3, response.concat())].concat()
}

/// `CheckResponse` with a `DeniedHttpResponse`.
fn denied(response: &[Vec<u8>]) -> Vec<u8> {
    [field(1, number(1, 7)), field(2, response.concat())].concat()
}

/// A service that decides by the first segment of the path.
fn decide(check: &Check) -> Result<Vec<u8>, &'static str> {
    let append = field(2, number(1, 1));
    let case = check.path.split(['/', '?']).nth(1).unwrap_or_default();
    Ok(match case {
        "plain" => field(1, ""),
        "edits" => allowed(&[
            field(2, option("x-user", "alice", b"")),
            field(2, option("x-list", "b", &append)),
            field(2, option("x-kept", "service", &number(3, 1))),
            field(5, "x-secret"),
            field(5, ":path"),
            field(5, "host"),
            field(6, option("x-of-service", "1", b"")),
        ]),
        "refused" => denied(&[
            field(1, number(1, 302)),
            field(2, option("location", "https://login.test/", b"")),
            field(3, "log in"),
        ]),
        "forbidden" => field(1, number(1, 7)),
        "host" => allowed(&[field(2, option("Host", "other.test", b""))]),
        "invalid" => allowed(&[field(2, option("x-a", "b\r\nc", b""))]),
        "query" => allowed(&[field(8, "token")]),
        "garbage" => b"\xff\xff".to_vec(),
        "empty" => Vec::new(),
        _ => return Err("14"),
    })
}

fn by_call(service: &str, more: Value) -> Value {
    let mut filter = json!({ "protocol": "GRPC", "backendRef": to(service) });
    for (name, value) in more.as_object().into_iter().flatten() {
        filter[name] = value.clone();
    }
    json!([{ "type": "ExternalAuth", "externalAuth": filter }])
}

fn start_calls(service: &Authorizer, v1: &Echo) -> Running {
    let rules = json!([
        filtered("/", by_call("auth", json!({})), "v1"),
        filtered(
            "/plain/some",
            by_call("auth", json!({ "grpc": { "allowedHeaders": ["X-Ask"] } })),
            "v1"
        ),
        filtered(
            "/plain/body",
            by_call("auth", json!({ "forwardBody": { "maxSize": 5 } })),
            "v1"
        ),
        filtered("/down", by_call("down", json!({})), "v1"),
    ]);
    Cluster::simple(&[v1])
        .service("auth", &[service.address()])
        .service("down", &[closed_port()])
        .route("r", rules)
        .start()
}

#[test]
fn a_service_over_grpc_gets_what_identifies_a_request() {
    let (service, v1) = (Authorizer::start(decide), Echo::start("v1"));
    let running = start_calls(&service, &v1);
    let post = Request::post("/plain/x?y=1", "body")
        .field("Cookie", "a=b")
        .field("X-Ask", "1")
        .field("X-Ask", "2")
        .field("X-Forwarded-For", "192.0.2.1")
        .field("Connection", "X-Hop")
        .field("X-Hop", "1");
    let echo = post.send(running.at(PORT)).is(200).echo();
    assert_eq!(echo.body(), "body");
    let mut check = service.checks().pop().unwrap();
    let id = check.fields.remove("x-request-id").unwrap_or_default();
    assert_eq!(id.len(), 32, "{id}");
    let fields = [
        (":authority", "a.test"),
        (":method", "POST"),
        (":path", "/plain/x?y=1"),
        (":scheme", "http"),
        ("content-length", "4"),
        ("cookie", "a=b"),
        ("host", "a.test"),
        ("x-ask", "1,2"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    assert_eq!(
        check,
        Check {
            call: "/envoy.service.auth.v3.Authorization/Check".to_owned(),
            authority: "auth.shop.svc:80".to_owned(),
            source: "127.0.0.1".to_owned(),
            method: "POST".to_owned(),
            path: "/plain/x?y=1".to_owned(),
            host: "a.test".to_owned(),
            scheme: "http".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            size: 4,
            fields: fields.map(owned).into(),
            ..Check::default()
        }
    );
    running.send("/plain/some X-Ask=1 X-Other=2").is(200);
    let some = service.checks().pop().unwrap();
    assert_eq!(some.fields, [("x-ask", "1")].map(owned).into());
    let mut client = Http2::clear(running.at(PORT));
    let call = grpc::call("a.test", "/plain/call", &[]);
    assert_eq!(client.send(call).field("x-name"), Some("v1"));
    assert_eq!(service.checks().pop().unwrap().protocol, "HTTP/2");
}

#[test]
fn a_service_over_grpc_changes_requests_and_responses() {
    let (service, v1) = (Authorizer::start(decide), Echo::start("v1"));
    let running = start_calls(&service, &v1);
    let response = running.send(
        "/edits X-User=mallory X_User=mallory X-List=a X-Kept=client X-Secret=s X-Echo-Field=X-Of-Service:0",
    );
    let response = response.is(200);
    assert_eq!(response.all("x-of-service"), ["0", "1"]);
    let echo = response.echo();
    echo.has("x-user", "alice")
        .has("x_user", None)
        .has("x-kept", "client")
        .has("x-secret", None)
        .has("host", "a.test");
    assert_eq!(echo.all("x-list"), ["a", "b"]);
    assert_eq!(echo.target(), "/edits");
}

#[test]
fn a_refusal_over_grpc_is_the_response() {
    let (service, v1) = (Authorizer::start(decide), Echo::start("v1"));
    let running = start_calls(&service, &v1);
    let refused = running.send("/refused").is(302);
    assert_eq!(refused.text(), "log in");
    refused.has("location", "https://login.test/");
    running.send("/forbidden").is(403);
    let mut client = Http2::clear(running.at(PORT));
    let call = grpc::call("a.test", "/forbidden", &[]);
    assert_eq!(grpc::outcome(&mut client, call), "grpc 7");
    assert_eq!(v1.requests(), 0);
}

#[test]
fn what_is_no_permission_over_grpc_allows_nothing() {
    let (service, v1) = (Authorizer::start(decide), Echo::start("v1"));
    let running = start_calls(&service, &v1);
    running.check(&[
        ("/unavailable", "500"),
        ("/host", "500"),
        ("/invalid", "500"),
        ("/query", "500"),
        ("/garbage", "500"),
        ("/empty", "500"),
    ]);
    assert_eq!(service.checks().len(), 6);
    running.check(&[("/down", "500")]);
    assert_eq!(v1.requests(), 0);
}

#[test]
fn a_service_over_grpc_gets_bodies_up_to_their_bound() {
    let (service, v1) = (Authorizer::start(decide), Echo::start("v1"));
    let running = start_calls(&service, &v1);
    let post = |content: &[u8]| Request::post("/plain/body", content).send(running.at(PORT));
    assert_eq!(post(b"12345").is(200).echo().body(), "12345");
    let check = service.checks().pop().unwrap();
    assert_eq!((&*check.body, check.size), ("12345", 5));
    post(b"\xff\0").is(200);
    let check = service.checks().pop().unwrap();
    assert_eq!(
        (check.body, check.raw_body),
        (String::new(), b"\xff\0".to_vec())
    );
    post(b"123456").is(413);
    assert_eq!((service.checks().len(), v1.requests()), (2, 2));
}
