//! Nothing of a secret appears in what the program shows: logs, access logs, metrics, diagnosis, traces, responses.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{
    Collector, Connection, Echo, Http2, Program, Request, Response, Scenario, Scripted, Tls,
};

use super::setup::{BINARY, closed_port};
use super::tracing::scenario;
use crate::leaks::Site;

#[test]
fn nothing_of_a_secret_is_shown() {
    let mut site = Site::new(manifest::NAMESPACE);
    let (collector, web, resets) = (Collector::start(), Echo::start("web"), resetting());
    let token = site.leaks.text("the token of the authentication service");
    let auth = Scripted::responding(&format!(
        "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a={token}\r\nX-Token: {token}\r\nContent-Length: 0\r\n\r\n"
    ));
    let collectors = site.leaks.text("a header for the collector");
    let ticket_key = site.ticket_key();
    let settings = [
        ("ssl-session-tickets", "true"),
        ("ssl-session-ticket-key", ticket_key.as_str()),
        ("error-log-level", "debug"),
        ("use-forwarded-headers", "true"),
    ];
    let mut scenario = scenario(&[web.address()], collector.address(), &settings, &[])
        .service("gone", &[closed_port()])
        .service("resets", &[resets.address()])
        .ingress(Ingress::new("gone").host("gone.test").path("/", "gone"))
        .ingress(
            Ingress::new("resets")
                .host("resets.test")
                .path("/", "resets"),
        )
        .ingress(
            Ingress::new("outside")
                .annotation("auth-url", &format!("http://{}/check", auth.address()))
                .annotation("auth-response-headers", "X-Token")
                .annotation("auth-cache-key", "$cookie_session")
                .host("outside.test")
                .path("/", "web"),
        )
        .variable(
            "OTEL_EXPORTER_OTLP_HEADERS",
            &format!("authorization=Bearer%20{collectors},{collectors}"),
        )
        .argument("--v=5");
    for object in &site.objects {
        scenario = scenario.object(object.clone());
    }
    let program = scenario.start(BINARY);
    let mut shown = requests(&mut site, &program);
    shown.extend(runs(&mut site, &scenario));
    // The span of the last request is exported with, or after, those of the others.
    let last = Request::get("/shop").field("X-Request-Id", "last");
    last.send(program.http()).is(200);
    program.until_access_log("the last request", |line| line.contains(" last"));
    shown.push(("spans".into(), format!("{:?}", collector.spans(8))));
    for path in [
        "/metrics",
        "/debug/table",
        "/debug/findings",
        "/readyz",
        "/healthz",
        "/debug",
    ] {
        shown.push((path.into(), program.admin_get(path).text()));
    }
    for host in [
        "good", "plain", "map", "digest", "client", "bundle", "outside",
    ] {
        let path = format!("/debug/explain?url=https://{host}.test/");
        shown.push((path.clone(), program.admin_get(&path).text()));
    }
    shown.push(("access log".into(), program.stdout().join("\n")));
    program.terminate();
    program.wait();
    shown.push(("log".into(), program.stderr().join("\n")));
    let log = &shown.last().unwrap().1;
    assert!(log.contains("TRACE"), "the level of the log is trace");
    for (place, text) in &shown {
        site.leaks.assert_none(place, text);
    }
}

/// An upstream that reads a request and closes.
fn resetting() -> Scripted {
    Scripted::start(|connection| {
        connection.request();
        connection.reset();
    })
}

/// Sends secrets in requests of every kind; returns the responses made here.
fn requests(site: &mut Site, program: &Program) -> Vec<(String, String)> {
    let right = STANDARD.encode(format!("alice:{}", site.password));
    let wrong = site.leaks.text("a wrong password");
    let wrong = [format!("alice:{wrong}"), wrong].map(|text| STANDARD.encode(text));
    let bearer = site.leaks.text("a bearer token");
    let cookie = site.leaks.text("a cookie");
    let digest = format!(
        "Digest username=\"alice\", realm=\"realm\", nonce=\"{bearer}\", uri=\"/\", qop=auth, nc=00000001, cnonce=\"{cookie}\", response=\"{bearer}\""
    );
    let values = [
        format!("Basic {right}"),
        format!("Basic {}", wrong[0]),
        format!("Basic {}", wrong[1]),
        format!("Basic {bearer}"),
        format!("Bearer {bearer}"),
        digest,
    ];
    let mut shown = Vec::new();
    for host in [
        "good", "plain", "map", "digest", "without", "client", "bundle", "gone", "resets",
        "outside", "unknown",
    ] {
        let host = format!("{host}.test");
        for value in &values {
            let request = Request::get("/")
                .host(&host)
                .field("Authorization", value)
                .field("Proxy-Authorization", value)
                .field(
                    "Cookie",
                    &format!("session={cookie}; _oauth2_proxy={cookie}"),
                )
                .field("X-Auth-Token", &bearer);
            // Whatever is served here, also over TLS: some hosts redirect, or have no valid certificate.
            for response in [
                request.try_send(program.http()),
                request
                    .clone()
                    .over(&Tls::name(&host))
                    .try_send(program.https()),
            ] {
                let made_here = response.ok().filter(|response| response.status != 200);
                shown.extend(made_here.map(|response| (host.clone(), received(&response))));
            }
        }
    }
    let mut http2 = Http2::tls(program.https(), &Tls::name("plain.test"));
    let request = http::Request::get("https://plain.test/");
    let request = request.header("authorization", &values[1]);
    let response = http2.send(request.body(Default::default()).unwrap());
    let fields = response.head.headers();
    shown.push(("HTTP/2".into(), format!("{fields:?} {:?}", response.body)));
    let field = format!("Authorization: {}\r\nCookie: a={cookie}", values[1]);
    for broken in [
        format!("GET / HTTP/1.1\r\nHost: good.test\r\n{field}\r\nX : {bearer}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a, {bearer}\r\n{field}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: good.test\r\n{field}\r\nX: {}\r\n\r\n",
            bearer.repeat(300)
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: good.test\r\n{field}\r\nTransfer-Encoding: x{bearer}\r\n\r\n"
        ),
    ] {
        let mut connection = Connection::open(program.http());
        let response = connection.send(broken).response();
        assert!(response.status >= 400);
        shown.push(("refusal".into(), received(&response)));
    }
    shown
}

/// Head and body of a response, without what was sent for it.
fn received(response: &Response) -> String {
    let (fields, body) = (&response.fields, response.text());
    format!("{} {fields:?} {body}", response.status)
}

/// The output of `check` and `explain` over the same objects, and over those that cannot be decoded.
fn runs(site: &mut Site, scenario: &Scenario) -> Vec<(String, String)> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("objects.yaml"), scenario.text()).unwrap();
    let text = site.leaks.text("a Secret of the wrong type");
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: shop}\n";
    let broken = [
        format!("{head}data: {{tls.key: {text}!}}\n"),
        format!("{head}data: {{tls.key: [{text}]}}\n"),
        format!("{head}data: {text}\n"),
        format!("{head}stringData: {{a: {text}, a: {text}}}\n"),
        format!("{head}stringData:\n  a: {text}\n b: {text}\n"),
        format!("{head}stringData: {{a: \"{text}\n"),
        format!("{head}type: [{text}]\n"),
        format!("{head}unknown: {text}\n"),
    ];
    for (number, object) in broken.iter().enumerate() {
        let file = directory.path().join(format!("broken-{number}.yaml"));
        std::fs::write(file, object).unwrap();
    }
    let json = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"y","namespace":"shop"},"data":{"a":"#;
    std::fs::write(
        directory.path().join("broken.json"),
        format!("{json}\"{text}!\"}}}}"),
    )
    .unwrap();
    std::fs::write(directory.path().join("cut.json"), format!("{json}\"{text}")).unwrap();
    let authorization = format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("alice:{}", site.password))
    );
    let mut shown = Vec::new();
    for arguments in [
        &["check", "--format=text"][..],
        &["check", "--format=json"],
        &["check", "--format=markdown"],
        &["explain", "https://good.test/"],
        &["explain", "-H", &authorization, "http://plain.test/"],
        &[
            "explain",
            "--format=json",
            "-H",
            &authorization,
            "http://digest.test/",
        ],
    ] {
        let mut command = Command::new(BINARY);
        let output = command
            .args(arguments)
            .arg(directory.path())
            .output()
            .unwrap();
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            shown.push((format!("{arguments:?}"), text + " "));
        }
    }
    // Served from files, the same are findings of the log.
    let files = broken.iter().enumerate();
    let files: Vec<_> = files
        .map(|(at, text)| (format!("{at}.yaml"), text.clone()))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    let program = Program::start(BINARY.as_ref(), &files, &["--v=5"], &[]);
    shown.push((
        "findings".into(),
        program.admin_get("/debug/findings").text(),
    ));
    shown.push(("log".into(), program.stderr().join("\n")));
    shown
}
