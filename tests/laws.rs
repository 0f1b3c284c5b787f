//! Laws of compilation, for every set of objects and every sequence of changes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "laws/convert.rs"]
mod convert;
#[path = "laws/gateways.rs"]
mod gateways;
#[path = "laws/namespaces.rs"]
mod namespaces;
#[path = "laws/precedence.rs"]
mod precedence;
#[path = "laws/sizes.rs"]
mod sizes;
#[path = "laws/universe.rs"]
mod universe;

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{
    Compiled, IngressStatus, Kind, Name, Object, ObjectRef, Options, Snapshot, annotations, compile,
};
use headgate_table::{
    HostBehaviour, PathKind, PathMatch, RoutingTable, UpstreamKey, VirtualHosts, json, text,
};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use proptest::prelude::*;

use universe::{
    Change, IngressSpec, Path, change, fallback, ingress, objects, options, settings, slice, stage,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Incremental compilation gives the same table, findings and statuses as full compilation.
    #[test]
    fn incremental_is_full(batches in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..14)) {
        let options = options();
        let mut world = World::new(&options);
        for batch in batches {
            let applied = format!("{batch:?}");
            for change in batch {
                world.change(change);
            }
            world.step(&options);
            let full = world.compiled_in_full(&options);
            prop_assert_eq!(dump(world.state()), dump(&full), "after {}", applied);
            prop_assert_eq!(world.state().findings(), full.findings(), "after {}", applied);
            prop_assert_eq!(world.state().statuses(), full.statuses(), "after {}", applied);
        }
    }

    /// New and resolved findings add up to the current ones.
    #[test]
    fn differences_add_up(changes in prop::collection::vec(change(), 1..14)) {
        let options = options();
        let mut world = World::new(&options);
        for change in changes {
            let mut known = world.state().findings();
            world.change(change);
            world.step(&options);
            let (new, resolved) = world.state().difference();
            known.retain(|finding| !resolved.contains(finding));
            known.extend(new);
            known.sort();
            known.dedup();
            prop_assert_eq!(known, world.state().findings());
        }
    }

    /// The result does not depend on the order in which objects arrive.
    #[test]
    fn order_of_arrival_does_not_matter((objects, shuffled) in objects()
        .prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())))
    {
        let (one, other) = (compiled(objects), compiled(shuffled));
        prop_assert_eq!(dump(&one), dump(&other));
        prop_assert_eq!(one.findings(), other.findings());
        prop_assert_eq!(one.statuses(), other.statuses());
    }

    /// The path index finds the same route as trying every path in the order of precedence.
    #[test]
    fn path_index_is_the_naive_matcher(
        declared in prop::collection::vec(path(), 0..12),
        requested in prop::collection::vec(request_path(), 1..20),
    ) {
        finds_as_the_naive_matcher(&declared, &requested);
    }

    /// No text in an object makes compilation or rendering panic.
    #[test]
    fn no_text_panics(
        values in prop::collection::vec((annotation(), any_text()), 0..6),
        texts in prop::array::uniform8(any_text()),
        numbers in prop::array::uniform2(any::<i32>()),
        settings in prop::collection::vec((setting(), any_text()), 0..4),
    ) {
        affects_only_its_own_routes(values, &texts, numbers, settings);
    }
}

/// The path index finds what trying every path in the order of precedence finds.
fn finds_as_the_naive_matcher(declared: &[(String, &'static str)], requested: &[String]) {
    let table = compiled(vec![numbered(declared)]);
    let HostBehaviour::Routes { paths, .. } = &hosts(table.table()).find("a.example").behaviour
    else {
        panic!("the host only redirects");
    };
    for path in requested {
        let found = match paths.find(path.as_bytes(), &Method::GET) {
            PathMatch::Route(route) => (route.origin.port.to_string(), false),
            PathMatch::AddSlash(route) => (route.origin.port.to_string(), true),
            PathMatch::Undecided => panic!("literal paths are always decided"),
        };
        assert_eq!(found, naive(declared, path), "{path} in {declared:?}");
    }
}

/// A path a line: `=` before an exact one, `^` before a prefix, nothing before one that is requested.
#[test]
fn fuzz_path_index() {
    headgate_fuzz::check("path-index", |bytes| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        // Others are refused or have an encoding, of which the naive matcher knows nothing.
        let is_plain = |path: &str| {
            path.starts_with('/')
                && !path.contains("//")
                && path.bytes().all(|b| b.is_ascii_lowercase() || b == b'/')
        };
        let (mut declared, mut requested) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let (kind, path) = match line.split_at_checked(1) {
                Some(("=", path)) => (Some("Exact"), path),
                Some(("^", path)) => (Some("Prefix"), path),
                _ => (None, line),
            };
            match kind {
                _ if !is_plain(path) => {}
                Some(kind) => declared.push((path.to_owned(), kind)),
                None => requested.push(path.to_owned()),
            }
        }
        finds_as_the_naive_matcher(&declared, &requested);
    });
}

/// Objects of any text compile, are shown, are looked up in, and change nothing of the route of another object.
fn affects_only_its_own_routes(
    values: Vec<(String, String)>,
    texts: &[String; 8],
    numbers: [i32; 2],
    settings: Vec<(String, String)>,
) {
    let neighbour = || {
        ingress(IngressSpec {
            paths: vec![Path::new("/", "Prefix", "api")],
            ..IngressSpec::at(9, NEIGHBOUR)
        })
    };
    // An object may join a host that it names.
    let names_it = values.iter().any(|(_, text)| text.contains(NEIGHBOUR));
    let names_it = names_it || texts.iter().any(|text| text.contains(NEIGHBOUR));
    let route = |compiled: &Compiled| format!("{:?}", hosts(compiled.table()).find(NEIGHBOUR));
    // Settings are those of all routes.
    let alone = hostile(Vec::new(), &Default::default(), [0, 0], settings.clone());
    let alone = alone
        .into_iter()
        .filter(|object| object.kind() == Kind::ConfigMap);
    let alone = route(&compiled(alone.chain([neighbour()]).collect()));
    let objects = hostile(values, texts, numbers, settings);
    let compiled = compiled(objects.into_iter().chain([neighbour()]).collect());
    assert!(
        names_it || route(&compiled) == alone,
        "{}",
        route(&compiled)
    );
    let _ = text(compiled.table());
    let _ = json(compiled.table()).to_string();
    for finding in compiled.findings() {
        let _ = finding.to_string();
    }
    for name in texts {
        for listener in compiled.table().listeners() {
            let terminate = listener.terminate(Some(name));
            let _ = terminate.map(|terminate| terminate.certificate(Some(name)));
        }
        if let HostBehaviour::Routes { paths, .. } = &hosts(compiled.table()).find(name).behaviour {
            let _ = paths.find(name.as_bytes(), &Method::GET);
        }
    }
}

/// Lines of a name and, after a blank, a value: `annotation-NAME`, `setting-NAME`, the texts of [`hostile`], and the kinds of the
/// Gateway API, each with its spec as JSON.
#[test]
fn fuzz_objects() {
    const TEXTS: [&str; 8] = [
        "host", "path", "type", "service", "port", "secret", "address", "external",
    ];
    headgate_fuzz::check("objects", |bytes| {
        let input = String::from_utf8_lossy(bytes);
        let (mut values, mut settings, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
        let (mut texts, mut numbers) = (<[String; 8]>::default(), [80, 8080]);
        for line in input.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = value.replace("\\n", "\n");
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
            if let Some(kind) = kind {
                manifests.push((kind, value));
            } else if let Some(name) = name.strip_prefix("annotation-") {
                values.push((format!("nginx.ingress.kubernetes.io/{name}"), value));
            } else if let Some(name) = name.strip_prefix("setting-") {
                settings.push((name.to_owned(), value));
            } else if let Some(at) = TEXTS.iter().position(|text| *text == name) {
                texts[at] = value;
            } else if let (Some(at), Ok(number)) = (name.strip_prefix("number-"), value.parse()) {
                numbers[usize::from(at == "1")] = number;
            }
        }
        gateways::compile_with_others(&manifests);
        affects_only_its_own_routes(values, &texts, numbers, settings);
    });
}

#[test]
fn unchanged_hosts_are_shared() {
    let options = options();
    let mut world = World::new(&options);
    world.apply(ingress(IngressSpec::at(0, "a.example")));
    world.apply(ingress(IngressSpec::at(1, "b.example")));
    world.step(&options);
    let before = world.table();
    world.apply(ingress(IngressSpec {
        annotations: vec![("enable-cors", "true")],
        ..IngressSpec::at(1, "b.example")
    }));
    world.step(&options);
    let after = world.table();
    assert!(Arc::ptr_eq(
        hosts(&before).find("a.example"),
        hosts(&after).find("a.example")
    ));
    assert!(!Arc::ptr_eq(
        hosts(&before).find("b.example"),
        hosts(&after).find("b.example")
    ));
    assert!(Arc::ptr_eq(
        hosts(&before).catch_all(),
        hosts(&after).catch_all()
    ));
}

#[test]
fn endpoint_changes_share_all_hosts_and_other_upstreams() {
    let options = options();
    let mut world = World::new(&options);
    world.apply(ingress(IngressSpec::at(0, "a.example")));
    world.apply(ingress(IngressSpec {
        paths: vec![Path::new("/", "Prefix", "api")],
        ..IngressSpec::at(1, "b.example")
    }));
    world.step(&options);
    let before = world.table();
    world.apply(slice("web", 1, &["10.0.0.77"]));
    world.step(&options);
    let after = world.table();
    for host in ["a.example", "b.example", "unknown.example"] {
        assert!(
            Arc::ptr_eq(hosts(&before).find(host), hosts(&after).find(host)),
            "{host}"
        );
    }
    // Who works through all hosts of a universe knows by it that none has changed.
    let shared = before.universes().into_iter().zip(after.universes());
    shared.for_each(|(before, after)| assert!(Arc::ptr_eq(before, after)));
    let upstream =
        |table: &RoutingTable, id: &str| table.upstream(&UpstreamKey::new(id)).unwrap().clone();
    assert!(Arc::ptr_eq(
        &upstream(&before, "s/api/80"),
        &upstream(&after, "s/api/80")
    ));
    assert_ne!(
        upstream(&before, "s/web/80").endpoints,
        upstream(&after, "s/web/80").endpoints
    );
}

#[test]
fn a_canary_follows_affinity_that_a_third_host_declares() {
    let options = options();
    let mut world = World::new(&options);
    let canary = ingress(IngressSpec {
        annotations: vec![("canary", "true"), ("canary-weight", "20")],
        paths: vec![Path::new("/", "Prefix", "api")],
        ..IngressSpec::at(1, "a.example")
    });
    world.apply(ingress(IngressSpec::at(0, "a.example")));
    world.apply(canary);
    world.step(&options);
    let affinity = |world: &World| {
        world
            .table()
            .upstream(&UpstreamKey::new("s/api/80"))
            .unwrap()
            .affinity
            .clone()
    };
    assert_eq!(affinity(&world), None);
    world.apply(ingress(IngressSpec {
        annotations: vec![("affinity", "cookie")],
        ..IngressSpec::at(2, "b.example")
    }));
    world.step(&options);
    assert!(affinity(&world).is_some());
    world.delete(Kind::Ingress, "s", "ingress-2");
    world.step(&options);
    assert_eq!(affinity(&world), None);
}

#[test]
fn run_time_state_survives_compilation() {
    let options = options();
    let mut world = World::new(&options);
    let limited = |rps| {
        ingress(IngressSpec {
            annotations: vec![("limit-rps", rps)],
            ..IngressSpec::at(0, "a.example")
        })
    };
    world.apply(limited("5"));
    world.step(&options);
    let before = world.table();
    let slots = |table: &RoutingTable| {
        let HostBehaviour::Routes { paths, .. } = &hosts(table).find("a.example").behaviour else {
            panic!("the host only redirects");
        };
        let root = paths.root();
        let limits = root.policy.limits.as_ref().unwrap();
        let upstream = table.upstream(&UpstreamKey::new("s/web/80")).unwrap();
        [
            root.slot.clone(),
            limits.slot.clone(),
            upstream.slot.clone(),
        ]
    };
    for (number, slot) in slots(&before).iter().enumerate() {
        slot.get_or_init(|| Arc::new(number));
    }
    world.apply(limited("9"));
    world.apply(slice("web", 1, &["10.0.0.77"]));
    world.step(&options);
    for (number, slot) in slots(&world.table()).iter().enumerate() {
        assert_eq!(slot.get::<usize>(), Some(&number));
    }
    // Another Ingress has new state, even with the same path.
    world.delete(Kind::Ingress, "s", "ingress-0");
    world.apply(ingress(IngressSpec {
        annotations: vec![("limit-rps", "9")],
        ..IngressSpec::at(1, "a.example")
    }));
    world.step(&options);
    let [route, limits, _] = slots(&world.table());
    assert_eq!(route.get::<usize>(), None);
    assert_eq!(limits.get::<usize>(), None);
}

#[test]
fn the_last_good_version_of_a_refused_update_stays() {
    let options = options();
    let good = || ingress(IngressSpec::at(0, "a.example"));
    let bad = || {
        ingress(IngressSpec {
            annotations: vec![("limit-rps", "many")],
            paths: vec![Path::new("/other", "Prefix", "api")],
            ..IngressSpec::at(0, "b.example")
        })
    };
    let name = Name::new("s", "ingress-0");
    let mut world = World::new(&options);
    world.apply(good());
    world.step(&options);
    let served = text(world.state().table());
    assert_eq!(
        world.state().statuses().get(&name),
        Some(&IngressStatus::Served)
    );

    world.apply(bad());
    world.step(&options);
    assert_eq!(
        world.state().statuses().get(&name),
        Some(&IngressStatus::LastGood)
    );
    assert_eq!(text(world.state().table()), served);
    assert_eq!(
        world.state().findings().len(),
        1,
        "{:?}",
        world.state().findings()
    );

    // Changes of other objects still apply to the last good version.
    world.apply(slice("web", 1, &["10.0.0.77"]));
    world.step(&options);
    assert!(text(world.state().table()).contains("10.0.0.77:8080"));

    // So do settings: an allow list for all routes also protects it.
    world.apply(settings(&[("whitelist-source-range", "192.0.2.0/24")]));
    world.step(&options);
    assert!(text(world.state().table()).contains("ssl-redirect; allow 192.0.2.0/24"));
    world.apply(settings(&[]));

    world.apply(good());
    world.step(&options);
    assert_eq!(
        world.state().statuses().get(&name),
        Some(&IngressStatus::Served)
    );
    assert!(world.state().findings().is_empty());

    world.delete(Kind::Ingress, "s", "ingress-0");
    world.apply(bad());
    world.step(&options);
    assert_eq!(
        world.state().statuses().get(&name),
        Some(&IngressStatus::LastGood),
        "deleted and created again between two compilations is an update"
    );
    world.delete(Kind::Ingress, "s", "ingress-0");
    world.step(&options);
    world.apply(bad());
    world.step(&options);
    assert_eq!(
        world.state().statuses().get(&name),
        Some(&IngressStatus::Refused)
    );
    assert!(!text(world.state().table()).contains("a.example"));
}

#[test]
fn the_last_valid_certificate_stays_while_its_secret_is_gone() {
    let options = options();
    let mut world = World::new(&options);
    world.apply(ingress(IngressSpec {
        tls: Some("cert-a"),
        ..IngressSpec::at(0, "a.example")
    }));
    world.step(&options);
    let served = text(world.state().table());
    assert!(served.contains("tls s/cert-a"), "{served}");
    world.delete(Kind::Secret, "s", "cert-a");
    world.step(&options);
    assert_eq!(text(world.state().table()), served);
    assert_eq!(world.state().findings().len(), 1);
}

// === the world under test ===

/// A snapshot, its expected content, and its last compilation.
struct World {
    objects: BTreeMap<ObjectRef, Object>,
    /// Changes of the environment.
    environment: Vec<Change>,
    snapshot: Snapshot,
    compiled: Option<Compiled>,
}

impl World {
    fn new(options: &Options) -> Self {
        Self::with(stage(), options)
    }

    /// With these initial objects.
    fn with(stage: Vec<Object>, options: &Options) -> Self {
        let mut world = Self {
            objects: BTreeMap::new(),
            environment: Vec::new(),
            snapshot: Snapshot::default(),
            compiled: None,
        };
        stage.into_iter().for_each(|object| world.apply(object));
        world.step(options);
        world
    }

    fn apply(&mut self, object: Object) {
        self.change(Change::Apply(object));
    }

    fn change(&mut self, change: Change) {
        match &change {
            Change::Apply(object) => drop(self.objects.insert(object.reference(), object.clone())),
            Change::Delete(object) => drop(self.objects.remove(object)),
            Change::ClassesReadable(_) | Change::Zone(_) => self.environment.push(change.clone()),
        }
        change.write(&mut self.snapshot);
    }

    /// Compiles the objects from a new snapshot.
    fn compiled_in_full(&self, options: &Options) -> Compiled {
        let mut snapshot = Snapshot::default();
        for object in self.objects.values() {
            snapshot.apply(object.clone());
        }
        for change in &self.environment {
            change.clone().write(&mut snapshot);
        }
        let changes = snapshot.take_changes();
        compile(&snapshot, &changes, None, options, fallback())
    }

    fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.change(Change::Delete(ObjectRef {
            kind,
            name: Name::new(namespace, name),
        }));
    }

    fn step(&mut self, options: &Options) {
        let changes = self.snapshot.take_changes();
        let previous = self.compiled.take();
        self.compiled = Some(compile(
            &self.snapshot,
            &changes,
            previous,
            options,
            fallback(),
        ));
    }

    fn state(&self) -> &Compiled {
        self.compiled.as_ref().unwrap()
    }

    fn table(&self) -> Arc<RoutingTable> {
        self.state().table().clone()
    }
}

/// Compiles the stage and these objects at once.
fn compiled(objects: Vec<Object>) -> Compiled {
    compiled_with(objects.into_iter().chain(stage()).collect(), &options())
}

/// Compiles these objects at once.
fn compiled_with(objects: Vec<Object>, options: &Options) -> Compiled {
    let mut snapshot = Snapshot::default();
    for object in objects {
        snapshot.apply(object);
    }
    let changes = snapshot.take_changes();
    compile(&snapshot, &changes, None, options, fallback())
}

/// The universe of Ingresses.
fn hosts(table: &RoutingTable) -> &VirtualHosts {
    let mut universes = table.universes().into_iter();
    universes.find(|hosts| !hosts.is_layered()).unwrap()
}

/// The whole table, except its generation.
fn dump(compiled: &Compiled) -> String {
    let table = compiled.table();
    let mut lines = vec![text(table)];
    for hosts in table.universes() {
        lines.extend(hosts.names().map(|(name, host)| format!("{name} {host:?}")));
    }
    let upstreams = table.upstreams();
    lines.extend(upstreams.map(|upstream| format!("upstream {upstream:?}")));
    lines.sort();
    lines.push(format!("{:?}", table.settings));
    for listener in table.listeners() {
        let terminate = listener.terminate(None);
        let certificates = terminate.map(|terminate| &terminate.certificates);
        let (address, ports) = (listener.address, listener.ports);
        lines.push(format!("{address} {ports:?} {certificates:?}"));
    }
    lines.join("\n")
}

// === paths ===

fn segments() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("b"), Just("ab")];
    prop::collection::vec(segment, 0..4).prop_map(|segments| {
        segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect()
    })
}

fn path() -> impl Strategy<Value = (String, &'static str)> {
    let kind = prop_oneof![
        Just("Exact"),
        Just("Prefix"),
        Just("ImplementationSpecific")
    ];
    (request_path(), kind)
}

fn request_path() -> impl Strategy<Value = String> {
    (segments(), any::<bool>()).prop_map(|(path, slash)| {
        if slash || path.is_empty() {
            format!("{path}/")
        } else {
            path
        }
    })
}

/// An Ingress with these paths, each with its index in the list, from 1, as the port.
fn numbered(paths: &[(String, &str)]) -> Object {
    let paths = paths.iter().enumerate().map(|(at, (path, kind))| Path {
        port: i32::try_from(at).unwrap() + 1,
        ..Path::new(path, kind, "web")
    });
    ingress(IngressSpec {
        paths: paths.collect(),
        ..IngressSpec::at(0, "a.example")
    })
}

/// Port of the path that matches a request (empty: the default location), and whether a redirect adds a slash.
fn naive(declared: &[(String, &str)], requested: &str) -> (String, bool) {
    let kind = |kind: &str| match kind {
        "Exact" => PathKind::Exact,
        _ => PathKind::Prefix,
    };
    let mut best: Option<(usize, usize, bool)> = None;
    for (at, (path, declared_kind)) in declared.iter().enumerate() {
        let slash = path.len() > 1 && path.ends_with('/');
        let key = path.strip_suffix('/').unwrap_or(path);
        let length = match kind(declared_kind) {
            PathKind::Exact if path == requested => usize::MAX,
            // Just below the prefix of the same text.
            PathKind::Exact if slash && requested == key => 2 * key.len(),
            PathKind::Prefix if requested == key || requested.starts_with(&format!("{key}/")) => {
                2 * key.len() + 1
            }
            _ => continue,
        };
        let adds = length != usize::MAX && slash && requested == key;
        if best.is_none_or(|(longest, ..)| length > longest) {
            best = Some((length, at + 1, adds));
        }
    }
    best.map_or((String::new(), false), |(_, port, adds)| {
        (port.to_string(), adds)
    })
}

// === hostile text ===

/// The host of another Ingress than the hostile one.
const NEIGHBOUR: &str = "neighbour.example";

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9/.*$(){}~,:|\\[\\]\\\\? -]{0,40}",
        prop::sample::select(vec![
            "true",
            "-1",
            "99999999999999999999",
            "$1",
            "${",
            "/(",
            "a.example",
            "*.a.example",
            "_",
            "",
            "/",
            "~",
            "~(",
            "10.0.0.0/99",
            "\u{0}",
            "\r\n",
            "1e9",
            "cookie",
            "off",
        ])
        .prop_map(str::to_owned),
    ]
}

fn annotation() -> impl Strategy<Value = String> {
    let known: Vec<&str> = annotations::all()
        .map(|annotation| annotation.entry.name)
        .collect();
    prop_oneof![
        9 => prop::sample::select(known).prop_map(|name| format!("nginx.ingress.kubernetes.io/{name}")),
        1 => any_text(),
    ]
}

fn setting() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "whitelist-source-range",
            "proxy-set-headers",
            "limit-conn-zone-variable",
            "proxy-body-size",
            "large-client-header-buffers",
            "hsts-max-age",
            "load-balance",
            "no-tls-redirect-locations",
            "forwarded-for-header",
            "keep-alive",
            "ssl-ciphers",
        ])
        .prop_map(str::to_owned),
        any_text(),
    ]
}

fn hostile(
    values: Vec<(String, String)>,
    texts: &[String; 8],
    numbers: [i32; 2],
    settings: Vec<(String, String)>,
) -> Vec<Object> {
    let [host, path, kind, service, port, secret, address, external] = texts;
    let ingress = serde_json::json!({
        "metadata": { "namespace": "s", "name": "hostile", "annotations": values.into_iter().collect::<BTreeMap<_, _>>() },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{ "hosts": [host], "secretName": secret }],
            "rules": [{ "host": host, "http": { "paths": [
                { "path": path, "pathType": kind, "backend": { "service": { "name": "web", "port": { "number": 80 } } } },
                { "path": path, "pathType": "Prefix", "backend": { "service": { "name": service, "port": { "name": port } } } },
                { "path": "/x", "pathType": "Exact", "backend": { "service": { "name": "hostile", "port": { "number": numbers[0] } } } },
            ] } }],
        },
    });
    let service = serde_json::json!({
        "metadata": { "namespace": "s", "name": "hostile" },
        "spec": { "type": "ExternalName", "externalName": external, "clusterIP": address, "ports": [{ "name": port, "port": numbers[0], "targetPort": numbers[1] }] },
    });
    let slice = serde_json::json!({
        "metadata": { "namespace": "s", "name": "hostile", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": numbers[1] }],
        "endpoints": [{ "addresses": [address] }],
    });
    let map = serde_json::json!({
        "metadata": { "namespace": "s", "name": "settings" },
        "data": settings.into_iter().collect::<BTreeMap<_, _>>(),
    });
    vec![
        serde_json::from_value::<Ingress>(ingress).unwrap().into(),
        serde_json::from_value::<Service>(service).unwrap().into(),
        serde_json::from_value::<EndpointSlice>(slice)
            .unwrap()
            .into(),
        serde_json::from_value::<ConfigMap>(map).unwrap().into(),
    ]
}
