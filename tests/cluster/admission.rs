//! The admission webhook, called by an API server.

use std::net::SocketAddr;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Issued, Program, Response, Tls, wait};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::gateway;
use super::support::{backend, ingress, until_logged, until_status, with};
use super::testenv::TestEnv;

/// Name of the ValidatingWebhookConfiguration, and of the Secret with the certificate.
pub(super) const ADMISSION: &str = "headgate-admission";
/// The Service by which the API server reaches the webhook.
const SERVICE: &str = "headgate-controller-admission";
const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// Flags for a generated certificate, shared in a Secret, with its CA in the configuration, as the chart sets them.
pub(super) fn managed(env: &TestEnv) -> [String; 4] {
    let home = env.controller_namespace();
    [
        "--validating-webhook=127.0.0.1:0".to_owned(),
        format!("--validating-webhook-service={home}/{SERVICE}"),
        format!("--validating-webhook-secret={home}/{ADMISSION}"),
        format!(
            "--validating-webhook-configuration={}",
            env.scoped(ADMISSION)
        ),
    ]
}

/// A ready controller with a webhook, as replica `pod`.
fn replica(env: &TestEnv, pod: &str) -> Program {
    let program = env.replica(pod, &managed(env).each_ref().map(String::as_str));
    program.until_ready();
    program
}

/// An API server that calls the webhook of this program.
fn with_webhook() -> (TestEnv, Program, Echo) {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    env.create(configuration(&env));
    let program = replica(&env, "headgate-0");
    until_bundle(&env);
    wait::until("a certificate", || {
        served_certificate(&env, program.webhook())
    });
    route(&env, program.webhook());
    (env, program, web)
}

/// Makes the API server call the webhook at this address.
pub(super) fn route(env: &TestEnv, address: SocketAddr) {
    if env.is_real_cluster() {
        // A cluster without a Service network still resolves ExternalName.
        env.replace(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": env.controller_namespace(), "name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": address.ip().to_string()}}));
        let name = env.scoped(ADMISSION);
        env.api.modify(
            "ValidatingWebhookConfiguration",
            "",
            &name,
            |configuration| {
                configuration["webhooks"][0]["clientConfig"]["service"]["port"] =
                    address.port().into();
            },
        );
    } else {
        env.api
            .route_service(&env.controller_namespace(), SERVICE, 443, address);
    }
    // A real cluster applies a configuration after a moment.
    let invalid = with(ingress("invalid", "invalid.test", "web"), |ingress| {
        ingress["metadata"]["annotations"] =
            json!({ (format!("{PREFIX}/upstream-vhost")): "a b;c" });
    });
    super::testenv::until("a denial", || {
        let response = dry_run(env, &invalid);
        response.status == 400 && response.text().contains("denied the request")
    });
}

#[test]
fn no_service_leads_to_the_webhook() {
    let (env, program, _web) = with_webhook();
    // There a Service cannot have a loopback address, which is that of the webhook here.
    if env.is_real_cluster() {
        return;
    }
    env.load(backend("hook", &[program.webhook()]));
    let hook = Ingress::new("hook").host("hook.test").path("/", "hook");
    env.create(hook.annotation("backend-protocol", "HTTPS").object());
    until_status(&program, "hook.test", 502);
    until_logged(&program, "the refusal", |line| {
        line.contains("hook.test") && line.contains("refused endpoint address")
    });
}

#[test]
fn overlapping_and_invalid_ingresses_are_denied() {
    let (env, program, _web) = with_webhook();
    let web = format!("{}/web", env.namespace());
    let same = ingress("second", "a.test", "web");
    let message = denied(post(&env, &same));
    assert!(
        message.contains("a.test") && message.contains(&web),
        "{message}"
    );
    let invalid = Ingress::new("invalid")
        .host("invalid.test")
        .path("/", "web");
    let invalid = invalid.annotation("upstream-vhost", "a b;c").object();
    let message = denied(post(&env, &invalid));
    assert!(message.contains("upstream-vhost"), "{message}");
    assert!(env.get("Ingress", "second").is_none());
    assert!(env.get("Ingress", "invalid").is_none());

    // A valid Ingress is admitted and served, and its changes are reviewed too.
    post(&env, &ingress("valid", "valid.test", "web")).is(201);
    until_status(&program, "valid.test", 200);
    let stored = env.get("Ingress", "valid").unwrap();
    let moved = with(stored.clone(), |ingress| {
        ingress["spec"]["rules"][0]["host"] = "a.test".into()
    });
    let message = denied(put(&env, &moved));
    assert!(message.contains(&web), "{message}");
    put(
        &env,
        &with(stored, |ingress| {
            ingress["spec"]["rules"][0]["host"] = "moved.test".into()
        }),
    )
    .is(200);
    until_status(&program, "moved.test", 200);
    until_status(&program, "valid.test", 404);
    // A canary shares its host and path.
    let canary = Ingress::new("canary")
        .annotation("canary", "true")
        .annotation("canary-weight", "0");
    post(&env, &canary.host("a.test").path("/", "web").object()).is(201);
}

#[test]
fn routes_that_cannot_be_served_as_written_are_denied() {
    let Some(env) = gateway::in_memory() else {
        return;
    };
    gateway::install(&env);
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    env.api.create(gateway::class("headgate"));
    env.create(gateway::gateway(&env, "edge", 8080));
    env.create(with(configuration(&env), |configuration| {
        let webhooks = configuration["webhooks"].as_array_mut().unwrap();
        let mut own = webhooks[0].clone();
        own["name"] = "validate.gateway.headgate.dev".into();
        own["clientConfig"]["service"]["path"] = "/gateway-api".into();
        own["rules"] = json!([{
            "apiGroups": ["gateway.networking.k8s.io"], "apiVersions": ["v1"],
            "resources": ["httproutes"], "operations": ["CREATE", "UPDATE"],
        }]);
        webhooks.push(own);
    }));
    let flags = managed(&env);
    let mut arguments: Vec<&str> = flags.iter().map(String::as_str).collect();
    arguments.extend(["--enable-gateway-api", "--gateway-port-range=none"]);
    let program = env.replica("headgate-0", &arguments);
    program.until_ready();
    until_bundle(&env);
    route(&env, program.webhook());
    let path = format!(
        "gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
        env.namespace()
    );
    let send = |route: &Value| {
        let request = env.request_to("POST", &path, route);
        request.send(env.api.address())
    };
    let good = gateway::route(&env, "HTTPRoute", "good", "edge", "later");
    send(&good).is(201);
    let bad = with(
        gateway::route(&env, "HTTPRoute", "bad", "edge", "web"),
        |route| {
            route["spec"]["rules"][0]["matches"] =
                json!([{ "path": { "type": "RegularExpression", "value": "/(a" } }]);
        },
    );
    let message = denied(send(&bad));
    assert!(
        message.contains("spec.rules: the expression \"/(a\" cannot be used"),
        "{message}"
    );
}

#[test]
fn other_classes_are_admitted_unreviewed_and_a_dry_run_has_no_effect() {
    let (env, program, _web) = with_webhook();
    let other = with(ingress("other", "a.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["metadata"]["annotations"] =
            json!({ (format!("{PREFIX}/upstream-vhost")): "a b;c" });
    });
    post(&env, &other).is(201);

    post(&env, &ingress("first", "first.test", "web")).is(201);
    until_status(&program, "first.test", 200);
    let generation = program.generation();
    dry_run(&env, &ingress("valid", "valid.test", "web")).is(201);
    denied(dry_run(&env, &ingress("second", "a.test", "web")));
    // The next change that the controller observes is a later one.
    post(&env, &ingress("real", "valid.test", "web")).is(201);
    until_status(&program, "valid.test", 200);
    // In a real cluster other controllers make changes, too.
    assert!(env.is_real_cluster() || program.generation() == generation + 1);
    assert!(env.get("Ingress", "valid").is_none());
}

#[test]
fn kubectl_shows_denials_and_warnings() {
    let (env, program, _web) = with_webhook();
    let Some(kubectl) = env.kubectl() else {
        return;
    };
    let misspelt = Ingress::new("misspelt").annotation("proxy-body-sise", "1m");
    let misspelt = env.localize(misspelt.host("misspelt.test").path("/", "web").object());
    let misspelt = manifest::file([&misspelt]);
    let output = kubectl.run_with_input(&["create", "-f", "-"], &misspelt);
    assert!(
        output.stderr.contains("Warning: ") && output.stderr.contains("proxy-body-sise"),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stdout
            .contains("ingress.networking.k8s.io/misspelt created"),
        "{}",
        output.stdout
    );
    until_status(&program, "misspelt.test", 200);

    let web = format!("{}/web", env.namespace());
    let same = manifest::file([&env.localize(ingress("second", "a.test", "web"))]);
    for arguments in [
        &["create", "-f", "-"][..],
        &["apply", "-f", "-"],
        &["create", "--dry-run=server", "-f", "-"],
    ] {
        let output = kubectl.try_run(arguments, &same);
        assert!(!output.success, "{}", output.stdout);
        for word in [
            "validate.nginx.ingress.kubernetes.io",
            "denied the request",
            "a.test",
            &web,
        ] {
            assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
        }
    }
    let valid = manifest::file([&env.localize(ingress("valid", "valid.test", "web"))]);
    kubectl.run_with_input(&["apply", "--dry-run=server", "-f", "-"], &valid);
    assert!(env.get("Ingress", "valid").is_none());
}

#[test]
fn replicas_share_the_certificate() {
    let (env, first, _web) = with_webhook();
    let secret = || {
        env.api
            .get("Secret", &env.controller_namespace(), ADMISSION)
            .unwrap()
    };
    let (before, bundle) = (secret(), bundle(&env));
    let second = replica(&env, "headgate-1");
    wait::until("the certificate", || {
        let served = [&first, &second].map(|program| served_certificate(&env, program.webhook()));
        (served[0].is_some() && served[0] == served[1]).then_some(())
    });
    // Both have certificates of the same CA.
    drop(first);
    route(&env, second.webhook());
    denied(post(&env, &ingress("second", "a.test", "web")));
    post(&env, &ingress("valid", "valid.test", "web")).is(201);
    let version = |secret: &Value| secret["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&secret()), version(&before));
    assert_eq!(self::bundle(&env), bundle);
}

#[test]
fn a_certificate_from_files_is_reloaded() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        directory.path().join("tls.crt"),
        directory.path().join("tls.key"),
    );
    let write = |issued: &Issued| {
        std::fs::write(&key, &issued.key).unwrap();
        std::fs::write(&certificate, &issued.certificate).unwrap();
    };
    let authority = Authority::new();
    let name = server_name(&env);
    let names = [name.as_str()];
    let (first, second) = (authority.issue(&names), authority.issue(&names));
    write(&first);
    let flags = [
        "--validating-webhook=127.0.0.1:0".to_owned(),
        format!("--validating-webhook-certificate={}", certificate.display()),
        format!("--validating-webhook-key={}", key.display()),
    ];
    let program = env.controller(&flags.each_ref().map(String::as_str));
    env.create(with(configuration(&env), |configuration| {
        configuration["webhooks"][0]["clientConfig"]["caBundle"] =
            json!(ByteString(authority.pem().into_bytes()));
    }));
    until_certificate(&env, &program, &first);
    route(&env, program.webhook());
    denied(post(&env, &ingress("second", "a.test", "web")));
    write(&second);
    until_certificate(&env, &program, &second);
    denied(post(&env, &ingress("second", "a.test", "web")));
    post(&env, &ingress("valid", "valid.test", "web")).is(201);
}

/// The ValidatingWebhookConfiguration as the chart renders it, for Ingresses of this test.
pub(super) fn configuration(env: &TestEnv) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": ADMISSION },
        "webhooks": [{
            "name": "validate.nginx.ingress.kubernetes.io",
            "clientConfig": { "service": {
                "name": SERVICE, "namespace": env.controller_namespace(), "port": 443, "path": "/networking/v1/ingresses",
            } },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": env.namespace() } },
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

fn bundle(env: &TestEnv) -> Value {
    let name = env.scoped(ADMISSION);
    let configuration = env.api.get("ValidatingWebhookConfiguration", "", &name);
    configuration.unwrap()["webhooks"][0]["clientConfig"]["caBundle"].clone()
}

#[track_caller]
pub(super) fn until_bundle(env: &TestEnv) {
    super::testenv::until("the caBundle", || {
        bundle(env)
            .as_str()
            .is_some_and(|bundle| !bundle.is_empty())
    });
}

/// The server name that the API server uses.
fn server_name(env: &TestEnv) -> String {
    format!("{SERVICE}.{}.svc", env.controller_namespace())
}

/// The certificate of a webhook, once it has one.
pub(super) fn served_certificate(env: &TestEnv, address: SocketAddr) -> Option<Vec<u8>> {
    let tls = Tls::name(&server_name(env));
    let connection = Connection::try_open_tls(address, &tls, &[]).ok()?;
    Some(connection.tls().certificate.clone())
}

#[track_caller]
fn until_certificate(env: &TestEnv, program: &Program, issued: &Issued) {
    let address = program.webhook();
    wait::until("the certificate", || {
        served_certificate(env, address).filter(|der| *der == issued.der)
    });
}

fn post(env: &TestEnv, ingress: &Value) -> Response {
    env.send_ingress("POST", "", ingress)
}

pub(super) fn dry_run(env: &TestEnv, ingress: &Value) -> Response {
    env.send_ingress("POST", "?dryRun=All", ingress)
}

fn put(env: &TestEnv, ingress: &Value) -> Response {
    let name = ingress["metadata"]["name"].as_str().unwrap();
    env.send_ingress("PUT", &format!("/{name}"), ingress)
}

/// The message of a denial by the webhook.
#[track_caller]
fn denied(response: Response) -> String {
    let response = response.is(400);
    let status: Value = serde_json::from_slice(&response.body).unwrap();
    let message = status["message"].as_str().unwrap().to_owned();
    assert!(message.contains("admission webhook"), "{message}");
    message
}
