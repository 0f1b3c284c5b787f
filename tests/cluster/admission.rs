//! The admission webhook as an API server asks it.

use std::net::SocketAddr;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Issued, Program, Response, Tls, wait};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::place::Place;
use super::support::{ingress, until_status, until_told, with};

/// Of the configuration and of the Secret with the certificate.
pub(super) const ADMISSION: &str = "headgate-admission";
/// The Service by which the API server reaches the webhook.
const SERVICE: &str = "headgate-controller-admission";
const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// Flags for a certificate of its own, shared in a Secret and told to the configuration, as the chart has them.
pub(super) fn managed(place: &Place) -> [String; 4] {
    let home = place.home();
    [
        "--validating-webhook=127.0.0.1:0".to_owned(),
        format!("--validating-webhook-service={home}/{SERVICE}"),
        format!("--validating-webhook-secret={home}/{ADMISSION}"),
        format!(
            "--validating-webhook-configuration={}",
            place.named(ADMISSION)
        ),
    ]
}

/// A controller with a webhook, as replica `pod`.
fn replica(place: &Place, pod: &str) -> Program {
    let program = place.replica(pod, &managed(place).each_ref().map(String::as_str));
    program.until_ready();
    program
}

/// An API server that asks the webhook of this program.
fn asking() -> (Place, Program, Echo) {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    place.create(configuration(&place));
    let program = replica(&place, "headgate-0");
    until_bundle(&place);
    wait::until("a certificate", || shown(&place, webhook(&program)));
    route(&place, webhook(&program));
    (place, program, web)
}

/// Has the API server ask the webhook at this address.
pub(super) fn route(place: &Place, address: SocketAddr) {
    if place.is_given() {
        // A cluster without a network of Services still goes where a name of one leads.
        place.replace(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": place.home(), "name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": address.ip().to_string()}}));
        let name = place.named(ADMISSION);
        place.api.modify(
            "ValidatingWebhookConfiguration",
            "",
            &name,
            |configuration| {
                configuration["webhooks"][0]["clientConfig"]["service"]["port"] =
                    address.port().into();
            },
        );
    } else {
        place
            .api
            .route_service(&place.home(), SERVICE, 443, address);
    }
    // A cluster heeds a configuration after a moment.
    let bad = with(ingress("bad", "bad.test", "web"), |ingress| {
        ingress["metadata"]["annotations"] =
            json!({ (format!("{PREFIX}/upstream-vhost")): "a b;c" });
    });
    super::place::until("a refusal", || {
        let response = dry(place, &bad);
        response.status == 400 && response.text().contains("denied the request")
    });
}

#[test]
fn overlaps_and_bad_annotations_are_denied() {
    let (place, program, _web) = asking();
    let web = format!("{}/web", place.shop());
    let same = ingress("second", "a.test", "web");
    let told = refused(post(&place, &same));
    assert!(told.contains("a.test") && told.contains(&web), "{told}");
    let bad = Ingress::new("bad").host("bad.test").path("/", "web");
    let bad = bad.annotation("upstream-vhost", "a b;c").object();
    let told = refused(post(&place, &bad));
    assert!(told.contains("upstream-vhost"), "{told}");
    assert!(place.get("Ingress", "second").is_none());
    assert!(place.get("Ingress", "bad").is_none());

    // What is fine comes in and is served, and its change is judged as well.
    post(&place, &ingress("fine", "fine.test", "web")).is(201);
    until_status(&program, "fine.test", 200);
    let kept = place.get("Ingress", "fine").unwrap();
    let moved = with(kept.clone(), |ingress| {
        ingress["spec"]["rules"][0]["host"] = "a.test".into()
    });
    let told = refused(put(&place, &moved));
    assert!(told.contains(&web), "{told}");
    put(
        &place,
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
    post(&place, &canary.host("a.test").path("/", "web").object()).is(201);
}

#[test]
fn other_classes_are_not_judged_and_a_dry_run_has_no_effect() {
    let (place, program, _web) = asking();
    let foreign = with(ingress("foreign", "a.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["metadata"]["annotations"] =
            json!({ (format!("{PREFIX}/upstream-vhost")): "a b;c" });
    });
    post(&place, &foreign).is(201);

    post(&place, &ingress("settled", "settled.test", "web")).is(201);
    until_status(&program, "settled.test", 200);
    let generation = program.generation();
    dry(&place, &ingress("fine", "fine.test", "web")).is(201);
    refused(dry(&place, &ingress("second", "a.test", "web")));
    // A change that follows is the next one that is seen.
    post(&place, &ingress("real", "fine.test", "web")).is(201);
    until_status(&program, "fine.test", 200);
    // Others change a given cluster as well.
    assert!(place.is_given() || program.generation() == generation + 1);
    assert!(place.get("Ingress", "fine").is_none());
}

#[test]
fn kubectl_shows_refusals_and_warnings() {
    let (place, program, _web) = asking();
    let Some(kubectl) = place.kubectl() else {
        return;
    };
    let odd = Ingress::new("odd").annotation("proxy-body-sise", "1m");
    let odd = place.own(odd.host("odd.test").path("/", "web").object());
    let odd = manifest::file([&odd]);
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

    let web = format!("{}/web", place.shop());
    let same = manifest::file([&place.own(ingress("second", "a.test", "web"))]);
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
            &web,
        ] {
            assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
        }
    }
    let fine = manifest::file([&place.own(ingress("fine", "fine.test", "web"))]);
    kubectl.feed(&["apply", "--dry-run=server", "-f", "-"], &fine);
    assert!(place.get("Ingress", "fine").is_none());
}

#[test]
fn replicas_share_the_certificate() {
    let (place, first, _web) = asking();
    let secret = || place.api.get("Secret", &place.home(), ADMISSION).unwrap();
    let (before, bundle) = (secret(), bundle(&place));
    let second = replica(&place, "headgate-1");
    wait::until("the certificate", || {
        let shown = [&first, &second].map(|program| shown(&place, webhook(program)));
        (shown[0].is_some() && shown[0] == shown[1]).then_some(())
    });
    // Either answers under the same authority.
    drop(first);
    route(&place, webhook(&second));
    refused(post(&place, &ingress("second", "a.test", "web")));
    post(&place, &ingress("fine", "fine.test", "web")).is(201);
    let version = |secret: &Value| secret["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&secret()), version(&before));
    assert_eq!(self::bundle(&place), bundle);
}

#[test]
fn a_certificate_from_files_is_read_again() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let write = |issued: &Issued| {
        std::fs::write(&key, &issued.key).unwrap();
        std::fs::write(&certificate, &issued.certificate).unwrap();
    };
    let authority = Authority::new();
    let name = server_name(&place);
    let names = [name.as_str()];
    let (first, second) = (authority.issue(&names), authority.issue(&names));
    write(&first);
    let flags = [
        "--validating-webhook=127.0.0.1:0".to_owned(),
        format!("--validating-webhook-certificate={}", certificate.display()),
        format!("--validating-webhook-key={}", key.display()),
    ];
    let program = place.controller(&flags.each_ref().map(String::as_str));
    place.create(with(configuration(&place), |configuration| {
        configuration["webhooks"][0]["clientConfig"]["caBundle"] =
            json!(ByteString(authority.pem().into_bytes()));
    }));
    until_shown(&place, &program, &first);
    route(&place, webhook(&program));
    refused(post(&place, &ingress("second", "a.test", "web")));
    write(&second);
    until_shown(&place, &program, &second);
    refused(post(&place, &ingress("second", "a.test", "web")));
    post(&place, &ingress("fine", "fine.test", "web")).is(201);
}

/// As the chart has it, for Ingresses of this place.
pub(super) fn configuration(place: &Place) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": ADMISSION },
        "webhooks": [{
            "name": "validate.nginx.ingress.kubernetes.io",
            "clientConfig": { "service": {
                "name": SERVICE, "namespace": place.home(), "port": 443, "path": "/networking/v1/ingresses",
            } },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": place.shop() } },
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

fn bundle(place: &Place) -> Value {
    let name = place.named(ADMISSION);
    let configuration = place.api.get("ValidatingWebhookConfiguration", "", &name);
    configuration.unwrap()["webhooks"][0]["clientConfig"]["caBundle"].clone()
}

#[track_caller]
pub(super) fn until_bundle(place: &Place) {
    super::place::until("the webhook's authority", || {
        bundle(place)
            .as_str()
            .is_some_and(|bundle| !bundle.is_empty())
    });
}

/// The name by which the API server asks.
fn server_name(place: &Place) -> String {
    format!("{SERVICE}.{}.svc", place.home())
}

/// The certificate that a webhook shows, once it has one.
pub(super) fn shown(place: &Place, address: SocketAddr) -> Option<Vec<u8>> {
    let tls = Tls::name(&server_name(place));
    let connection = Connection::try_open_tls(address, &tls, &[]).ok()?;
    Some(connection.tls().certificate.clone())
}

#[track_caller]
fn until_shown(place: &Place, program: &Program, issued: &Issued) {
    let address = webhook(program);
    wait::until("the certificate", || {
        shown(place, address).filter(|der| *der == issued.der)
    });
}

fn post(place: &Place, ingress: &Value) -> Response {
    place.ask("POST", "", ingress)
}

pub(super) fn dry(place: &Place, ingress: &Value) -> Response {
    place.ask("POST", "?dryRun=All", ingress)
}

fn put(place: &Place, ingress: &Value) -> Response {
    let name = ingress["metadata"]["name"].as_str().unwrap();
    place.ask("PUT", &format!("/{name}"), ingress)
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
