#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

mod custom;

use std::collections::BTreeMap;

use headgate_compile::{Namespaces, Options};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::status::Observations as _;
use crate::watch::WatchMetrics;
use crate::watch::decode::{Decoded, DecodedObject};
use crate::watch::message::{Event, Problem, ProblemKind, Progress};
use crate::watch::statuses::Status;

/// A hub whose changes are taken after each message once it is complete.
struct World {
    hub: Hub,
    statuses: Arc<Statuses>,
    tasks: Vec<Task>,
    /// Changes of the last message.
    changed: Vec<ObjectRef>,
}

impl World {
    fn new(options: &WatchOptions) -> Self {
        let statuses = Arc::new(Statuses::default());
        let conditions = Conditions::new(WatchMetrics::new(&crate::CommonLabels::new()).unwrap());
        let mut hub = Hub::new(options, statuses.clone(), conditions);
        let tasks = hub.take_tasks();
        Self {
            hub,
            statuses,
            tasks,
            changed: Vec::new(),
        }
    }

    fn id(&self, what: &str) -> Id {
        let mut all = self.hub.selections.iter();
        let found = all.position(|one| {
            one.as_ref()
                .is_some_and(|one| one.selection.describe() == what)
        });
        Id(found.unwrap_or_else(|| panic!("no selection of {what}")))
    }

    fn report(&mut self, what: &str, progress: Progress) {
        let id = self.id(what);
        self.handle(Update::Selection(id, progress));
    }

    fn handle(&mut self, update: Update) {
        let arrived = Instant::now();
        self.hub.handle(Message { arrived, update });
        self.tasks.extend(self.hub.take_tasks());
        self.changed = Vec::new();
        if self.hub.is_complete() {
            let (_, changes, _) = self.hub.take_changes();
            self.changed = changes.objects().cloned().collect();
        }
    }

    fn list(&mut self, what: &str, objects: Vec<Object>) {
        self.report(what, Progress::Begin);
        self.report(
            what,
            Progress::Listed(objects.into_iter().map(read).collect()),
        );
        self.report(what, Progress::Complete);
    }

    fn list_nothing(&mut self, kinds: &[&str]) {
        for kind in kinds {
            self.list(&format!("{kind} objects"), Vec::new());
        }
    }

    fn apply(&mut self, what: &str, object: Object) {
        self.report(what, Progress::Events(vec![Event::Apply(read(object))]));
    }

    fn delete(&mut self, what: &str, name: &str) {
        let event = Event::Delete(Name::new("shop", name));
        self.report(what, Progress::Events(vec![event]));
    }

    fn fetches(&self) -> Vec<(String, u64)> {
        let fetches = self.tasks.iter().filter_map(|task| match task {
            Task::Fetch(object, request) => Some((object.to_string(), *request)),
            _ => None,
        });
        fetches.collect()
    }

    fn starts(&self) -> Vec<String> {
        let starts = self.tasks.iter().filter_map(|task| match task {
            Task::Start(_, selection) => Some(selection.describe()),
            _ => None,
        });
        starts.collect()
    }

    fn knows(&self, object: &Object) -> bool {
        self.hub.snapshot.object(&object.reference()) == Some(object)
    }
}

fn read(object: Object) -> Decoded {
    let status = matches!(object, Object::Ingress(_)).then(|| Status {
        uid: "1".into(),
        entries: Vec::new(),
        managed: false,
    });
    Decoded::Object(Box::new(DecodedObject {
        name: object.reference().name,
        object,
        status,
        published: None,
        observed: None,
    }))
}

fn ingress(name: &str, secret: &str) -> Object {
    let ingress = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"tls": [{"secretName": secret}]},
    }));
    Object::from(
        serde_json::from_value::<k8s_openapi::api::networking::v1::Ingress>(ingress.unwrap())
            .unwrap(),
    )
}

fn secret(name: &str, version: &str) -> Object {
    let secret = json!({
        "metadata": {"name": name, "namespace": "shop"},
        "data": {"tls.crt": version},
    });
    Object::from(serde_json::from_value::<k8s_openapi::api::core::v1::Secret>(secret).unwrap())
}

const INGRESSES: &str = "Ingress objects";
const SECRETS: &str = "Secret objects";

/// Everything is listed; Ingress `web` refers to Secret `cert`.
fn complete() -> World {
    let mut world = World::new(&WatchOptions::default());
    world.list_nothing(&["IngressClass", "Service", "EndpointSlice"]);
    world.list(INGRESSES, vec![ingress("web", "cert")]);
    world.list_nothing(&["ConfigMap"]);
    world.list(
        SECRETS,
        vec![secret("cert", "b25l"), secret("other", "b25l")],
    );
    world.tasks.clear();
    world
}

#[test]
fn secrets_are_listed_after_the_objects_that_refer_to_them() {
    let mut world = World::new(&WatchOptions::default());
    let first = [
        "Ingress objects",
        "IngressClass objects",
        "Service objects",
        "EndpointSlice objects",
    ];
    assert_eq!(world.starts(), first);
    world.list(INGRESSES, vec![ingress("web", "cert")]);
    assert_eq!(world.starts().len(), 4);
    world.list_nothing(&["IngressClass"]);
    assert_eq!(world.starts()[4..], ["Secret objects", "ConfigMap objects"]);
    // The name is known before the list begins.
    let keep = |task: &Task| matches!(task, Task::Keep(_));
    let start = |task: &Task| matches!(task, Task::Start(_, one) if one.kind == Kind::Secret);
    let position = |which: &dyn Fn(&Task) -> bool| world.tasks.iter().position(which).unwrap();
    assert!(position(&keep) < position(&start));
    assert!(world.fetches().is_empty());
}

#[test]
fn nothing_is_complete_before_everything_was_listed() {
    let world = complete();
    assert!(world.knows(&ingress("web", "cert")) && world.knows(&secret("cert", "b25l")));
    assert!(!world.knows(&secret("other", "b25l")), "not referenced");
}

#[test]
fn a_new_reference_is_fetched_and_an_unreferenced_object_dropped() {
    let mut world = complete();
    world.apply(INGRESSES, ingress("web", "other"));
    assert_eq!(world.fetches(), [("Secret shop/other".to_owned(), 1)]);
    assert!(!world.knows(&secret("cert", "b25l")));
    let other = secret("other", "b25l");
    world.handle(Update::Fetched(
        other.reference(),
        1,
        Some(read(other.clone())),
    ));
    assert!(world.knows(&other));
    world.delete(INGRESSES, "web");
    assert!(!world.knows(&other));
    assert_eq!(world.statuses.observed(&Name::new("shop", "web")), None);
}

#[test]
fn an_event_after_the_request_wins_over_the_response() {
    let mut world = complete();
    world.apply(INGRESSES, ingress("web", "other"));
    world.apply(SECRETS, secret("other", "dHdv"));
    let old = secret("other", "b25l");
    world.handle(Update::Fetched(old.reference(), 1, Some(read(old))));
    assert!(world.knows(&secret("other", "dHdv")));
    // The same for one that was deleted meanwhile.
    world.apply(INGRESSES, ingress("api", "third"));
    world.delete(SECRETS, "third");
    let third = secret("third", "b25l");
    world.handle(Update::Fetched(
        third.reference(),
        2,
        Some(read(third.clone())),
    ));
    assert!(!world.knows(&third));
}

#[test]
fn a_list_during_a_request_is_followed_by_another_request() {
    let mut world = complete();
    world.apply(INGRESSES, ingress("api", "other"));
    world.list(
        SECRETS,
        vec![secret("cert", "b25l"), secret("other", "dHdv")],
    );
    assert_eq!(world.fetches().len(), 2);
    // The first response may be older than the list.
    let old = secret("other", "b25l");
    world.handle(Update::Fetched(old.reference(), 1, Some(read(old))));
    assert!(world.knows(&secret("other", "dHdv")));
}

#[test]
fn a_relist_takes_effect_as_a_whole() {
    let mut world = complete();
    world.report(INGRESSES, Progress::Begin);
    world.report(
        INGRESSES,
        Progress::Listed(vec![read(ingress("new", "cert"))]),
    );
    assert!(world.knows(&ingress("web", "cert")) && !world.knows(&ingress("new", "cert")));
    // An incomplete list has no effect.
    world.report(INGRESSES, Progress::Begin);
    world.report(
        INGRESSES,
        Progress::Listed(vec![read(ingress("newer", "cert"))]),
    );
    world.report(INGRESSES, Progress::Complete);
    assert!(world.knows(&ingress("newer", "cert")));
    assert!(!world.knows(&ingress("new", "cert")) && !world.knows(&ingress("web", "cert")));
    assert!(
        world.knows(&secret("cert", "b25l")),
        "referenced all the time"
    );
}

#[test]
fn a_relist_without_changes_makes_no_changes() {
    let mut world = complete();
    world.list(INGRESSES, vec![ingress("web", "cert")]);
    assert_eq!(world.changed, []);
    world.list(
        INGRESSES,
        vec![ingress("web", "cert"), ingress("api", "cert")],
    );
    assert_eq!(world.changed, [ingress("api", "cert").reference()]);
}

#[test]
fn an_unreadable_object_keeps_its_version_until_a_list_lacks_it() {
    let mut world = complete();
    let name = Name::new("shop", "web");
    let unreadable = || Decoded::Unreadable(name.clone(), "no".to_owned());
    let id = world.id(INGRESSES);
    let report = |world: &mut World, progress| {
        let (arrived, update) = (Instant::now(), Update::Selection(id, progress));
        world.hub.handle(Message { arrived, update });
        let (_, changes, findings) = world.hub.take_changes();
        (changes.is_empty(), findings.len())
    };
    let event = Progress::Events(vec![Event::Apply(unreadable())]);
    assert_eq!(report(&mut world, event), (true, 1));
    report(&mut world, Progress::Begin);
    report(&mut world, Progress::Listed(vec![unreadable()]));
    assert_eq!(report(&mut world, Progress::Complete), (true, 1));
    assert!(world.knows(&ingress("web", "cert")));
    report(&mut world, Progress::Begin);
    assert_eq!(report(&mut world, Progress::Complete), (false, 0));
    assert!(!world.knows(&ingress("web", "cert")));
}

fn denied(failures: u32) -> Progress {
    Progress::Failed(Problem {
        message: "forbidden".to_owned(),
        kind: ProblemKind::Denied,
        failures,
    })
}

#[test]
fn forbidden_classes_do_not_delay_completion() {
    let mut world = World::new(&WatchOptions::default());
    world.report("IngressClass objects", denied(1));
    world.list_nothing(&["Ingress", "Service", "EndpointSlice"]);
    world.report("ConfigMap objects", denied(1));
    world.report("Secret objects", denied(1));
    assert!(world.hub.is_complete());
    assert!(!world.hub.snapshot.environment().classes_readable);
    world.list_nothing(&["IngressClass"]);
    assert!(world.hub.snapshot.environment().classes_readable);
    // Once listed, they stay known.
    world.report("IngressClass objects", denied(1));
    assert!(world.hub.snapshot.environment().classes_readable);
}

#[test]
fn nothing_is_complete_without_the_required_kinds() {
    for what in [
        "Ingress objects",
        "Service objects",
        "EndpointSlice objects",
        "ConfigMap system/settings",
    ] {
        let mut world = World::new(&WatchOptions {
            compile: Options {
                settings: Some(Name::new("system", "settings")),
                ..Options::default()
            },
            ..WatchOptions::default()
        });
        for one in [
            "Ingress objects",
            "IngressClass objects",
            "Service objects",
            "EndpointSlice objects",
            "ConfigMap system/settings",
        ] {
            if one == what {
                world.report(one, denied(1));
            } else {
                world.list(one, Vec::new());
            }
        }
        world.list_nothing(&["Secret", "ConfigMap"]);
        assert!(!world.hub.is_complete(), "{what}");
        world.list(what, Vec::new());
        assert!(world.hub.is_complete(), "{what}");
    }
}

#[test]
fn objects_of_flags_outside_the_watched_namespace_have_their_own_watch() {
    let world = World::new(&WatchOptions {
        compile: Options {
            namespaces: Namespaces::One("shop".into()),
            default_certificate: Some(Name::new("system", "wildcard")),
            ..Options::default()
        },
        ..WatchOptions::default()
    });
    assert!(
        world
            .starts()
            .contains(&"Secret system/wildcard".to_owned())
    );
}

#[test]
fn cached_objects_are_used_until_their_kind_is_listed() {
    let mut world = World::new(&WatchOptions::default());
    world.list(INGRESSES, vec![ingress("web", "cert")]);
    let objects = vec![
        secret("old", "b25l"),
        ingress("old", "old"),
        ingress("web", "old"),
        secret("cert", "b25l"),
    ];
    let environment = Environment {
        classes_readable: false,
        zone: Some("near".into()),
    };
    world.hub.seed(objects, environment.clone());
    world.hub.take_changes();
    // Ingresses were listed already; Secrets that they do not refer to are ignored.
    assert_eq!(world.hub.snapshot.len(), 2);
    assert!(world.knows(&ingress("web", "cert")) && world.knows(&secret("cert", "b25l")));
    assert_eq!(*world.hub.snapshot.environment(), environment);
    world.list_nothing(&[
        "IngressClass",
        "Service",
        "EndpointSlice",
        "ConfigMap",
        "Secret",
    ]);
    assert!(world.hub.is_complete());
    assert!(
        !world.knows(&secret("cert", "b25l")),
        "deleted between the runs"
    );
    assert!(world.hub.snapshot.environment().classes_readable);
}

/// Changes of a server's objects, and faults of watches.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Replay(u8),
    Relist,
    PartialList(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(name, version)| Step::Put(name, version)),
        2 => (0..6_u8).prop_map(Step::Delete),
        1 => (0..6_u8).prop_map(Step::Replay),
        1 => Just(Step::Relist),
        1 => (0..6_u8).prop_map(Step::PartialList),
    ]
}

proptest! {
    /// After any sequence of events, a list makes the snapshot equal to the server's objects.
    #[test]
    fn a_list_restores_the_state_of_the_server(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = complete();
        let mut server: BTreeMap<String, Object> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(name, version) => {
                    let name = format!("i{name}");
                    let object = ingress(&name, &format!("s{version}"));
                    server.insert(name, object.clone());
                    world.apply(INGRESSES, object);
                }
                Step::Delete(name) => {
                    let name = format!("i{name}");
                    server.remove(&name);
                    world.delete(INGRESSES, &name);
                }
                // An event of long ago.
                Step::Replay(name) => world.apply(INGRESSES, ingress(&format!("i{name}"), "ghost")),
                Step::Relist => world.list(INGRESSES, server.values().cloned().collect()),
                Step::PartialList(name) => {
                    world.report(INGRESSES, Progress::Begin);
                    let object = read(ingress(&format!("i{name}"), "partial"));
                    world.report(INGRESSES, Progress::Listed(vec![object]));
                }
            }
        }
        world.list(INGRESSES, server.values().cloned().collect());
        let mut known: Vec<Object> = world.hub.snapshot.objects().cloned().collect();
        known.sort_by_key(Object::reference);
        let mut expected: Vec<Object> = server.into_values().collect();
        expected.sort_by_key(Object::reference);
        prop_assert_eq!(known, expected);
    }
}
