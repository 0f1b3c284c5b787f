//! `/debug/explain` and `headgate explain` say what the proxy does: for random objects and requests, the explanation names the
//! response or the backend of the request itself. The same holds for streams and for TLS that is passed through.

use std::cell::RefCell;
use std::net::{Ipv4Addr, UdpSocket};

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Connection, Echo, Program, Request, Scenario, wait};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::setup::{BINARY, serve};
use super::streams::{at, free_ports, send_until_received, udp_service};
use super::{passthrough, streams};

/// Backends of the random objects.
const SERVICES: [&str; 3] = ["one", "two", "three"];
const HOSTS: [&str; 5] = ["a.test", "*.a.test", "www.a.test", "b.test", ""];
const PATHS: [&str; 9] = [
    "/", "/a", "/a/", "/a/b", "/A", "/a.b", "/(.*)", "/a/(b|c)", "/x%20y",
];
/// Annotations, each alone or with others. None depends on time, on a count or on another service.
const ANNOTATIONS: &[(&str, &str)] = &[
    ("use-regex", "true"),
    ("rewrite-target", "/r/$1"),
    ("ssl-redirect", "false"),
    ("force-ssl-redirect", "true"),
    ("app-root", "/a"),
    ("permanent-redirect", "http://elsewhere.test/"),
    ("temporal-redirect", "/other"),
    ("from-to-www-redirect", "true"),
    ("whitelist-source-range", "10.0.0.0/8"),
    ("whitelist-source-range", "127.0.0.0/8"),
    ("denylist-source-range", "127.0.0.1"),
    ("satisfy", "any"),
    ("auth-type", "basic"),
    ("auth-secret", "users"),
    ("enable-cors", "true"),
    ("proxy-body-size", "1"),
    ("canary", "true"),
    ("canary-weight", "100"),
    ("canary-weight", "30"),
    ("canary-by-header", "X-Canary"),
    ("canary-by-cookie", "try"),
    ("default-backend", "three"),
    ("custom-http-errors", "404"),
    ("server-alias", "alias.test"),
    ("auth-tls-match-cn", "CN=x"),
    ("affinity", "cookie"),
    (
        "configuration-snippet",
        "if ($request_method = POST) { return 403; }",
    ),
    ("configuration-snippet", "rewrite ^/a/(.*)$ /$1 last;"),
    ("configuration-snippet", "rewrite ^/a$ /b break;"),
    (
        "server-snippet",
        "if ($http_x_canary = never) { return 410; }",
    ),
];
const REQUEST_HOSTS: [&str; 7] = [
    "a.test",
    "x.a.test",
    "www.a.test",
    "b.test",
    "alias.test",
    "c.test",
    "A.TEST:80",
];
const REQUEST_PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c?q=/",
    "/A/B",
    "/axb",
    "/a/../b",
    "//a",
    "/x%20y",
    "/ab",
    "/%zz",
];
const FIELDS: &[(&str, &str)] = &[
    ("X-Canary", "always"),
    ("X-Canary", "never"),
    ("Cookie", "try=always"),
    ("Authorization", "Basic YTpi"),
    ("Authorization", "Basic YTp3cm9uZw=="),
    ("Origin", "http://o.test"),
];

/// An Ingress: index of its host, indices of paths with type and Service, and indices of annotations.
type Drawn = (usize, Vec<(usize, usize, usize)>, Vec<usize>);
/// A request: method, and indices of its host, path and fields.
type Asked = (&'static str, usize, usize, Vec<usize>);

fn ingresses() -> impl Strategy<Value = Vec<Drawn>> {
    let path = (0..PATHS.len(), 0..3usize, 0..SERVICES.len());
    let ingress = (
        0..HOSTS.len(),
        prop::collection::vec(path, 1..4),
        prop::collection::vec(0..ANNOTATIONS.len(), 0..4),
    );
    prop::collection::vec(ingress, 1..5)
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    let request = (
        prop::sample::select(&["GET", "POST", "OPTIONS"][..]),
        0..REQUEST_HOSTS.len(),
        0..REQUEST_PATHS.len(),
        prop::collection::vec(0..FIELDS.len(), 0..3),
    );
    prop::collection::vec(request, 24)
}

fn scenario(drawn: &[Drawn], echoes: &[Echo]) -> Scenario {
    let users = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "users", "namespace": manifest::NAMESPACE },
        "stringData": { "auth": "a:{SHA}6dcfXufJLW3J6S/9rRe4vUlBj5g=" },
    });
    let with_snippets = Scenario::new().settings(&[
        ("allow-snippet-annotations", "true"),
        ("annotations-risk-level", "Critical"),
    ]);
    let services = echoes.iter().fold(with_snippets, |scenario, echo| {
        scenario.service(echo.name(), &[echo.address()])
    });
    drawn.iter().enumerate().fold(
        services.object(users),
        |scenario, (at, (host, paths, annotations))| {
            let name = format!("drawn-{at}");
            let created = format!("2026-01-{:02}T00:00:00Z", at + 1);
            let ingress = Ingress::new(&name).created(&created).host(HOSTS[*host]);
            let ingress = annotations.iter().fold(ingress, |ingress, index| {
                let (name, value) = ANNOTATIONS[*index];
                ingress.annotation(name, value)
            });
            let ingress = paths
                .iter()
                .fold(ingress, |ingress, (path, kind, service)| {
                    let (path, service) = (PATHS[*path], SERVICES[*service]);
                    match kind {
                        0 => ingress.exact(path, service),
                        1 => ingress.path(path, service),
                        _ => ingress.pattern(path, service),
                    }
                });
            scenario.ingress(ingress)
        },
    )
}

fn request((method, host, path, fields): &Asked) -> Request {
    let request = Request::new(method, REQUEST_PATHS[*path]).host(REQUEST_HOSTS[*host]);
    fields.iter().fold(request, |request, index| {
        let (name, value) = FIELDS[*index];
        request.field(name, value)
    })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The explanation of a GET request for a URL, or of a connection to it.
fn explained(program: &Program, url: &str) -> Value {
    let target = format!("/debug/explain?url={}", encoded(url));
    serde_json::from_slice(&program.admin_get(&target).is(200).body).unwrap()
}

/// The steps with the sources of their configuration.
fn sources(explained: &Value) -> Vec<(&str, &str)> {
    let steps = explained["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            (
                step["name"].as_str().unwrap(),
                step["from"][0].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

fn explanation(program: &Program, (method, host, path, fields): &Asked) -> Value {
    let url = format!("http://{}{}", REQUEST_HOSTS[*host], REQUEST_PATHS[*path]);
    let fields: Vec<_> = fields.iter().map(|index| FIELDS[*index]).collect();
    of(program, &url, method, &fields)
}

/// The explanation of a request with these fields for a URL.
pub(super) fn of(program: &Program, url: &str, method: &str, fields: &[(&str, &str)]) -> Value {
    let mut target = format!(
        "/debug/explain?url={}&method={method}&from=127.0.0.1",
        encoded(url)
    );
    for (name, value) in fields {
        target.push_str(&format!("&header={}", encoded(&format!("{name}: {value}"))));
    }
    serde_json::from_slice(&program.admin_get(&target).is(200).body).unwrap()
}

/// What is wrong with an explanation, if anything is.
fn difference(program: &Program, asked: &Asked) -> Option<String> {
    let explained = explanation(program, asked);
    let response = request(asked).send(program.http());
    let outcome = &explained["outcome"];
    let holds = match outcome["kind"].as_str() {
        Some("forwarded") if response.status == 200 => {
            let echo = response.echo();
            let backends = explained["backends"].as_array().unwrap();
            let is_named = |backend: &Value| {
                let name = backend["name"].as_str().unwrap();
                let service = name.split('/').nth(1);
                let endpoints = backend["endpoints"].as_array().unwrap();
                service == Some(echo.name()) && !endpoints.is_empty()
            };
            backends.iter().any(is_named) && outcome["target"] == echo.target()
        }
        Some("response") => {
            let has_page = explained["steps"]
                .as_array()
                .unwrap()
                .iter()
                .any(|step| step["name"] == "error page");
            let location = response.field("location");
            has_page
                || (outcome["status"] == response.status
                    && outcome["location"].as_str() == location)
        }
        _ => false,
    };
    // The admin port verifies no passwords.
    let steps = explained["steps"].as_array().unwrap();
    let depends = |step: &Value| step["name"] == "password" && step["result"] == "depends";
    let holds = holds || (response.status == 401 && steps.iter().any(depends));
    (!holds).then(|| format!("{asked:?}\n{response:?}\n{explained:#}"))
}

#[test]
fn explanations_name_what_the_proxy_does() {
    let echoes = SERVICES.map(Echo::start);
    let program = scenario(&[], &echoes).start(BINARY);
    let outcomes = RefCell::new([0, 0]);
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&(ingresses(), requests()), |(drawn, asked)| {
        let scenario = scenario(&drawn, &echoes);
        // The name of a Service without endpoints makes every table a new one.
        let marked = scenario.object(manifest::service(&format!("mark-{}", program.generation())));
        program.change(|| marked.replace(&program));
        for one in &asked {
            if let Some(difference) = difference(&program, one) {
                return Err(TestCaseError::fail(format!("{difference}\n{drawn:#?}")));
            }
            let kind = explanation(&program, one)["outcome"]["kind"] == "forwarded";
            outcomes.borrow_mut()[usize::from(kind)] += 1;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let [responses, forwarded] = outcomes.into_inner();
    assert!(
        responses > 20 && forwarded > 20,
        "{responses} responses, {forwarded} forwarded"
    );
}

#[test]
fn explanations_of_streams_name_where_they_go() {
    let (db, dns) = (
        Echo::start("db"),
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
    );
    let [open, closed, unused] = free_ports();
    let (tcp, udp) = (
        [(open, "shop/db:80"), (closed, "shop/nowhere:80")],
        [(open, "shop/dns:53")],
    );
    let scenario = streams::scenario(&tcp, &udp).service("db", &[db.address()]);
    let program = udp_service(scenario, "dns", dns.local_addr().unwrap()).start(BINARY);

    let of_tcp = explained(&program, &format!("tcp://127.0.0.1:{open}"));
    let response = wait::until("an open port", || {
        let connection = Connection::try_open(at(open)).ok()?;
        drop(connection);
        Some(Request::get("/").send(at(open)))
    });
    assert_eq!(of_tcp["outcome"]["kind"], "streamed", "{of_tcp:#}");
    assert_eq!(
        of_tcp["backends"][0]["name"],
        format!("shop/{}/80", response.echo().name())
    );
    assert_eq!(
        of_tcp["backends"][0]["endpoints"],
        json!([db.address().to_string()])
    );
    assert_eq!(of_tcp["entry"]["object"], "ConfigMap ops/tcp");

    let of_udp = explained(&program, &format!("udp://127.0.0.1:{open}"));
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    send_until_received(&client, open, &dns, "question");
    let endpoint = dns.local_addr().unwrap().to_string();
    assert_eq!(
        of_udp["backends"][0]["endpoints"],
        json!([endpoint]),
        "{of_udp:#}"
    );

    for (port, entry) in [(closed, json!("shop/nowhere:80")), (unused, Value::Null)] {
        let nothing = explained(&program, &format!("tcp://127.0.0.1:{port}"));
        assert!(Connection::try_open(at(port)).is_err());
        assert_eq!(nothing["outcome"]["kind"], "notReceived", "{nothing:#}");
        assert_eq!(nothing["entry"]["service"], entry, "{nothing:#}");
        assert_eq!(
            nothing["findings"].as_array().unwrap().is_empty(),
            entry.is_null()
        );
    }
}

#[test]
fn explanations_of_passthrough_name_the_backend_and_the_annotation() {
    let hello = passthrough::tls().hello();
    let (web, plain) = (passthrough::backend(hello.len()), Echo::start("plain"));
    let program = passthrough::scenario(web.address(), &plain).start(BINARY);
    let passed = explained(&program, "https://a.test/");
    let mut client = Connection::open(program.https());
    client.send(&hello);
    web.wait_for(1);
    assert_eq!(passed["outcome"]["kind"], "passedThrough", "{passed:#}");
    assert_eq!(
        passed["backends"][0]["endpoints"],
        json!([web.address().to_string()])
    );
    let annotation = "ssl-passthrough of Ingress shop/web";
    assert_eq!(sources(&passed), [("TLS passthrough", annotation)]);
    let terminated = explained(&program, "https://b.test/");
    assert_eq!(terminated["outcome"]["kind"], "forwarded", "{terminated:#}");
}

#[test]
fn explanations_say_when_nothing_listens() {
    let (program, _web) = serve(&[]);
    let [unused] = free_ports();
    let nothing = explained(&program, &format!("http://a.test:{unused}/"));
    assert_eq!(
        nothing["outcome"]["because"],
        format!("nothing listens for http on port {unused}")
    );
    let http = format!("http on {}", program.http());
    let losers = nothing["losers"].as_array().unwrap();
    assert!(losers.iter().any(|one| one["name"] == http), "{nothing:#}");
    let of_port = format!("http://a.test:{}/", program.http().port());
    assert_eq!(
        explained(&program, &of_port)["outcome"]["kind"],
        "forwarded"
    );
}

#[test]
fn explanations_count_nothing_and_send_nothing() {
    let (program, web) = serve(&[("limit-rps", "1"), ("limit-burst-multiplier", "1")]);
    for _ in 0..20 {
        let response = program
            .admin_get("/debug/explain?url=http%3A%2F%2Fa.test%2F")
            .is(200);
        let explained: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(explained["outcome"]["kind"], "forwarded", "{explained:#}");
    }
    assert_eq!(web.requests(), 0);
    Request::get("/").send(program.http()).is(200);
    assert_eq!(
        program.metric("nginx_ingress_controller_requests", &[]),
        1.0
    );
}

#[test]
fn a_running_instance_explains_for_the_command() {
    let (program, _web) = serve(&[("permanent-redirect", "http://elsewhere.test/")]);
    let admin = program.admin().to_string();
    let exit = Program::run(BINARY.as_ref(), &["explain", "a.test/x", "--admin", &admin]);
    assert!(exit.status.success(), "{exit:?}");
    let first = exit.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "GET http://a.test/x: responds with 301, to http://elsewhere.test/"
    );
    assert!(
        exit.stdout
            .contains("[permanent-redirect of Ingress shop/web]"),
        "{}",
        exit.stdout
    );
    program.admin_get("/debug/explain").is(400);
    program.admin_get("/debug/explain?url=x&nothing=1").is(400);
}
