//! Which Ingresses are ours (ingress-nginx reference 2.9), as classes, namespaces and permissions change.

use std::collections::BTreeSet;

use headgate_testkit::{Program, manifest};
use serde_json::{Value, json};

use super::place::{Place, namespace_object};
use super::support::{ask, ingress, until_metric, until_status, with};

const ANNOTATION: &str = "kubernetes.io/ingress.class";

/// An Ingress of our class for host `<name>.test`, to a Service that is not there: 503 where it is served, 404 elsewhere.
fn alone(name: &str) -> Value {
    ingress(name, &format!("{name}.test"), "none")
}

/// Ingresses that name a class in every way there is; each for host `<name>.test`.
fn variants(place: &Place) -> Vec<Value> {
    let by_field = |name: &str, class: &str| {
        with(alone(name), |ingress| {
            ingress["spec"]["ingressClassName"] = class.into();
        })
    };
    let by_annotation = |name: &str, class: Option<&str>| {
        with(alone(name), |ingress| {
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
        by_field("field", &place.class()),
        by_field("field-second", &place.named("second")),
        by_field("field-foreign", &place.named("foreign")),
        by_annotation("annotation", Some(&place.class())),
        by_annotation("annotation-named", Some(&place.named("foreign"))),
        by_annotation("annotation-other", Some("other")),
        by_annotation("annotation-empty", Some("")),
        by_annotation("none", None),
        by_field("both-foreign", &place.named("foreign")),
        by_field("both-missing", &place.named("missing")),
    ]
}

/// The variants that a controller with these flags serves.
fn served(place: &Place, arguments: &[&str]) -> BTreeSet<String> {
    let program = place.narrow_controller(arguments);
    let names = variants(place).into_iter().filter_map(|ingress| {
        let name = ingress["metadata"]["name"].as_str().unwrap().to_owned();
        let status = ask(&program, &format!("{name}.test")).status;
        assert!(status == 503 || status == 404, "{name}: {status}");
        (status == 503).then_some(name)
    });
    names.collect()
}

#[test]
fn classes_are_named_by_field_annotation_or_not_at_all() {
    let place = Place::new();
    let second = place.class_object("second", &place.controller_class());
    let foreign = place.class_object("foreign", "example.com/foreign");
    place.replace(second);
    place.replace(foreign);
    place.load(variants(&place));
    for name in ["both-foreign", "both-missing"] {
        // A new Ingress may not name two classes; an old one may.
        place.modify("Ingress", name, |ingress| {
            ingress["metadata"]["annotations"] = json!({ ANNOTATION: place.class() });
        });
    }
    let named = format!("--ingress-class={}", place.named("foreign"));
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
                "both-foreign",
                "field",
                "field-foreign",
                "field-second",
            ],
        ),
        (
            &["--controller-class=example.com/foreign"],
            &["annotation", "both-foreign", "field-foreign"],
        ),
    ];
    for (arguments, wanted) in cases {
        let wanted: BTreeSet<String> = wanted.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(served(&place, arguments), wanted, "{arguments:?}");
    }
}

#[test]
fn ingresses_come_and_go_with_their_class() {
    let place = Place::new();
    place.replace(alone("a"));
    let program = place.narrow_controller(&[]);
    until_status(&program, "a.test", 503);
    let class = place.class_object("nginx", &place.controller_class());
    place.delete("IngressClass", &place.class());
    until_status(&program, "a.test", 404);
    place.replace(class);
    until_status(&program, "a.test", 503);
    // `spec.controller` cannot change; a class made anew can have another.
    place.delete("IngressClass", &place.class());
    place.replace(place.class_object("nginx", "example.com/foreign"));
    place.replace(with(alone("b"), |ingress| {
        ingress["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        ingress["metadata"]["annotations"] = json!({ ANNOTATION: place.class() });
    }));
    until_status(&program, "b.test", 503);
    until_status(&program, "a.test", 404);
}

#[test]
fn parameters_of_the_class_are_settings() {
    let place = Place::new();
    let class = with(
        place.class_object("nginx", &place.controller_class()),
        |class| {
            class["spec"]["parameters"] = json!({"kind": "ConfigMap", "name": "of-class",
            "namespace": place.home(), "scope": "Namespace"});
        },
    );
    place.replace(class);
    place.replace(alone("a"));
    let program = place.controller(&[]);
    until_status(&program, "a.test", 503);
    let settings = |force: &str| {
        manifest::config_map(&place.home(), "of-class", &[("force-ssl-redirect", force)])
    };
    place.replace(settings("true"));
    until_status(&program, "a.test", 308);
    place.replace(settings("false"));
    until_status(&program, "a.test", 503);
    place.replace(settings("true"));
    until_status(&program, "a.test", 308);
    place.api.delete("ConfigMap", &place.home(), "of-class");
    until_status(&program, "a.test", 503);
}

#[test]
fn one_namespace_is_watched() {
    let place = Place::new();
    let elsewhere = with(alone("elsewhere"), |ingress| {
        ingress["metadata"]["namespace"] = place.home().into();
    });
    place.replace(elsewhere);
    let program = place.narrow_controller(&[]);
    place.replace(alone("a"));
    until_status(&program, "a.test", 503);
    ask(&program, "elsewhere.test").is(404);
    // All namespaces have both.
    let program = place.controller(&[]);
    until_status(&program, "a.test", 503);
    ask(&program, "elsewhere.test").is(503);
}

#[test]
fn namespaces_are_selected_by_labels_as_they_change() {
    let place = Place::new();
    let selector = format!("--watch-namespace-selector=team={}", place.named("team"));
    let chosen = json!({ "team": place.named("team") });
    place.replace(alone("a"));
    let program = place.controller(&[&selector]);
    ask(&program, "a.test").is(404);
    place.replace(namespace_object(&place.shop(), &chosen));
    until_status(&program, "a.test", 503);
    place.replace(namespace_object(&place.shop(), &json!({ "team": "other" })));
    until_status(&program, "a.test", 404);
    place.replace(namespace_object(&place.shop(), &chosen));
    place.replace(alone("b"));
    until_status(&program, "b.test", 503);
    until_status(&program, "a.test", 503);
}

#[test]
fn an_ingress_for_everything_can_be_refused() {
    let place = Place::new();
    place.replace(with(alone("all"), |ingress| {
        ingress["spec"]["defaultBackend"] =
            json!({"service": {"name": "none", "port": {"number": 80}}});
    }));
    place.replace(alone("a"));
    let program = place.narrow_controller(&["--disable-catch-all"]);
    until_status(&program, "a.test", 503);
    ask(&program, "other.test").is(404);
    ask(&program, "all.test").is(404);
    let program = place.narrow_controller(&[]);
    ask(&program, "all.test").is(503);
}

#[test]
fn without_permission_to_read_classes_annotations_count() {
    let place = Place::new();
    let annotated = with(alone("annotated"), |ingress| {
        ingress["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        ingress["metadata"]["annotations"] = json!({ ANNOTATION: place.class() });
    });
    place.load([annotated, alone("field")]);
    let program = restricted(&place);
    until_status(&program, "annotated.test", 503);
    ask(&program, "field.test").is(404);
    let denied = ["kind=\"IngressClass\""];
    until_metric(&program, "headgate_watch_denied", &denied, 1.0);
    // Permissions that are given later are noticed.
    place.replace(role(true));
    until_status(&program, "field.test", 503);
    until_metric(&program, "headgate_watch_denied", &denied, 0.0);
}

/// A controller that may read what it must, but no classes.
fn restricted(place: &Place) -> Program {
    let (home, account) = (place.home(), "restricted");
    place.create(role(false));
    place.create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "restricted"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": place.named("restricted")},
        "subjects": [{"kind": "ServiceAccount", "namespace": home, "name": account}]}));
    let kubeconfig = place
        .api
        .kubeconfig_for(&place.api.service_account(&home, account));
    let flags = ["--update-status=false", "--disable-leader-election"];
    let program = place.replica_with(&kubeconfig, "headgate-0", &flags);
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
