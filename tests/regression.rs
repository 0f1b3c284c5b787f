//! Reported bugs, each with a test of the whole program. A test is named after its report (`issue_12_what_was_wrong`), has the
//! link above it, and stays, whatever else covers the same.
//!
//! The first bugs were found before there were reports: a sentence describes each.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use headgate_apiserver::ApiServer;
use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Program, Request, Scenario, Tls, wait};
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
