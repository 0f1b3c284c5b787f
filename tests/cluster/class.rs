//! Selection of Ingresses (behaviour.md 2.9), as classes, namespaces and permissions change.

use std::collections::BTreeSet;

use headgate_testkit::{Program, manifest};
use serde_json::{Value, json};

use super::support::{get, ingress, until_metric, until_status, with};
use super::testenv::{TestEnv, namespace_object};

const ANNOTATION: &str = "kubernetes.io/ingress.class";

/// An Ingress of the selected class for host `<name>.test`, to a missing Service: 503 where it is served, 404 elsewhere.
fn without_service(name: &str) -> Value {
    ingress(name, &format!("{name}.test"), "none")
}

/// Ingresses with every combination of class field and annotation, each for host `<name>.test`.
fn variants(env: &TestEnv) -> Vec<Value> {
    let by_field = |name: &str, class: &str| {
        with(without_service(name), |ingress| {
            ingress["spec"]["ingressClassName"] = class.into();
        })
    };
    let by_annotation = |name: &str, class: Option<&str>| {
        with(without_service(name), |ingress| {
            ingress["spec"]
                .as_object_mut()
                .unwrap()
                .remove("ingressClassName");
            if let Some(class) = class {
                ingress["metadata"]["annotations"] = json!({ ANNOTATION: class });
            }
        })
    };
    vec![
        by_field("field", &env.class()),
        by_field("field-second", &env.scoped("second")),
        by_field("field-other", &env.scoped("other-class")),
        by_annotation("annotation", Some(&env.class())),
        by_annotation("annotation-named", Some(&env.scoped("other-class"))),
        by_annotation("annotation-unknown", Some("unknown")),
        by_annotation("annotation-empty", Some("")),
        by_annotation("none", None),
        by_field("both-other", &env.scoped("other-class")),
        by_field("both-missing", &env.scoped("missing")),
    ]
}

/// The variants that a controller with these flags serves.
fn served(env: &TestEnv, arguments: &[&str]) -> BTreeSet<String> {
    let program = env.narrow_controller(arguments);
    let names = variants(env).into_iter().filter_map(|ingress| {
        let name = ingress["metadata"]["name"].as_str().unwrap().to_owned();
        let status = get(&program, &format!("{name}.test")).status;
        assert!(status == 503 || status == 404, "{name}: {status}");
        (status == 503).then_some(name)
    });
    names.collect()
}

#[test]
fn an_ingress_is_selected_by_class_field_annotation_or_neither() {
    let env = TestEnv::new();
    let second = env.class_object("second", &env.controller_class());
    let other = env.class_object("other-class", "example.com/other");
    env.replace(second);
    env.replace(other);
    env.load(variants(&env));
    for name in ["both-other", "both-missing"] {
        // The API server refuses two classes in a new Ingress, and accepts them in an update.
        env.modify("Ingress", name, |ingress| {
            ingress["metadata"]["annotations"] = json!({ ANNOTATION: env.class() });
        });
    }
    let named = format!("--ingress-class={}", env.scoped("other-class"));
    let cases: [(&[&str], &[&str]); 4] = [
        (&[], &["annotation", "field", "field-second"]),
        (
            &["--watch-ingress-without-class"],
            &["annotation", "field", "field-second", "none"],
        ),
        (
            &[&named, "--ingress-class-by-name"],
            &[
                "annotation-named",
                "both-other",
                "field",
                "field-other",
                "field-second",
            ],
        ),
        (
            &["--controller-class=example.com/other"],
            &["annotation", "both-other", "field-other"],
        ),
    ];
    for (arguments, expected) in cases {
        let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(served(&env, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn changes_of_the_class_take_effect() {
    let env = TestEnv::new();
    env.replace(without_service("a"));
    let program = env.narrow_controller(&[]);
    until_status(&program, "a.test", 503);
    let class = env.class_object("nginx", &env.controller_class());
    env.delete("IngressClass", &env.class());
    until_status(&program, "a.test", 404);
    env.replace(class);
    until_status(&program, "a.test", 503);
    // `spec.controller` is immutable; a recreated class can have another.
    env.delete("IngressClass", &env.class());
    env.replace(env.class_object("nginx", "example.com/other"));
    env.replace(with(without_service("b"), |ingress| {
        ingress["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        ingress["metadata"]["annotations"] = json!({ ANNOTATION: env.class() });
    }));
    until_status(&program, "b.test", 503);
    until_status(&program, "a.test", 404);
}

#[test]
fn parameters_of_the_class_are_settings() {
    let env = TestEnv::new();
    let class = with(
        env.class_object("nginx", &env.controller_class()),
        |class| {
            class["spec"]["parameters"] = json!({"kind": "ConfigMap", "name": "of-class",
            "namespace": env.controller_namespace(), "scope": "Namespace"});
        },
    );
    env.replace(class);
    env.replace(without_service("a"));
    let program = env.controller(&[]);
    until_status(&program, "a.test", 503);
    let settings = |force: &str| {
        manifest::config_map(
            &env.controller_namespace(),
            "of-class",
            &[("force-ssl-redirect", force)],
        )
    };
    env.replace(settings("true"));
    until_status(&program, "a.test", 308);
    env.replace(settings("false"));
    until_status(&program, "a.test", 503);
    env.replace(settings("true"));
    until_status(&program, "a.test", 308);
    env.api
        .delete("ConfigMap", &env.controller_namespace(), "of-class");
    until_status(&program, "a.test", 503);
}

#[test]
fn watch_namespace_serves_one_namespace() {
    let env = TestEnv::new();
    let elsewhere = with(without_service("elsewhere"), |ingress| {
        ingress["metadata"]["namespace"] = env.controller_namespace().into();
    });
    env.replace(elsewhere);
    let program = env.narrow_controller(&[]);
    env.replace(without_service("a"));
    until_status(&program, "a.test", 503);
    get(&program, "elsewhere.test").is(404);
    // Without the flag both are served.
    let program = env.controller(&[]);
    until_status(&program, "a.test", 503);
    get(&program, "elsewhere.test").is(503);
}

#[test]
fn watch_namespace_selector_follows_labels() {
    let env = TestEnv::new();
    let selector = format!("--watch-namespace-selector=team={}", env.scoped("team"));
    let selected = json!({ "team": env.scoped("team") });
    env.replace(without_service("a"));
    let program = env.controller(&[&selector]);
    get(&program, "a.test").is(404);
    env.replace(namespace_object(&env.namespace(), &selected));
    until_status(&program, "a.test", 503);
    env.replace(namespace_object(
        &env.namespace(),
        &json!({ "team": "other" }),
    ));
    until_status(&program, "a.test", 404);
    env.replace(namespace_object(&env.namespace(), &selected));
    env.replace(without_service("b"));
    until_status(&program, "b.test", 503);
    until_status(&program, "a.test", 503);
}

#[test]
fn disable_catch_all_rejects_default_backends() {
    let env = TestEnv::new();
    env.replace(with(without_service("all"), |ingress| {
        ingress["spec"]["defaultBackend"] =
            json!({"service": {"name": "none", "port": {"number": 80}}});
    }));
    env.replace(without_service("a"));
    let program = env.narrow_controller(&["--disable-catch-all"]);
    until_status(&program, "a.test", 503);
    get(&program, "other.test").is(404);
    get(&program, "all.test").is(404);
    let program = env.narrow_controller(&[]);
    get(&program, "all.test").is(503);
}

#[test]
fn without_permission_to_read_classes_only_annotations_select() {
    let env = TestEnv::new();
    let annotated = with(without_service("annotated"), |ingress| {
        ingress["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        ingress["metadata"]["annotations"] = json!({ ANNOTATION: env.class() });
    });
    env.load([annotated, without_service("field")]);
    let program = restricted(&env);
    until_status(&program, "annotated.test", 503);
    get(&program, "field.test").is(404);
    let denied = ["kind=\"IngressClass\""];
    until_metric(&program, "headgate_watch_denied", &denied, 1.0);
    // Permissions granted later take effect.
    env.replace(role(true));
    until_status(&program, "field.test", 503);
    until_metric(&program, "headgate_watch_denied", &denied, 0.0);
}

/// A controller without permission to read classes.
fn restricted(env: &TestEnv) -> Program {
    let (home, account) = (env.controller_namespace(), "restricted");
    env.create(role(false));
    env.create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "restricted"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": env.scoped("restricted")},
        "subjects": [{"kind": "ServiceAccount", "namespace": home, "name": account}]}));
    let kubeconfig = env
        .api
        .kubeconfig_for(&env.api.service_account(&home, account));
    let flags = ["--update-status=false", "--disable-leader-election"];
    let program = env.replica_with_kubeconfig(&kubeconfig, "headgate-0", &flags);
    program.until_ready();
    program
}

fn role(classes: bool) -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let read = ["list", "watch"];
    let mut rules = vec![
        rule("", &["services", "configmaps", "secrets"], &read),
        rule("discovery.k8s.io", &["endpointslices"], &read),
        rule("networking.k8s.io", &["ingresses"], &read),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ];
    if classes {
        rules.push(rule("networking.k8s.io", &["ingressclasses"], &read));
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "restricted"}, "rules": rules})
}
