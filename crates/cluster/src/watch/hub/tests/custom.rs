//! Kinds of custom resources come and go with their CRDs.

use headgate_compile::objects::custom::{Delivered, GatewaySpec};
use headgate_compile::{DeliveredDefinition, GatewayOptions};

use super::*;

const DEFINITIONS: &str = "CustomResourceDefinition objects";
const GATEWAYS: &str = "Gateway objects";

fn enabled() -> World {
    World::new(&WatchOptions {
        compile: Options {
            gateway: Some(GatewayOptions::default()),
            ..Options::default()
        },
        ..WatchOptions::default()
    })
}

fn definition(plural: &str) -> Object {
    let name = format!("{plural}.gateway.networking.k8s.io");
    let read: DeliveredDefinition =
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    read.into()
}

fn gateway(secret: &str) -> Object {
    let read: Delivered<GatewaySpec> = serde_json::from_value(json!({
        "metadata": {"name": "gate", "namespace": "shop"},
        "spec": {"listeners": [{"name": "a", "tls": {"certificateRefs": [{"name": secret}]}}]},
    }))
    .unwrap();
    read.into()
}

/// The questions since the last call: kinds, and whether they wait.
fn questions(world: &mut World) -> Vec<(u64, Vec<Kind>, bool)> {
    let tasks = std::mem::take(&mut world.tasks);
    let questions = tasks.into_iter().filter_map(|task| match task {
        Task::Discover(number, kinds, delay) => Some((number, kinds, !delay.is_zero())),
        _ => None,
    });
    questions.collect()
}

fn answer(world: &mut World, number: u64, served: &[(Kind, &'static str)]) {
    let kinds = vec![Kind::Gateway];
    world.handle(Update::Discovered(number, kinds, served.to_vec()));
}

fn list_others(world: &mut World) {
    world.list_nothing(&["Ingress", "IngressClass", "Service", "EndpointSlice"]);
    world.list_nothing(&["Namespace"]);
}

/// CRDs of one kind are installed, and its objects listed.
fn watching() -> World {
    let mut world = enabled();
    list_others(&mut world);
    world.list(DEFINITIONS, vec![definition("gateways")]);
    answer(&mut world, 1, &[(Kind::Gateway, "v1")]);
    world.list(GATEWAYS, vec![gateway("cert")]);
    world.list_nothing(&["ConfigMap", "Secret"]);
    assert!(world.hub.is_complete());
    world.tasks.clear();
    world
}

#[test]
fn without_crds_nothing_is_asked_and_nothing_waits() {
    let mut world = enabled();
    list_others(&mut world);
    assert!(!world.starts().contains(&"Secret objects".to_owned()));
    world.list(DEFINITIONS, Vec::new());
    world.list_nothing(&["ConfigMap", "Secret"]);
    assert!(world.hub.is_complete());
    assert_eq!(questions(&mut world), []);
}

#[test]
fn secrets_are_listed_after_the_gateways_that_refer_to_them() {
    let mut world = enabled();
    list_others(&mut world);
    world.list(DEFINITIONS, vec![definition("gateways")]);
    assert_eq!(
        questions(&mut world),
        [(1, vec![Kind::Gateway], false)],
        "one question for a list"
    );
    answer(&mut world, 1, &[(Kind::Gateway, "v1")]);
    assert_eq!(world.starts(), [GATEWAYS]);
    world.list(GATEWAYS, vec![gateway("cert")]);
    assert_eq!(world.starts()[1..], ["Secret objects", "ConfigMap objects"]);
    let cert = secret("cert", "b25l");
    world.list(SECRETS, vec![cert.clone()]);
    world.list_nothing(&["ConfigMap"]);
    assert!(world.knows(&gateway("cert")) && world.knows(&cert));
}

#[test]
fn with_a_crd_go_its_objects_and_what_they_refer_to() {
    let mut world = watching();
    let id = world.id(GATEWAYS);
    let cert = secret("cert", "b25l");
    world.apply(SECRETS, cert.clone());
    assert!(world.knows(&cert));
    let name = definition("gateways").name();
    let gone = Progress::Events(vec![Event::Delete(name)]);
    world.report(DEFINITIONS, gone);
    assert!(world.tasks.contains(&Task::Stop(id)));
    assert!(!world.knows(&gateway("cert")) && !world.knows(&cert));
    assert_eq!(questions(&mut world), []);
}

#[test]
fn another_version_takes_over_when_it_is_listed() {
    let mut world = watching();
    let former = world.id(GATEWAYS);
    world.apply(DEFINITIONS, definition("gateways"));
    assert_eq!(questions(&mut world), [(2, vec![Kind::Gateway], false)]);
    answer(&mut world, 2, &[(Kind::Gateway, "v1")]);
    assert_eq!(world.starts(), [""; 0], "the same version");
    world.apply(DEFINITIONS, definition("gateways"));
    answer(&mut world, 3, &[(Kind::Gateway, "v1beta1")]);
    assert!(world.tasks.contains(&Task::Stop(former)));
    assert_eq!(world.starts(), [GATEWAYS]);
    assert!(world.knows(&gateway("cert")));
    world.list(GATEWAYS, Vec::new());
    assert!(!world.knows(&gateway("cert")));
}

#[test]
fn a_kind_that_is_not_served_yet_is_asked_about_again_and_delays_nothing() {
    let mut world = enabled();
    list_others(&mut world);
    world.list(DEFINITIONS, vec![definition("gateways")]);
    questions(&mut world);
    answer(&mut world, 1, &[]);
    world.list_nothing(&["ConfigMap", "Secret"]);
    assert!(world.hub.is_complete());
    assert_eq!(questions(&mut world), [(2, vec![Kind::Gateway], true)]);
    // An answer to an earlier question changes nothing.
    answer(&mut world, 1, &[(Kind::Gateway, "v1")]);
    assert_eq!(world.starts(), [""; 0]);
    let mut asked = 2;
    answer(&mut world, 2, &[]);
    let mut next = questions(&mut world);
    while let Some((number, ..)) = next.pop() {
        asked = number;
        answer(&mut world, number, &[]);
        next = questions(&mut world);
    }
    assert!(asked < 20, "not for ever: {asked}");
}

#[test]
fn without_permission_for_crds_discovery_tells_what_is_served() {
    let mut world = enabled();
    list_others(&mut world);
    world.report(DEFINITIONS, denied(1));
    let asked = questions(&mut world);
    let all = Kind::ALL.into_iter().filter(|kind| kind.is_custom());
    assert_eq!(asked[0].1.len(), all.count(), "about all kinds");
    world.handle(Update::Discovered(
        1,
        asked[0].1.clone(),
        vec![(Kind::Gateway, "v1")],
    ));
    assert_eq!(world.starts()[..1], [GATEWAYS]);
    assert!(!world.hub.is_complete());
    world.report(GATEWAYS, denied(1));
    world.list_nothing(&["ConfigMap", "Secret"]);
    assert!(world.hub.is_complete());
}

#[test]
fn a_kind_whose_path_is_gone_is_asked_about() {
    let mut world = watching();
    let id = world.id(GATEWAYS);
    world.report(
        GATEWAYS,
        Progress::Failed(Problem {
            message: "no such kind".to_owned(),
            kind: ProblemKind::NotServed,
            failures: 1,
        }),
    );
    assert!(world.tasks.contains(&Task::Stop(id)));
    assert!(world.knows(&gateway("cert")), "until the answer");
    assert_eq!(questions(&mut world), [(2, vec![Kind::Gateway], true)]);
    answer(&mut world, 2, &[(Kind::Gateway, "v1")]);
    assert_eq!(world.starts(), [GATEWAYS]);
}
