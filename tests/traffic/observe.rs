//! Access log, metrics and findings.

use std::net::SocketAddr;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{
    Authority, Connection, Echo, Program, Request, Scenario, Scripted, Tls, wait,
};

use super::setup::{Annotations, BINARY, closed_port, serve, serve_with, tls_scenario};

/// A line in the default format, split into fields.
#[derive(Debug, PartialEq)]
struct Line {
    fields: Vec<String>,
}

impl Line {
    /// Splits at spaces, except inside `[…]` and `"…"`, whose delimiters are dropped; a comma joins the next word.
    fn parse(line: &str) -> Self {
        let mut fields = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (field, after) = match rest.as_bytes()[0] {
                b'[' => rest[1..].split_once(']').unwrap(),
                b'"' => rest[1..].split_once('"').unwrap(),
                _ => rest
                    .split_once(' ')
                    .map_or((rest, ""), |(field, _)| (field, &rest[field.len()..])),
            };
            let joins = fields
                .last()
                .is_some_and(|last: &String| last.ends_with(','));
            match fields.last_mut() {
                Some(last) if joins => last.push_str(&format!(" {field}")),
                _ => fields.push(field.to_owned()),
            }
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        Self { fields }
    }

    fn at(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", String::as_str)
    }
}

fn line(program: &Program, part: &str) -> Line {
    Line::parse(&program.until_access_log(part, |line| line.contains(part)))
}

fn is_seconds(text: &str) -> bool {
    let parts = text.split_once('.');
    parts.is_some_and(|(whole, thousandths)| {
        whole.parse::<u32>().is_ok() && thousandths.len() == 3 && thousandths.parse::<u32>().is_ok()
    })
}

#[test]
fn access_log_lines_have_the_default_format() {
    let (program, web) = serve(&[]);
    let response = Request::post("/a?b=c", "hello")
        .field("Referer", "http://r.test/")
        .field("User-Agent", "agent/1.0 (x)")
        .field("X-Request-ID", "0123456789abcdef0123456789abcdef")
        .send(program.http())
        .is(200);
    let line = line(&program, "/a?b=c");
    assert_eq!(line.fields.len(), 18, "{line:?}");
    assert_eq!(line.at(0), "127.0.0.1", "{line:?}");
    assert_eq!((line.at(1), line.at(2)), ("-", "-"), "{line:?}");
    assert!(
        line.at(3).ends_with(" +0000") && line.at(3).len() == 26,
        "{line:?}"
    );
    assert_eq!(line.at(4), "POST /a?b=c HTTP/1.1", "{line:?}");
    assert_eq!(line.at(5), "200", "{line:?}");
    assert_eq!(line.at(6), response.body.len().to_string(), "{line:?}");
    assert_eq!(line.at(7), "http://r.test/", "{line:?}");
    assert_eq!(line.at(8), "agent/1.0 (x)", "{line:?}");
    let length: usize = line.at(9).parse().unwrap();
    let sent = response.sent.len();
    assert!(
        length.abs_diff(sent) <= 8,
        "{sent} bytes were sent: {line:?}"
    );
    assert!(is_seconds(line.at(10)), "{line:?}");
    assert_eq!((line.at(11), line.at(12)), ("shop-web-80", ""), "{line:?}");
    assert_eq!(line.at(13), web.address().to_string(), "{line:?}");
    assert_eq!(line.at(14), response.body.len().to_string(), "{line:?}");
    assert!(is_seconds(line.at(15)), "{line:?}");
    assert_eq!(line.at(16), "200", "{line:?}");
    assert_eq!(line.at(17), "0123456789abcdef0123456789abcdef", "{line:?}");
}

/// The last two fields of the default format.
fn end(program: &Program, part: &str) -> (String, String) {
    let text = program.until_access_log(part, |line| line.contains(part));
    let mut words = text.rsplitn(3, ' ');
    let id = words.next().unwrap_or_default().to_owned();
    (words.next().unwrap_or_default().to_owned(), id)
}

#[test]
fn the_request_id_ends_the_access_log_line() {
    let (program, _web) = serve(&[]);
    let echo = Request::get("/id").send(program.http()).echo();
    let (status, id) = end(&program, "/id");
    assert_eq!(
        (status.as_str(), Some(&*id)),
        ("200", echo.field("x-request-id"))
    );
}

#[test]
fn every_attempt_is_in_the_access_log() {
    let web = Scripted::responding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let closed = closed_port();
    let program = Scenario::new()
        .service("web", &[closed, web.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    // On one connection, so on one worker, whose balancer alternates.
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        connection.exchange(&Request::get("/")).is(200);
    }
    let list = format!("] {closed}, {} ", web.address());
    let text = program.until_access_log(&list, |line| line.contains(&list));
    assert!(text.contains(" 502, 200 "), "{text}");
}

#[test]
fn a_request_without_upstream_logs_dashes() {
    let (program, _web) = serve(&[("permanent-redirect", "http://x.test")]);
    Request::get("/moved").send(program.http()).is(301);
    let text = program.until_access_log("/moved", |line| line.contains("/moved"));
    assert!(text.contains("\"GET /moved HTTP/1.1\" 301 "), "{text}");
    assert!(text.contains("] - - - - "), "{text}");
}

#[test]
fn client_text_is_escaped_in_the_access_log() {
    let (program, _web) = serve(&[]);
    Request::get("/quote")
        .field("User-Agent", "a\"b\\c\td")
        .send(program.http())
        .is(200);
    let text = program.until_access_log("/quote", |line| line.contains("/quote"));
    assert!(text.contains(r#""a\x22b\x5Cc\x09d""#), "{text}");
}

#[test]
fn log_format_upstream_has_variables_and_dashes_for_unknown_ones() {
    let format = "custom $host $status $http_x_a $sent_http_content_type $upstream_http_content_type $arg_q $uri [$nope] $request_completion.";
    let (program, _web) = serve_with(&[("log-format-upstream", format)], &[]);
    Request::get("/custom?q=1")
        .field("X-A", "a \"b\"")
        .send(program.http())
        .is(200);
    let findings = program.admin_get("/debug/findings").text();
    assert!(findings.contains("$nope"), "{findings}");
    let line = program.until_access_log("a line", |line| !line.is_empty());
    let expected =
        r"custom a.test 200 a \x22b\x22 application/json application/json 1 /custom [-] OK.";
    assert_eq!(line, expected);
}

#[test]
fn log_format_escape_json_makes_json_of_every_request() {
    let format = r#"{"a":"$http_x_a","u":"$http_x_none","uri":"$request_uri","status":$status,"ns":"$namespace"}"#;
    let settings = [
        ("log-format-upstream", format),
        ("log-format-escape-json", "true"),
    ];
    let (program, _web) = serve_with(&settings, &[]);
    Request::get("/json")
        .field("X-A", "a \"b\" \\")
        .send(program.http())
        .is(200);
    let line = program.until_access_log("a line", |line| !line.is_empty());
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["a"], "a \"b\" \\", "{line}");
    assert_eq!((&value["u"], &value["uri"]), (&"".into(), &"/json".into()));
    assert_eq!(
        (&value["status"], &value["ns"]),
        (&200.into(), &"shop".into())
    );
}

#[test]
fn the_access_log_goes_to_syslog() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let timeout = std::time::Duration::from_secs(30);
    server.set_read_timeout(Some(timeout)).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let settings = [
        ("enable-syslog", "true"),
        ("syslog-host", "127.0.0.1"),
        ("syslog-port", port.as_str()),
    ];
    let (program, _web) = serve_with(&settings, &[]);
    Request::get("/syslog").send(program.http()).is(200);
    let mut buffer = [0; 4096];
    let length = server.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert!(
        text.starts_with("<190>") && text.contains("GET /syslog HTTP/1.1"),
        "{text}"
    );
}

#[test]
fn error_lines_have_the_reason() {
    let web = Echo::start("web");
    let service = format!("http://{}/", closed_port());
    let answers = Scripted::responding("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");
    let lost = format!("http://{}/", answers.address());
    /// Host, annotations, status and reason.
    type Refusal<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let hosts: [Refusal<'_>; 6] = [
        (
            "list",
            &[("denylist-source-range", "127.0.0.0/8")],
            403,
            "access-list",
        ),
        ("body", &[("proxy-body-size", "1")], 413, "body-too-large"),
        (
            "rate",
            &[("limit-rps", "1"), ("limit-burst-multiplier", "1")],
            503,
            "rate",
        ),
        (
            "auth",
            &[("auth-url", &service)],
            500,
            "auth-service-failed",
        ),
        ("lost", &[("auth-url", &lost)], 500, "status: 404"),
        (
            "secret",
            &[("auth-type", "basic"), ("auth-secret", "none")],
            503,
            "closed-route",
        ),
    ];
    let scenario = Scenario::new().service("web", &[web.address()]);
    let scenario = hosts
        .iter()
        .fold(scenario, |scenario, (name, annotations, ..)| {
            let host = format!("{name}.test");
            scenario.ingress(
                Ingress::new(name)
                    .annotations(annotations)
                    .host(&host)
                    .path("/", "web"),
            )
        });
    let program = scenario.start(BINARY);
    for (name, _, status, reason) in hosts {
        let request = Request::post("/why", "too long").host(&format!("{name}.test"));
        // No request more than needed: a worker writes at most ten lines in a second.
        let mut responses = (0..4).map(|_| request.send(program.http()).status);
        assert!(responses.any(|seen| seen == status), "{name}");
        let ingress = format!("ingress=\"shop/{name}\"");
        let line = wait::until(name, || {
            let stderr = program.stderr();
            stderr.into_iter().find(|line| line.contains(&ingress))
        });
        for part in [
            "client=127.0.0.1",
            "path=/why",
            &format!("host=\"{name}.test\""),
            reason,
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

/// The access log, and the message about an error of the proxy.
#[test]
fn error_lines_go_to_syslog_too() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let timeout = std::time::Duration::from_secs(30);
    server.set_read_timeout(Some(timeout)).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let program = Scenario::simple(closed_port(), &[])
        .settings(&[
            ("enable-syslog", "true"),
            ("syslog-host", "127.0.0.1"),
            ("syslog-port", port.as_str()),
        ])
        .start(BINARY);
    Request::get("/refused").send(program.http()).is(502);
    let (mut access, mut error) = (false, false);
    let mut buffer = [0; 4096];
    while !(access && error) {
        let length = server.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        access |= text.starts_with("<190>") && text.contains("GET /refused HTTP/1.1");
        error |= text.starts_with("<190>")
            && text.contains("request failed")
            && text.contains("reason=\"connect-refused\"");
    }
    assert!(
        !program
            .stderr()
            .iter()
            .any(|line| line.contains("request failed"))
    );
}

#[test]
fn error_lines_go_to_a_file_from_a_level_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("error.log");
    let closed = closed_port();
    let scenario = |level: &str| {
        Scenario::simple(closed, &[]).settings(&[
            ("error-log-path", path.to_str().unwrap()),
            ("error-log-level", level),
        ])
    };
    let program = scenario("notice").start(BINARY);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    let fail = |target: &str| drop(Request::get(target).send(program.http()).is(502));
    let until = |part: &str| wait::until(part, || lines().contains(part).then_some(()));
    fail("/one");
    until("/one");
    scenario("error").replace(&program);
    fail("/two");
    scenario("info").replace(&program);
    std::fs::rename(&path, folder.path().join("error.log.1")).unwrap();
    program.reopen_logs();
    wait::until("a new file", || path.exists().then_some(()));
    fail("/three");
    until("/three");
    assert!(!lines().contains("/two"), "{}", lines());
    std::fs::rename(&path, folder.path().join("error.log.2")).unwrap();
    program.hang_up();
    wait::until("another file", || path.exists().then_some(()));
    let stderr = program.stderr();
    assert!(
        !stderr.iter().any(|line| line.contains("request failed")),
        "{stderr:?}"
    );
    assert!(
        stderr.iter().any(|line| line.contains("listening")),
        "{stderr:?}"
    );
}

#[test]
fn the_access_log_can_be_switched_off() {
    for (settings, annotations) in [
        (&[("disable-access-log", "true")][..], &[][..]),
        (&[], &[("enable-access-log", "false")]),
        (&[("skip-access-log-urls", "/quiet")], &[]),
    ] {
        let web = Echo::start("web");
        let program = Scenario::simple(web.address(), annotations)
            .settings(settings)
            .ingress(Ingress::new("loud").host("loud.test").path("/", "web"))
            .start(BINARY);
        Request::get("/quiet").send(program.http()).is(200);
        let counted = || {
            let name = "nginx_ingress_controller_requests";
            (program.metric(name, &[r#"host="a.test""#]) >= 1.0).then_some(())
        };
        wait::until("the request to be counted", counted);
        if settings
            .first()
            .is_none_or(|(key, _)| *key != "disable-access-log")
        {
            Request::get("/loud")
                .host("loud.test")
                .send(program.http())
                .is(200);
            program.until_access_log("/loud", |line| line.contains("/loud"));
        }
        let lines = program.stdout();
        assert!(
            !lines.iter().any(|line| line.contains("/quiet")),
            "{lines:?}"
        );
    }
}

#[test]
fn a_client_that_disconnects_is_logged_as_499() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/left").bytes());
    upstream.wait_for(1);
    drop(connection);
    let text = program.until_access_log("/left", |line| line.contains("/left"));
    assert!(text.contains("\" 499 "), "{text}");
    let attempt = format!("[] {} 0 ", upstream.address());
    assert!(text.contains(&attempt), "the cancelled attempt: {text}");
}

#[test]
fn requests_are_counted_and_timed() {
    let (program, _web) = serve(&[]);
    for status in ["200", "200", "404"] {
        Request::get("/x")
            .field("X-Echo-Status", status)
            .send(program.http());
    }
    let labels = [
        r#"host="a.test""#,
        r#"ingress="web""#,
        r#"namespace="shop""#,
        r#"service="web""#,
        r#"path="/""#,
        r#"method="GET""#,
        r#"canary="""#,
    ];
    let with = |status: &'static str| labels.iter().copied().chain([status]).collect::<Vec<_>>();
    let requests = |status| program.metric("nginx_ingress_controller_requests", &with(status));
    wait::until("three requests", || {
        (requests(r#"status="200""#) == 2.0 && requests(r#"status="404""#) == 1.0).then_some(())
    });
    for histogram in [
        "request_duration_seconds",
        "response_duration_seconds",
        "header_duration_seconds",
        "connect_duration_seconds",
        "request_size",
        "response_size",
        "bytes_sent",
    ] {
        let name = format!("nginx_ingress_controller_{histogram}_count");
        assert_eq!(
            program.metric(&name, &with(r#"status="200""#)),
            2.0,
            "{name}"
        );
    }
}

#[test]
fn every_documented_metric_exists() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    Request::get("/")
        .over(&Tls::name("a.test"))
        .send(program.https())
        .is(200);
    let metrics = program.metrics();
    let missing: Vec<&str> = [
        "requests",
        "nginx_process_connections_total",
        "nginx_process_requests_total",
        "nginx_process_connections",
        "nginx_process_num_procs",
        "nginx_process_cpu_seconds_total",
        "nginx_process_resident_memory_bytes",
        "nginx_process_virtual_memory_bytes",
        "nginx_process_oldest_start_time_seconds",
        "build_info",
        "config_hash",
        "config_last_reload_successful",
        "config_last_reload_successful_timestamp_seconds",
        "success",
        "ssl_expire_time_seconds",
        "ssl_certificate_info",
    ]
    .into_iter()
    .filter(|name| !metrics.contains(&format!("\nnginx_ingress_controller_{name}{{")))
    .collect();
    assert!(missing.is_empty(), "missing: {missing:?} in\n{metrics}");
}

/// Replicas see endpoints at different times, and with topology-aware routing different ones.
#[test]
fn the_hash_of_the_configuration_covers_no_endpoints() {
    let (first, second) = (Echo::start("first"), Echo::start("second"));
    let serving = |endpoints: &[SocketAddr], annotations: Annotations<'_>| {
        let ingress = Ingress::new("web").annotations(annotations);
        Scenario::new()
            .service("web", endpoints)
            .ingress(ingress.path("/", "web"))
    };
    let program = serving(&[first.address()], &[]).start(BINARY);
    let hash = || program.metric("nginx_ingress_controller_config_hash", &[]);
    let expected = hash();
    assert!(expected > 0.0);
    serving(&[first.address(), second.address()], &[]).replace(&program);
    assert_eq!(hash(), expected, "another endpoint");
    serving(&[], &[]).replace(&program);
    assert_eq!(hash(), expected, "no endpoint");
    serving(&[], &[("enable-cors", "true")]).replace(&program);
    assert_ne!(hash(), expected, "another policy");
    serving(&[first.address()], &[]).replace(&program);
    assert_eq!(hash(), expected, "the first configuration again");
}

#[test]
fn text_from_clients_creates_no_metric_series() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    for number in 0..50 {
        let host = format!("h{number}.test");
        connection.exchange(&Request::get("/").host(&host)).is(404);
        let method = format!("M{number}");
        connection.exchange(&Request::new(&method, &format!("/p{number}")));
    }
    let metrics = program.metrics();
    for text in ["h7.test", "\"M7\"", "/p7"] {
        assert!(!metrics.contains(text), "{text} is in the metrics");
    }
    let series = |metrics: String| -> Vec<String> {
        let lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
        lines.map(|(series, _)| series.to_owned()).collect()
    };
    let before = series(metrics);
    for number in 50..1000 {
        let host = format!("h{number}.test");
        let method = format!("M{number}");
        let request = Request::new(&method, &format!("/p{number}")).host(&host);
        connection.exchange(&request).is(404);
        if number % 500 == 0 {
            connection = Connection::open(program.http());
        }
    }
    assert_eq!(series(program.metrics()), before);
}

#[test]
fn log_and_metrics_name_the_canary() {
    let (main, canary) = (Echo::start("main"), Echo::start("canary"));
    let rules: Annotations<'_> = &[("canary", "true"), ("canary-weight", "100")];
    let program = Scenario::new()
        .service("main", &[main.address()])
        .service("canary", &[canary.address()])
        .ingress(Ingress::new("a").path("/", "main"))
        .ingress(Ingress::new("b").annotations(rules).path("/", "canary"))
        .start(BINARY);
    Request::get("/split").send(program.http()).is(200);
    let text = program.until_access_log("/split", |line| line.contains("/split"));
    assert!(text.contains("[shop-main-80] [shop-canary-80] "), "{text}");
    let labels = [r#"canary="shop-canary-80""#];
    let name = "nginx_ingress_controller_requests";
    wait::until("the metric", || {
        (program.metric(name, &labels) == 1.0).then_some(())
    });
}

#[test]
fn findings_name_object_and_field() {
    let (program, web) = serve_with(
        &[("proxy-connect-timeout", "soon")],
        &[("limit-rps", "many")],
    );
    let findings = program.admin_get("/debug/findings").is(200).text();
    for part in ["shop/web", "limit-rps", "proxy-connect-timeout"] {
        assert!(findings.contains(part), "{part} is missing:\n{findings}");
    }
    let log = program.stderr().join("\n");
    assert!(log.contains("limit-rps"), "{log}");
    // An Ingress with an invalid limit is rejected as a whole; without an earlier version its host does not exist.
    Request::get("/").send(program.http()).is(404);
    assert_eq!(web.requests(), 0);
}

#[test]
fn the_admin_port_serves_health_metrics_and_tables() {
    let (program, _web) = serve(&[]);
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/debug/table",
        "/debug/findings",
    ] {
        program.admin_get(path).is(200);
    }
    program.admin_get("/other").is(404);
    let addresses = program.table()["addresses"].to_string();
    for address in [program.http(), program.https()] {
        assert!(addresses.contains(&address.to_string()), "{addresses}");
    }
}
