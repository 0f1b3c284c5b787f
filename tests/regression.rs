//! Reported bugs, each with a test of the whole program. A test is named after its report (`issue_12_what_was_wrong`), has the
//! link above it, and stays, whatever else covers the same.
//!
//! The first bugs were found before there were reports: a sentence describes each.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use headgate_apiserver::ApiServer;
use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{
    Authority, Connection, Echo, Program, Request, Scenario, Scripted, Tls, wait,
};
use serde_json::{Value, json};

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_headgate");
/// Longer than any test: everything here happens before it ends.
const GRACE: &str = "--shutdown-grace-period=60";

/// `global-auth-url` closed the paths of `no-auth-locations`, too, so that certificates could not be renewed.
#[test]
fn acme_challenges_are_served_while_global_auth_closes_other_paths() {
    let (web, solver) = (Echo::start("web"), Echo::start("solver"));
    let challenge = "/.well-known/acme-challenge/token";
    let program = Scenario::new()
        .service("web", &[web.address()])
        .service("solver", &[solver.address()])
        .settings(&[("global-auth-url", "http://127.0.0.1:1/")])
        .ingress(Ingress::new("web").path("/", "web"))
        .ingress(Ingress::new("solver").exact(challenge, "solver"))
        .start(BINARY);
    let response = Request::get(challenge).send(program.http()).is(200);
    assert_eq!(response.echo().name(), "solver");
    let other = Request::get("/").send(program.http());
    assert!(other.status >= 500, "{other:?}");
    assert_eq!(web.requests(), 0);
}

/// Changes were ignored from SIGTERM on, so that requests in the grace period went to endpoints that had ended.
#[test]
fn endpoint_changes_take_effect_in_the_shutdown_grace_period() {
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    let scenario = |echo: &Echo| Scenario::simple(echo.address(), &[]).argument(GRACE);
    let program = scenario(&old).start(BINARY);
    terminate(&program);
    scenario(&new).replace(&program);
    let response = Request::get("/").send(program.http()).is(200);
    assert_eq!(response.echo().name(), "new");
}

/// The ConfigMaps of all classes were watched, also in namespaces that the controller had no permission for.
#[test]
fn parameters_of_another_controllers_class_are_not_read() {
    let api = ApiServer::start();
    let class = |name: &str, controller: &str, namespace: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": { "name": name },
            "spec": { "controller": controller, "parameters": {
                "kind": "ConfigMap", "name": "parameters", "namespace": namespace, "scope": "Namespace",
            } },
        })
    };
    api.create(class("other", "example.com/other", "other"));
    api.create(class("nginx", "k8s.io/ingress-nginx", "headgate"));
    let program = controller(&api, &["--watch-namespace=shop"]);
    program.until_ready();
    // The parameters of both classes would be watched at the same time.
    api.wait_for_request(|request| {
        request.resource == "configmaps" && request.namespace == "headgate"
    });
    let requests = api.requests();
    let read = requests.iter().find(|request| request.namespace == "other");
    assert_eq!(read, None);
}

/// A webhook that stopped closed idle connections, and the review that the API server sent at that moment failed.
#[test]
fn a_stopping_webhook_closes_connections_with_a_response() {
    let directory = tempfile::tempdir().unwrap();
    let issued = Authority::new().issue(&["webhook.test"]);
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let api = ApiServer::start();
    api.create(manifest::ingress_class());
    let program = controller(
        &api,
        &[
            GRACE,
            "--validating-webhook=127.0.0.1:0",
            &format!(
                "--validating-webhook-certificate={}",
                file("tls.crt", &issued.certificate)
            ),
            &format!("--validating-webhook-key={}", file("tls.key", &issued.key)),
        ],
    );
    program.until_ready();
    let webhook = program.webhook();
    let mut connection = Connection::open_tls(webhook, &Tls::name("webhook.test"));
    let review = Request::post("/networking/v1/ingresses", review().to_string());
    connection.exchange(&review).is(200).has("connection", None);
    terminate(&program);
    connection
        .exchange(&review)
        .is(200)
        .has("connection", "close");
}

/// A malformed selector was accepted, and the API server rejected each list with it.
#[test]
fn a_malformed_namespace_selector_is_refused_at_start() {
    for selector in ["team=a=b", "team in shop", "team in (shop"] {
        let flag = format!("--watch-namespace-selector={selector}");
        let exit = Program::run(BINARY.as_ref(), &["controller", &flag]);
        assert_eq!(exit.status.code(), Some(2), "{selector}: {exit:?}");
        let names_it = exit.stderr.contains("--watch-namespace-selector");
        assert!(names_it, "{selector}: {exit:?}");
    }
}

/// Variables were sent literally in `Host`, and values of `add-headers` and `proxy-set-headers` were literal or empty.
#[test]
fn variables_are_evaluated_in_header_fields() {
    let web = Echo::start("web");
    let vhost = "$service_name.$namespace.svc.cluster.local:$service_port";
    let map = |name, data: &[(&str, &str)]| manifest::config_map("default", name, data);
    let program = Scenario::new()
        .service("app", &[web.address()])
        .settings(&[
            ("add-headers", "default/add"),
            ("proxy-set-headers", "default/set"),
        ])
        .object(map("add", &[("X-Request-Id", "$req_id")]))
        .object(map("set", &[("X-Time", "t=${msec}"), ("X-Uri", "$uri")]))
        .ingress(
            Ingress::new("app")
                .annotation("upstream-vhost", vhost)
                .path("/", "app"),
        )
        .start(BINARY);
    let response = Request::get("/a%20b")
        .field("X-Request-ID", "id-1")
        .send(program.http())
        .is(200)
        .has("x-request-id", "id-1");
    let echo = response.echo();
    echo.has("host", "app.shop.svc.cluster.local:80")
        .has("x-uri", "/a b");
    let time = echo.field("x-time").unwrap_or_default();
    let seconds = time.strip_prefix("t=").map(str::parse::<f64>);
    assert!(
        matches!(seconds, Some(Ok(seconds)) if seconds > 0.0),
        "{time}"
    );
}

/// Routes were served without their `custom-headers` when the ConfigMap was named without a namespace.
#[test]
fn custom_headers_without_a_namespace_close_the_route() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(manifest::config_map(
            "default",
            "hdrs",
            &[("X-Frame-Options", "DENY")],
        ))
        .ingress(
            Ingress::new("web")
                .annotation("custom-headers", "hdrs")
                .path("/", "web"),
        )
        .start(BINARY);
    Request::get("/").send(program.http()).is(503);
    let findings = program.admin_get("/debug/findings").text();
    assert!(findings.contains("is not namespace/name"), "{findings}");
    assert_eq!(web.requests(), 0);
}

/// `X.Dotted` reached the backend, and `ignore-invalid-headers: "false"` did not let `X_Under` pass.
#[test]
fn invalid_field_names_pass_only_if_configured() {
    let web = Echo::start("web");
    let scenario = |settings: &[(&str, &str)]| {
        Scenario::new()
            .service("web", &[web.address()])
            .settings(settings)
            .ingress(Ingress::new("web").path("/", "web"))
    };
    let sent = |program: &Program| {
        let request = Request::get("/")
            .field("X.Dotted", "1")
            .field("X_Under", "2");
        request.send(program.http()).is(200).echo()
    };
    let program = scenario(&[]).start(BINARY);
    sent(&program).has("x.dotted", None).has("x_under", None);
    scenario(&[("ignore-invalid-headers", "false")]).replace(&program);
    sent(&program).has("x.dotted", "1").has("x_under", "2");
}

/// A 502 for an invalid response said nowhere why.
#[test]
fn an_error_response_has_a_line_and_a_metric_with_its_reason() {
    let twice = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let web = Scripted::responding(twice);
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    Request::get("/why").send(program.http()).is(502);
    let line = wait::until("the line", || {
        program
            .stderr()
            .into_iter()
            .find(|line| line.contains("/why"))
    });
    for part in [
        "invalid-response",
        "several Transfer-Encoding fields",
        &web.address().to_string(),
    ] {
        assert!(line.contains(part), "{line}");
    }
    let labels = ["reason=\"invalid-response\""];
    assert_eq!(
        program.metric("headgate_request_errors_total", &labels),
        1.0
    );
}

/// Annotations in a wrong place left the route open without a word, and so did other unknown fields.
#[test]
fn unknown_fields_of_files_are_findings() {
    let web = Echo::start("web");
    let list = json!({ "nginx.ingress.kubernetes.io/allowlist-source-range": "10.0.0.0/8" });
    let mut misspelt = Ingress::new("misspelt")
        .host("misspelt.test")
        .path("/", "web")
        .object();
    misspelt["metadata"]["annotation"] = list.clone();
    let mut misplaced = Ingress::new("misplaced")
        .host("misplaced.test")
        .path("/", "web")
        .object();
    misplaced["spec"]["annotations"] = list;
    let mut odd = Ingress::new("odd")
        .host("odd.test")
        .path("/", "web")
        .object();
    odd["spec"]["backends"] = json!({});
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(misspelt)
        .object(misplaced)
        .object(odd)
        .start(BINARY);
    for host in ["misspelt.test", "misplaced.test"] {
        Request::get("/").host(host).send(program.http()).is(404);
    }
    Request::get("/")
        .host("odd.test")
        .send(program.http())
        .is(200);
    let findings = program.admin_get("/debug/findings").text();
    for part in [
        "unknown field \"metadata.annotation\": annotations belong in metadata.annotations",
        "unknown field \"spec.annotations\": annotations belong in metadata.annotations",
        "unknown field \"spec.backends\"; ignored",
    ] {
        assert!(
            findings.contains(part) || findings.contains(&part.replace('"', "\\\"")),
            "{part}: {findings}"
        );
    }
}

/// An Ingress of another class, or of none, was not served without a word.
#[test]
fn an_ingress_that_is_not_served_says_why() {
    let web = Echo::start("web");
    let mut none = Ingress::new("none").path("/", "web").object();
    none["spec"]["ingressClassName"] = Value::Null;
    let mut missing = Ingress::new("missing").path("/", "web").object();
    missing["spec"]["ingressClassName"] = "gone".into();
    let scenario = Scenario::new()
        .service("web", &[web.address()])
        .object(none)
        .object(missing);
    let program = scenario.start(BINARY);
    let findings = program.admin_get("/debug/findings").text();
    for part in [
        "not served: it has no class; set spec.ingressClassName: nginx",
        "not served: there is no IngressClass gone; create it",
    ] {
        assert!(findings.contains(part), "{part}: {findings}");
    }
}

/// `serve` ignored `--watch-namespace-selector`.
#[test]
fn namespaces_of_files_are_selected_by_their_labels() {
    let web = Echo::start("web");
    let scenario = |team: &str| {
        Scenario::simple(web.address(), &[])
            .object(json!({ "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": "shop", "labels": { "team": team } } }))
            .argument("--watch-namespace-selector=team in (shop, web)")
    };
    let program = scenario("other").start(BINARY);
    Request::get("/").send(program.http()).is(404);
    scenario("web").replace(&program);
    Request::get("/").send(program.http()).is(200);
    scenario("none").replace(&program);
    Request::get("/").send(program.http()).is(404);
}

/// With `--enable-ssl-passthrough` TLS was decrypted where it should have been passed through.
#[test]
fn tls_that_cannot_be_passed_through_is_not_decrypted() {
    let web = Echo::start("web");
    let ingress = Ingress::new("web").annotation("ssl-passthrough", "true");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(ingress.path("/only", "web"))
        .argument("--enable-ssl-passthrough")
        .start(BINARY);
    let hello = Tls::name("a.test").hello();
    let mut connection = Connection::open(program.https());
    assert!(connection.send(&hello).is_closed());
    assert_eq!(web.connections(), 0);
    Request::get("/only").send(program.http()).is(200);
}

/// Annotations of a canary were reported to close routes that served, or had no effect without a word.
#[test]
fn what_a_canary_cannot_have_is_said_and_closes_nothing() {
    let (web, next) = (Echo::start("web"), Echo::start("next"));
    let program = Scenario::new()
        .service("web", &[web.address()])
        .service("next", &[next.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .ingress(
            Ingress::new("next")
                .annotations(&[
                    ("canary", "true"),
                    ("canary-by-header", "X-Canary"),
                    ("auth-type", "basic"),
                    ("affinity", "cookie"),
                ])
                .path("/", "next"),
        )
        .start(BINARY);
    let response = Request::get("/")
        .field("X-Canary", "always")
        .send(program.http())
        .is(200);
    assert_eq!(response.echo().name(), "next");
    response.has("set-cookie", None);
    let findings = program.admin_get("/debug/findings").text();
    assert_eq!(
        findings.matches("has no effect on a canary").count(),
        2,
        "{findings}"
    );
    assert!(!findings.contains("503"), "{findings}");
}

/// A controller of this API server, without leader election: nothing is written.
fn controller(api: &ApiServer, arguments: &[&str]) -> Program {
    let all = [
        &["--disable-leader-election", "--update-status=false"],
        arguments,
    ]
    .concat();
    let pod = ("headgate", "headgate-0");
    Program::controller(BINARY.as_ref(), &api.kubeconfig(), pod, &all)
}

/// Sends SIGTERM, and waits until the program is not ready.
fn terminate(program: &Program) {
    program.terminate();
    wait::until("not ready", || (!program.is_ready()).then_some(()));
}

/// A review of a valid Ingress.
fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "networking.k8s.io", "version": "v1", "kind": "Ingress" },
            "resource": { "group": "networking.k8s.io", "version": "v1", "resource": "ingresses" },
            "operation": "CREATE", "namespace": "shop", "name": "web", "dryRun": true,
            "object": Ingress::new("web").path("/", "web").object(),
        },
    })
}
