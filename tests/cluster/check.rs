//! `headgate check` and `headgate explain` at a cluster: with the documented rights alone, and with the running ingress-nginx
//! that they find there.

use headgate_testkit::{Program, manifest};
use serde_json::{Value, json};

use super::gateway;
use super::support::ingress;
use super::testenv::{TestEnv, until};

const BINARY: &str = env!("CARGO_BIN_EXE_headgate");
const DOCS: &str = include_str!("../../crates/compile/docs/check.md");
const ACCOUNT: &str = "check";

/// The documented ClusterRole.
fn role() -> Value {
    let (_, rest) = DOCS.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    serde_saphyr::from_str(text).unwrap()
}

/// The kubeconfig file of an account with that role, less the rights for the resource `without`, and no other right.
fn kubeconfig(env: &TestEnv, without: &str) -> tempfile::NamedTempFile {
    let home = env.controller_namespace();
    let token = env.api.service_account(&home, ACCOUNT);
    let mut role = role();
    for rule in role["rules"].as_array_mut().unwrap() {
        let resources = rule["resources"].as_array_mut().unwrap();
        resources.retain(|resource| resource != without);
    }
    let name = env.scoped(role["metadata"]["name"].as_str().unwrap());
    role["metadata"]["name"] = name.as_str().into();
    env.create(role);
    env.create(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "namespace": home, "name": ACCOUNT }],
    }));
    let last = json!({"namespace": "", "group": "apps", "verb": "list", "resource": "daemonsets", "subresource": "", "name": ""});
    until("the account's permissions", || {
        env.api.is_allowed(&env.user(ACCOUNT), &last)
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), env.api.kubeconfig_for(&token)).unwrap();
    file
}

fn workload(env: &TestEnv) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "edge", "namespace": env.controller_namespace() },
        "spec": { "selector": { "matchLabels": { "app": "edge" } }, "template": {
            "metadata": { "labels": { "app": "edge" } },
            "spec": { "containers": [{ "name": "controller", "image": "registry.k8s.io/ingress-nginx/controller:v1.15.0",
                "args": ["/nginx-ingress-controller",
                    format!("--controller-class={}", env.controller_class()),
                    "--configmap=$(POD_NAMESPACE)/settings", "--profiling=false"],
                "env": [{ "name": "POD_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }],
            }] },
        } },
    })
}

#[test]
fn a_cluster_is_read_with_the_documented_rights_alone() {
    let env = TestEnv::new();
    env.create(workload(&env));
    env.create(manifest::config_map(
        &env.controller_namespace(),
        "settings",
        &[("brotli-level", "11")],
    ));
    env.serve_web(&[]);
    let mut shop = ingress("shop", "a.test", "web");
    shop["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] = "cookie".into();
    env.create(shop);
    let kubeconfig = kubeconfig(&env, "");
    let kubeconfig = kubeconfig.path().to_str().unwrap();

    let exit = Program::run(
        BINARY.as_ref(),
        &["check", "--kubeconfig", kubeconfig, "--format=json"],
    );
    let report: Value = serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("{exit:?}"));
    let verdict = |section: &str, name: &str| -> Value {
        let verdicts = report["names"][section]["verdicts"].as_array().unwrap();
        let found = verdicts.iter().find(|row| row["name"] == name);
        found.map_or(Value::Null, |row| row["verdict"].clone())
    };
    assert_eq!(verdict("annotations", "affinity"), "differs", "{report:#}");
    assert_eq!(verdict("settings", "brotli-level"), "differs");
    assert_eq!(verdict("flags", "--profiling"), "noEffect");
    assert_eq!(report["ingresses"][0]["same"], false);

    let url = "http://a.test/cart";
    let exit = Program::run(
        BINARY.as_ref(),
        &["explain", url, "--kubeconfig", kubeconfig, "--format=json"],
    );
    let answer: Value = serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("{exit:?}"));
    assert_eq!(
        answer["outcome"]["status"], 503,
        "the Service has no endpoints: {answer:#}"
    );

    let denied = env.api.denied();
    let user = env.user(ACCOUNT);
    let denied: Vec<_> = denied
        .iter()
        .filter(|request| request.user == user)
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

/// A Gateway on the port of Ingresses with a route, beside an Ingress.
fn with_gateway(env: &TestEnv) {
    gateway::install(env);
    env.create(workload(env));
    env.api.create(gateway::class("headgate"));
    env.create(gateway::gateway(env, "edge", 80));
    env.create(gateway::route(env, "HTTPRoute", "shop", "edge", "web"));
    env.serve_web(&[]);
    env.create(ingress("other", "b.test", "web"));
}

#[test]
fn objects_of_the_gateway_api_are_read_without_a_flag() {
    let Some(env) = gateway::in_memory() else {
        return;
    };
    with_gateway(&env);
    let kubeconfig = kubeconfig(&env, "");
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let run = |arguments: &[&str]| -> Value {
        let flags = ["--kubeconfig", kubeconfig, "--format=json"];
        let exit = Program::run(BINARY.as_ref(), &[arguments, &flags].concat());
        serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("{exit:?}"))
    };
    let report = run(&["check"]);
    let verdicts = report["names"]["gatewayApi"]["verdicts"]
        .as_array()
        .unwrap();
    let mut verdicts = verdicts.iter();
    let route = format!("HTTPRoute {}/shop", env.namespace());
    assert!(
        verdicts.any(|one| one["name"] == route && one["verdict"] == "honoured"),
        "{report:#}"
    );
    let of_route = run(&["explain", "http://shop.test/cart"]);
    assert_eq!(of_route["route"]["object"], route, "{of_route:#}");
    let of_ingress = run(&["explain", "http://b.test/cart"]);
    let object = format!("Ingress {}/other", env.namespace());
    assert_eq!(of_ingress["route"]["object"], object, "{of_ingress:#}");
    let user = env.user(ACCOUNT);
    let denied = env.api.denied();
    assert!(
        denied.iter().all(|request| request.user != user),
        "{denied:#?}"
    );
}

#[test]
fn a_report_names_the_kinds_of_the_gateway_api_that_are_left_out() {
    let Some(env) = gateway::in_memory() else {
        return;
    };
    with_gateway(&env);
    let kubeconfig = kubeconfig(&env, "httproutes");
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let exit = Program::run(BINARY.as_ref(), &["check", "--kubeconfig", kubeconfig]);
    let note = "note: left out, because they cannot be listed: HTTPRoute\n";
    let all = format!("{}{}", exit.stderr, exit.stdout);
    assert!(all.contains(note), "{exit:?}");
}

#[test]
fn without_the_right_to_read_secrets_the_report_says_so() {
    let env = TestEnv::new();
    env.create(workload(&env));
    env.create(manifest::config_map(
        &env.controller_namespace(),
        "settings",
        &[],
    ));
    env.serve_web(&[]);
    let mut shop = ingress("shop", "a.test", "web");
    shop["spec"]["tls"] = json!([{ "hosts": ["a.test"], "secretName": "cert" }]);
    env.create(shop);
    let kubeconfig = kubeconfig(&env, "secrets");
    let kubeconfig = kubeconfig.path().to_str().unwrap();
    let arguments = ["check", "--kubeconfig", kubeconfig, "--format=json"];
    let exit = Program::run(BINARY.as_ref(), &arguments);
    let report: Value = serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("{exit:?}"));
    let notes = report["notes"].as_array().unwrap();
    let note = "Secret cannot be listed: certificates and passwords are not checked";
    assert!(notes.iter().any(|one| one == note), "{report:#}");
    // That a Secret is missing, of which none can be read, is no finding.
    assert!(!exit.stdout.contains("there is no Secret"), "{report:#}");
    assert_eq!(report["ingresses"][0]["same"], true, "{report:#}");
}

#[test]
fn an_unreachable_cluster_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]}"#;
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    let exit = Program::run(BINARY.as_ref(), &["check", "--kubeconfig", path]);
    assert_eq!(exit.status.code(), Some(2), "{exit:?}");
    assert!(exit.stderr.contains("http://127.0.0.1:1"), "{exit:?}");
}
