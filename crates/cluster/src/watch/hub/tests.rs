#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use std::collections::BTreeMap;

use headgate_compile::{Namespaces, Options};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::status::Observations as _;
use crate::watch::WatchMetrics;
use crate::watch::decode::{Arrived, Decoded};
use crate::watch::message::{Event, Problem, Progress, Sort};
use crate::watch::statuses::Status;

/// A hub of which changes are taken as soon as it is complete.
struct World {
    hub: Hub,
    statuses: Arc<Statuses>,
    tasks: Vec<Task>,
    /// By the last message.
    changed: Vec<ObjectRef>,
}

impl World {
    fn new(options: &WatchOptions) -> Self {
        let statuses = Arc::new(Statuses::default());
        let conditions = Conditions::new(WatchMetrics::new().unwrap());
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

    fn tell(&mut self, what: &str, progress: Progress) {
        let id = self.id(what);
        self.news(News::Selection(id, progress));
    }

    fn news(&mut self, news: News) {
        let arrived = Instant::now();
        self.hub.take(Message { arrived, news });
        self.tasks.extend(self.hub.take_tasks());
        self.changed = Vec::new();
        if self.hub.is_complete() {
            let (_, changes, _) = self.hub.take_changes();
            self.changed = changes.objects().cloned().collect();
        }
    }

    fn list(&mut self, what: &str, objects: Vec<Object>) {
        self.tell(what, Progress::Begin);
        self.tell(
            what,
            Progress::Listed(objects.into_iter().map(read).collect()),
        );
        self.tell(what, Progress::Complete);
    }

    fn list_nothing(&mut self, kinds: &[&str]) {
        for kind in kinds {
            self.list(&format!("{kind} objects"), Vec::new());
        }
    }

    fn apply(&mut self, what: &str, object: Object) {
        self.tell(what, Progress::Events(vec![Event::Apply(read(object))]));
    }

    fn delete(&mut self, what: &str, name: &str) {
        let event = Event::Delete(Name::new("shop", name));
        self.tell(what, Progress::Events(vec![event]));
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
        ours: false,
    });
    Decoded::Read(Box::new(Arrived {
        name: object.reference().name,
        object,
        status,
        published: None,
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

/// Everything is listed; `web` names the Secret `cert`.
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
fn secrets_are_listed_when_it_is_known_which_are_named() {
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
    let want = |task: &Task| matches!(task, Task::Keep(_));
    let start = |task: &Task| matches!(task, Task::Start(_, one) if one.kind == Kind::Secret);
    let position = |which: &dyn Fn(&Task) -> bool| world.tasks.iter().position(which).unwrap();
    assert!(position(&want) < position(&start));
    assert!(world.fetches().is_empty());
}

#[test]
fn nothing_is_complete_before_everything_was_listed() {
    let world = complete();
    assert!(world.knows(&ingress("web", "cert")) && world.knows(&secret("cert", "b25l")));
    assert!(!world.knows(&secret("other", "b25l")), "nobody names it");
}

#[test]
fn a_new_name_is_asked_for_and_an_unused_one_dropped() {
    let mut world = complete();
    world.apply(INGRESSES, ingress("web", "other"));
    assert_eq!(world.fetches(), [("Secret shop/other".to_owned(), 1)]);
    assert!(!world.knows(&secret("cert", "b25l")));
    let other = secret("other", "b25l");
    world.news(News::Fetched(
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
fn an_event_since_the_request_wins_over_the_answer() {
    let mut world = complete();
    world.apply(INGRESSES, ingress("web", "other"));
    world.apply(SECRETS, secret("other", "dHdv"));
    let old = secret("other", "b25l");
    world.news(News::Fetched(old.reference(), 1, Some(read(old))));
    assert!(world.knows(&secret("other", "dHdv")));
    // The same for one that was deleted meanwhile.
    world.apply(INGRESSES, ingress("api", "third"));
    world.delete(SECRETS, "third");
    let third = secret("third", "b25l");
    world.news(News::Fetched(
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
    // The first answer may be older than the list.
    let old = secret("other", "b25l");
    world.news(News::Fetched(old.reference(), 1, Some(read(old))));
    assert!(world.knows(&secret("other", "dHdv")));
}

#[test]
fn a_new_list_takes_effect_as_a_whole() {
    let mut world = complete();
    world.tell(INGRESSES, Progress::Begin);
    world.tell(
        INGRESSES,
        Progress::Listed(vec![read(ingress("new", "cert"))]),
    );
    assert!(world.knows(&ingress("web", "cert")) && !world.knows(&ingress("new", "cert")));
    // One that breaks off counts for nothing.
    world.tell(INGRESSES, Progress::Begin);
    world.tell(
        INGRESSES,
        Progress::Listed(vec![read(ingress("newer", "cert"))]),
    );
    world.tell(INGRESSES, Progress::Complete);
    assert!(world.knows(&ingress("newer", "cert")));
    assert!(!world.knows(&ingress("new", "cert")) && !world.knows(&ingress("web", "cert")));
    assert!(world.knows(&secret("cert", "b25l")), "named all the time");
}

#[test]
fn an_unchanged_list_is_no_news() {
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
fn what_cannot_be_read_stays_as_it_was_until_a_list_lacks_it() {
    let mut world = complete();
    let name = Name::new("shop", "web");
    let unreadable = || Decoded::Unreadable(name.clone(), "no".to_owned());
    let id = world.id(INGRESSES);
    let tell = |world: &mut World, progress| {
        let (arrived, news) = (Instant::now(), News::Selection(id, progress));
        world.hub.take(Message { arrived, news });
        let (_, changes, findings) = world.hub.take_changes();
        (changes.is_empty(), findings.len())
    };
    let event = Progress::Events(vec![Event::Apply(unreadable())]);
    assert_eq!(tell(&mut world, event), (true, 1));
    tell(&mut world, Progress::Begin);
    tell(&mut world, Progress::Listed(vec![unreadable()]));
    assert_eq!(tell(&mut world, Progress::Complete), (true, 1));
    assert!(world.knows(&ingress("web", "cert")));
    tell(&mut world, Progress::Begin);
    assert_eq!(tell(&mut world, Progress::Complete), (false, 0));
    assert!(!world.knows(&ingress("web", "cert")));
}

fn denied(failures: u32) -> Progress {
    Progress::Failed(Problem {
        message: "may not".to_owned(),
        sort: Sort::Denied,
        failures,
    })
}

#[test]
fn classes_that_may_not_be_read_are_a_fact_and_nothing_waits_for_them() {
    let mut world = World::new(&WatchOptions::default());
    world.tell("IngressClass objects", denied(1));
    world.list_nothing(&["Ingress", "Service", "EndpointSlice"]);
    world.tell("ConfigMap objects", denied(1));
    world.tell("Secret objects", denied(1));
    assert!(world.hub.is_complete());
    assert!(!world.hub.snapshot.environment().classes_readable);
    world.list_nothing(&["IngressClass"]);
    assert!(world.hub.snapshot.environment().classes_readable);
    // Known once, they stay known.
    world.tell("IngressClass objects", denied(1));
    assert!(world.hub.snapshot.environment().classes_readable);
}

#[test]
fn without_what_is_required_nothing_is_complete() {
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
                world.tell(one, denied(1));
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
fn what_flags_name_elsewhere_is_watched_alone() {
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
fn the_cache_fills_what_is_not_known_and_gives_way() {
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
    // Ingresses were listed already; what they do not name is not taken.
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
        "deleted while nobody looked"
    );
    assert!(world.hub.snapshot.environment().classes_readable);
}

/// What may happen to the objects of a server.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Replay(u8),
    Relist,
    TornList(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(name, version)| Step::Put(name, version)),
        2 => (0..6_u8).prop_map(Step::Delete),
        1 => (0..6_u8).prop_map(Step::Replay),
        1 => Just(Step::Relist),
        1 => (0..6_u8).prop_map(Step::TornList),
    ]
}

proptest! {
    /// Whatever happened on the way, after a list the table's side has what the server has.
    #[test]
    fn only_the_final_set_counts(steps in prop::collection::vec(step(), 0..40)) {
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
                // Of events that were long ago.
                Step::Replay(name) => world.apply(INGRESSES, ingress(&format!("i{name}"), "ghost")),
                Step::Relist => world.list(INGRESSES, server.values().cloned().collect()),
                Step::TornList(name) => {
                    world.tell(INGRESSES, Progress::Begin);
                    let object = read(ingress(&format!("i{name}"), "torn"));
                    world.tell(INGRESSES, Progress::Listed(vec![object]));
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
