//! The admission webhook as an API server asks it.

use std::net::SocketAddr;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{
    ApiServer, Authority, Connection, Echo, Issued, Program, Request, Response, Tls, wait,
};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::support::{
    HOME, Kubectl, SHOP, api, controller, ingress, publish, replica, until_status, until_told, with,
};

const CONFIGURATION: &str = "headgate-admission";
/// Its own certificate, shared in a Secret and told to the configuration.
const MANAGED: [&str; 4] = [
    "--validating-webhook=127.0.0.1:0",
    "--validating-webhook-service=ingress-nginx/admission",
    "--validating-webhook-secret=ingress-nginx/admission-certificate",
    "--validating-webhook-configuration=headgate-admission",
];
const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// An API server that asks the webhook of this program.
fn asking() -> (ApiServer, Program, Echo) {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    api.create(configuration());
    let program = controller(&api, &MANAGED);
    api.route_service(HOME, "admission", 443, webhook(&program));
    until_bundle(&api);
    wait::until("a certificate", || shown(webhook(&program)));
    (api, program, web)
}

#[test]
fn overlaps_and_bad_annotations_are_denied() {
    let (api, program, _web) = asking();
    let same = ingress("second", "a.test", "web");
    let told = refused(post(&api, &same));
    assert!(
        told.contains("a.test") && told.contains("shop/web"),
        "{told}"
    );
    let bad = Ingress::new("bad").host("bad.test").path("/", "web");
    let bad = bad.annotation("upstream-vhost", "a b;c").object();
    let told = refused(post(&api, &bad));
    assert!(told.contains("upstream-vhost"), "{told}");
    assert!(api.get("Ingress", SHOP, "second").is_none());
    assert!(api.get("Ingress", SHOP, "bad").is_none());

    // What is fine comes in and is served, and its change is judged as well.
    post(&api, &ingress("fine", "fine.test", "web")).is(201);
    until_status(&program, "fine.test", 200);
    let kept = api.get("Ingress", SHOP, "fine").unwrap();
    let moved = with(kept.clone(), |ingress| {
        ingress["spec"]["rules"][0]["host"] = "a.test".into()
    });
    let told = refused(put(&api, &moved));
    assert!(told.contains("shop/web"), "{told}");
    put(
        &api,
        &with(kept, |ingress| {
            ingress["spec"]["rules"][0]["host"] = "moved.test".into()
        }),
    )
    .is(200);
    until_status(&program, "moved.test", 200);
    until_status(&program, "fine.test", 404);
    // A canary shares its host and path.
    let canary = Ingress::new("canary")
        .annotation("canary", "true")
        .annotation("canary-weight", "0");
    post(&api, &canary.host("a.test").path("/", "web").object()).is(201);
}

#[test]
fn other_classes_are_not_judged_and_a_dry_run_has_no_effect() {
    let (api, program, _web) = asking();
    let foreign = with(ingress("foreign", "a.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["metadata"]["annotations"] =
            json!({ (format!("{PREFIX}/upstream-vhost")): "a b;c" });
    });
    post(&api, &foreign).is(201);

    post(&api, &ingress("settled", "settled.test", "web")).is(201);
    until_status(&program, "settled.test", 200);
    let generation = program.generation();
    dry(api.address(), &ingress("fine", "fine.test", "web")).is(201);
    refused(dry(api.address(), &ingress("second", "a.test", "web")));
    // A change that follows is the next one that is seen.
    post(&api, &ingress("real", "fine.test", "web")).is(201);
    until_status(&program, "fine.test", 200);
    assert_eq!(program.generation(), generation + 1);
    assert!(api.get("Ingress", SHOP, "fine").is_none());
}

#[test]
fn kubectl_shows_refusals_and_warnings() {
    let (api, program, _web) = asking();
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    let odd = Ingress::new("odd").annotation("proxy-body-sise", "1m");
    let odd = manifest::file([&odd.host("odd.test").path("/", "web").object()]);
    let said = kubectl.feed(&["create", "-f", "-"], &odd);
    assert!(
        said.stderr.contains("Warning: ") && said.stderr.contains("proxy-body-sise"),
        "{}",
        said.stderr
    );
    assert!(
        said.stdout
            .contains("ingress.networking.k8s.io/odd created"),
        "{}",
        said.stdout
    );
    until_status(&program, "odd.test", 200);

    let same = manifest::file([&ingress("second", "a.test", "web")]);
    for arguments in [
        &["create", "-f", "-"][..],
        &["apply", "-f", "-"],
        &["create", "--dry-run=server", "-f", "-"],
    ] {
        let said = kubectl.try_run(arguments, &same);
        assert!(!said.good, "{}", said.stdout);
        for word in [
            "validate.nginx.ingress.kubernetes.io",
            "denied the request",
            "a.test",
            "shop/web",
        ] {
            assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
        }
    }
    let fine = manifest::file([&ingress("fine", "fine.test", "web")]);
    kubectl.feed(&["apply", "--dry-run=server", "-f", "-"], &fine);
    assert!(api.get("Ingress", SHOP, "fine").is_none());
}

#[test]
fn replicas_share_the_certificate() {
    let (api, first, _web) = asking();
    let secret = api.get("Secret", HOME, "admission-certificate").unwrap();
    let bundle = bundle(&api);
    let second = replica(&api, "headgate-1", &MANAGED);
    second.until_ready();
    wait::until("the certificate", || {
        shown(webhook(&second)).filter(|der| Some(der) == shown(webhook(&first)).as_ref())
    });
    // Either answers under the same authority.
    api.route_service(HOME, "admission", 443, webhook(&second));
    drop(first);
    refused(post(&api, &ingress("second", "a.test", "web")));
    post(&api, &ingress("fine", "fine.test", "web")).is(201);
    let now = api.get("Secret", HOME, "admission-certificate").unwrap();
    assert_eq!(
        now["metadata"]["resourceVersion"],
        secret["metadata"]["resourceVersion"]
    );
    assert_eq!(self::bundle(&api), bundle);
}

#[test]
fn a_certificate_from_files_is_read_again() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let write = |issued: &Issued| {
        std::fs::write(&key, &issued.key).unwrap();
        std::fs::write(&certificate, &issued.certificate).unwrap();
    };
    let authority = Authority::new();
    let names = ["admission.ingress-nginx.svc"];
    let (first, second) = (authority.issue(&names), authority.issue(&names));
    write(&first);
    let flags = [
        "--validating-webhook=127.0.0.1:0".to_owned(),
        format!("--validating-webhook-certificate={}", certificate.display()),
        format!("--validating-webhook-key={}", key.display()),
    ];
    let program = controller(&api, &flags.each_ref().map(String::as_str));
    api.create(with(configuration(), |configuration| {
        configuration["webhooks"][0]["clientConfig"]["caBundle"] =
            json!(ByteString(authority.pem().into_bytes()));
    }));
    api.route_service(HOME, "admission", 443, webhook(&program));
    until_shown(&program, &first);
    refused(post(&api, &ingress("second", "a.test", "web")));
    write(&second);
    until_shown(&program, &second);
    refused(post(&api, &ingress("second", "a.test", "web")));
    post(&api, &ingress("fine", "fine.test", "web")).is(201);
}

/// As the chart has it.
pub(super) fn configuration() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": CONFIGURATION },
        "webhooks": [{
            "name": "validate.nginx.ingress.kubernetes.io",
            "clientConfig": { "service": {
                "name": "admission", "namespace": HOME, "port": 443, "path": "/networking/v1/ingresses",
            } },
            "rules": [{
                "apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"],
                "resources": ["ingresses"], "operations": ["CREATE", "UPDATE"],
            }],
            "admissionReviewVersions": ["v1"],
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "failurePolicy": "Fail",
        }],
    })
}

/// Where the webhook of a program listens.
pub(super) fn webhook(program: &Program) -> SocketAddr {
    let line = until_told(program, "a line about the webhook", |line| {
        line.contains("the admission webhook listens")
    });
    let address = line.split("address=").nth(1).unwrap();
    address.split(' ').next().unwrap().parse().unwrap()
}

fn bundle(api: &ApiServer) -> Value {
    let configuration = api
        .get("ValidatingWebhookConfiguration", "", CONFIGURATION)
        .unwrap();
    configuration["webhooks"][0]["clientConfig"]["caBundle"].clone()
}

#[track_caller]
pub(super) fn until_bundle(api: &ApiServer) {
    api.until(
        "ValidatingWebhookConfiguration",
        "",
        CONFIGURATION,
        |configuration| {
            let bundle = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
            bundle.as_str().is_some_and(|bundle| !bundle.is_empty())
        },
    );
}

/// The certificate that a webhook shows, once it has one.
pub(super) fn shown(address: SocketAddr) -> Option<Vec<u8>> {
    let tls = Tls::name("admission.ingress-nginx.svc");
    let connection = Connection::try_open_tls(address, &tls, &[]).ok()?;
    Some(connection.tls().certificate.clone())
}

#[track_caller]
fn until_shown(program: &Program, issued: &Issued) {
    let address = webhook(program);
    wait::until("the certificate", || {
        shown(address).filter(|der| *der == issued.der)
    });
}

fn post(api: &ApiServer, ingress: &Value) -> Response {
    send(api.address(), "POST", &collection(""), ingress)
}

pub(super) fn dry(server: SocketAddr, ingress: &Value) -> Response {
    send(server, "POST", &collection("?dryRun=All"), ingress)
}

fn put(api: &ApiServer, ingress: &Value) -> Response {
    let name = ingress["metadata"]["name"].as_str().unwrap();
    send(
        api.address(),
        "PUT",
        &collection(&format!("/{name}")),
        ingress,
    )
}

fn collection(rest: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{SHOP}/ingresses{rest}")
}

fn send(server: SocketAddr, method: &str, target: &str, object: &Value) -> Response {
    let request = Request::new(method, target).body(object.to_string());
    request
        .field("Content-Type", "application/json")
        .send(server)
}

/// What a refusal by the webhook says.
#[track_caller]
fn refused(response: Response) -> String {
    let response = response.is(400);
    let status: Value = serde_json::from_slice(&response.body).unwrap();
    let message = status["message"].as_str().unwrap().to_owned();
    assert!(message.contains("admission webhook"), "{message}");
    message
}
