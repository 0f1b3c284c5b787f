//! Which Ingresses are ours (ingress-nginx reference 2.9), as classes, namespaces and permissions change.

use std::collections::BTreeSet;

use headgate_testkit::{ApiServer, Program, manifest};
use serde_json::{Value, json};

use super::place::{Place, namespace_object};
use super::support::{HOME, api, ask, ingress, replica_with, until_metric, until_status, with};

const ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Ingresses that name a class in every way there is; each for host `<name>.test`.
fn variants(place: &Place) -> Vec<Value> {
    let by_field = |name: &str, class: &str| {
        with(place.ingress(name), |ingress| {
            ingress["spec"]["ingressClassName"] = class.into();
        })
    };
    let by_annotation = |name: &str, class: Option<&str>| {
        with(place.ingress(name), |ingress| {
            ingress["spec"]
                .as_object_mut()
                .unwrap()
                .remove("ingressClassName");
            if let Some(class) = class {
                ingress["metadata"]["annotations"] = json!({ ANNOTATION: class });
            }
        })
    };
    let with_both = |name: &str, class: &str| {
        with(by_field(name, class), |ingress| {
            ingress["metadata"]["annotations"] = json!({ ANNOTATION: place.class() });
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
        with_both("both-foreign", &place.named("foreign")),
        with_both("both-missing", &place.named("missing")),
    ]
}

/// The variants that a controller with these flags serves.
fn served(place: &Place, arguments: &[&str]) -> BTreeSet<String> {
    let program = place.controller(arguments);
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
    let second = place.class_object(&place.named("second"), &place.controller_class());
    let foreign = place.class_object(&place.named("foreign"), "example.com/foreign");
    place.apply(&second);
    place.apply(&foreign);
    for ingress in variants(&place) {
        place.apply(&ingress);
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
    place.apply(&place.ingress("a"));
    let program = place.controller(&[]);
    until_status(&program, "a.test", 503);
    let class = place.class_object(&place.class(), &place.controller_class());
    place.delete(&class);
    until_status(&program, "a.test", 404);
    place.apply(&class);
    until_status(&program, "a.test", 503);
    // `spec.controller` cannot change; a class made anew can have another.
    place.delete(&class);
    place.apply(&place.class_object(&place.class(), "example.com/foreign"));
    place.apply(&with(place.ingress("b"), |ingress| {
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
        place.class_object(&place.class(), &place.controller_class()),
        |class| {
            class["spec"]["parameters"] = json!({"kind": "ConfigMap", "name": "of-class",
            "namespace": place.home(), "scope": "Namespace"});
        },
    );
    place.apply(&class);
    place.apply(&place.ingress("a"));
    let program = place.wide_controller(&[]);
    until_status(&program, "a.test", 503);
    let settings = |force: &str| {
        manifest::config_map(&place.home(), "of-class", &[("force-ssl-redirect", force)])
    };
    place.apply(&settings("true"));
    until_status(&program, "a.test", 308);
    place.apply(&settings("false"));
    until_status(&program, "a.test", 503);
    place.apply(&settings("true"));
    until_status(&program, "a.test", 308);
    place.delete(&settings("true"));
    until_status(&program, "a.test", 503);
}

#[test]
fn one_namespace_is_watched() {
    let place = Place::new();
    let elsewhere = with(place.ingress("elsewhere"), |ingress| {
        ingress["metadata"]["namespace"] = place.home().into();
    });
    place.apply(&elsewhere);
    let program = place.controller(&[]);
    place.apply(&place.ingress("a"));
    until_status(&program, "a.test", 503);
    ask(&program, "elsewhere.test").is(404);
    // All namespaces have both.
    let program = place.wide_controller(&[]);
    until_status(&program, "a.test", 503);
    ask(&program, "elsewhere.test").is(503);
}

#[test]
fn namespaces_are_selected_by_labels_as_they_change() {
    let place = Place::new();
    let selector = format!("--watch-namespace-selector=team={}", place.named("team"));
    let chosen = json!({ "team": place.named("team") });
    place.apply(&place.ingress("a"));
    let program = place.wide_controller(&[&selector]);
    ask(&program, "a.test").is(404);
    place.apply(&namespace_object(&place.shop(), &chosen));
    until_status(&program, "a.test", 503);
    place.apply(&namespace_object(
        &place.shop(),
        &json!({ "team": "other" }),
    ));
    until_status(&program, "a.test", 404);
    place.apply(&namespace_object(&place.shop(), &chosen));
    place.apply(&place.ingress("b"));
    until_status(&program, "b.test", 503);
    until_status(&program, "a.test", 503);
}

#[test]
fn an_ingress_for_everything_can_be_refused() {
    let place = Place::new();
    place.apply(&with(place.ingress("all"), |ingress| {
        ingress["spec"]["defaultBackend"] =
            json!({"service": {"name": "none", "port": {"number": 80}}});
    }));
    place.apply(&place.ingress("a"));
    let program = place.controller(&["--disable-catch-all"]);
    until_status(&program, "a.test", 503);
    ask(&program, "other.test").is(404);
    ask(&program, "all.test").is(404);
    let program = place.controller(&[]);
    ask(&program, "all.test").is(503);
}

#[test]
fn without_permission_to_read_classes_annotations_count() {
    let api = api();
    let without_class = with(ingress("annotated", "annotated.test", "none"), |ingress| {
        ingress["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        ingress["metadata"]["annotations"] = json!({ ANNOTATION: "nginx" });
    });
    api.load([without_class, ingress("field", "field.test", "none")]);
    let program = restricted(&api, false);
    until_status(&program, "annotated.test", 503);
    ask(&program, "field.test").is(404);
    until_metric(
        &program,
        "headgate_watch_denied",
        &["kind=\"IngressClass\""],
        1.0,
    );
    // Permissions that are given later are noticed.
    api.replace(role(true));
    until_status(&program, "field.test", 503);
    until_metric(
        &program,
        "headgate_watch_denied",
        &["kind=\"IngressClass\""],
        0.0,
    );
}

/// A controller that may read what it must and, perhaps, classes.
fn restricted(api: &ApiServer, classes: bool) -> Program {
    api.create(role(classes));
    api.create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "headgate"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "headgate"},
        "subjects": [{"kind": "ServiceAccount", "namespace": HOME, "name": "headgate"}]}));
    api.enforce_rbac(true);
    let token = api.service_account(HOME, "headgate");
    let flags = ["--update-status=false", "--disable-leader-election"];
    let program = replica_with(&api.kubeconfig_for(&token), "headgate-0", &flags);
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
        "metadata": {"name": "headgate"}, "rules": rules})
}
