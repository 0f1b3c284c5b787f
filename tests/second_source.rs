//! A second source of routes, of a few lines: each `host path service weight` in a text. It compiles through the same
//! builder as Ingresses, and to the same table as equivalent Ingresses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::build::{
    AlternativeDraft, BackendDraft, Builder, Inputs, PathDraft, RouteDraft, RoutePolicy,
    ServicePort, SplitDraft, TargetDraft, Transport, Universe, UpstreamPolicy, http_listeners,
};
use headgate_compile::{Changes, Name, Options, Snapshot, certificate_from_pem, compile};
use headgate_table::{
    Certificate, Certificates, HttpsRedirect, PathKind, Policy, PrivateBytes, RoutingTable,
    Unavailable, text,
};
use serde_json::{Value, json};
use smallvec::smallvec;

/// Of two lines with one host and path, the first is the primary and the second takes its weight of 100.
const LINES: &str = "
shop.example /     web  0
shop.example /     next 20
shop.example /api/ api  0
*.shop.example /   web  0
other.example /a   api  0
other.example /    gone 0
";

#[test]
fn the_table_is_that_of_equivalent_ingresses() {
    let mut snapshot = snapshot();
    let options = Options::default();
    let certificate = certificate();
    let (table, conflicts) = build(LINES, &snapshot, &options, &certificate);
    assert_eq!(conflicts, 0);
    for ingress in ingresses() {
        snapshot.apply(
            serde_json::from_value::<k8s_openapi::api::networking::v1::Ingress>(ingress)
                .unwrap()
                .into(),
        );
    }
    snapshot.take_changes();
    let compiled = compile(&snapshot, &Changes::default(), None, &options, &certificate);
    let rendered = text(&table);
    assert!(rendered.contains("10.0.2.1:8080"), "{rendered}");
    assert!(rendered.contains("canary shop/next/80"), "{rendered}");
    assert_eq!(rendered, text(compiled.table()));
}

#[test]
fn of_two_routes_for_one_path_the_first_serves_and_the_other_is_a_conflict() {
    let lines = "shop.example /a web 0\nshop.example /a/ api 0\n";
    let (table, conflicts) = build(lines, &snapshot(), &Options::default(), &certificate());
    assert_eq!(conflicts, 1);
    assert!(!text(&table).contains("shop/api"), "{}", text(&table));
}

/// The table of `lines`, and the number of conflicts.
fn build(
    lines: &str,
    snapshot: &Snapshot,
    options: &Options,
    certificate: &Arc<Certificate>,
) -> (RoutingTable, usize) {
    let universe = Universe::new("lines");
    let mut builder = Builder::default();
    let conflicts = builder.set_routes(&routes(lines, &universe));
    let mut table = RoutingTable::new(Arc::default());
    let touched: Vec<_> = builder.take_touched().collect();
    for key in touched {
        let policy = UpstreamPolicy::plain(&builder.upstream(&key).unwrap().port);
        builder.build_upstream(
            key,
            policy,
            Inputs {
                snapshot,
                options: options.endpoints,
            },
            &mut table,
        );
    }
    let certificates = Certificates::OfHosts {
        default: certificate.clone(),
        reject_unknown: false,
    };
    let hosts = builder.hosts(&universe).unwrap();
    let passthrough = builder.passthrough(&universe);
    table.set_listeners(http_listeners(
        &options.listeners,
        hosts,
        certificates,
        passthrough,
    ));
    (table, conflicts.len())
}

fn routes(lines: &str, universe: &Universe) -> Vec<RouteDraft<usize>> {
    let mut routes: Vec<RouteDraft<usize>> = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let [host, path, service, weight] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        let port = ServicePort::new(Name::new("shop", service), "80".into());
        let backend = BackendDraft::service(port, Transport::default());
        let weight: u32 = weight.parse().unwrap();
        let same = routes
            .iter_mut()
            .find(|route| *route.hosts[0] == *host && *route.matches[0].path == *path);
        match same {
            Some(RouteDraft {
                target: TargetDraft::Split(split),
                ..
            }) if weight > 0 => {
                split.total = 100;
                split.alternatives.push(AlternativeDraft {
                    backend,
                    weight,
                    unavailable: Unavailable::UsePrimary,
                });
            }
            _ => routes.push(RouteDraft {
                universes: smallvec![universe.clone()],
                hosts: smallvec![host.into()],
                matches: smallvec![PathDraft::literal(path.into(), PathKind::Prefix)],
                precedence: number,
                policy: RoutePolicy {
                    policy: Arc::new(Policy::default()),
                    https: HttpsRedirect::WhenHostHasTls,
                    rewrite: None,
                    error_pages: None,
                    sets_affinity_cookie: false,
                },
                target: TargetDraft::Split(SplitDraft::new(backend)),
                owner: None,
                field: format!("line {number}").into(),
                rule: None,
                names: None,
            }),
        }
    }
    routes
}

fn ingresses() -> [Value; 3] {
    let path = |path: &str, service: &str| json!({ "path": path, "pathType": "Prefix", "backend": { "service": { "name": service, "port": { "number": 80 } } } });
    let ingress = |name: &str, annotations: Value, rules: Value| {
        json!({
            "metadata": { "name": name, "namespace": "shop", "annotations": annotations },
            "spec": { "ingressClassName": "nginx", "rules": rules },
        })
    };
    let rule = |host: &str, paths: Value| json!({ "host": host, "http": { "paths": paths } });
    [
        ingress(
            "shop",
            json!({}),
            json!([
                rule(
                    "shop.example",
                    json!([path("/", "web"), path("/api/", "api")])
                ),
                rule("*.shop.example", json!([path("/", "web")])),
            ]),
        ),
        ingress(
            "canary",
            json!({
                "nginx.ingress.kubernetes.io/canary": "true",
                "nginx.ingress.kubernetes.io/canary-weight": "20",
            }),
            json!([rule("shop.example", json!([path("/", "next")]))]),
        ),
        ingress(
            "other",
            json!({}),
            json!([rule(
                "other.example",
                json!([path("/a", "api"), path("/", "gone")])
            )]),
        ),
    ]
}

/// The class, and Services with an endpoint each.
fn snapshot() -> Snapshot {
    use k8s_openapi::api::core::v1::Service;
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    use k8s_openapi::api::networking::v1::IngressClass;
    let mut snapshot = Snapshot::default();
    let class = json!({ "metadata": { "name": "nginx" }, "spec": { "controller": "k8s.io/ingress-nginx" } });
    snapshot.apply(
        serde_json::from_value::<IngressClass>(class)
            .unwrap()
            .into(),
    );
    for (number, name) in ["web", "api", "next"].into_iter().enumerate() {
        let service = json!({
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "ports": [{ "port": 80, "targetPort": 8080 }] },
        });
        snapshot.apply(serde_json::from_value::<Service>(service).unwrap().into());
        let labels = BTreeMap::from([("kubernetes.io/service-name", name)]);
        let slice = json!({
            "metadata": { "name": name, "namespace": "shop", "labels": labels },
            "addressType": "IPv4",
            "ports": [{ "port": 8080 }],
            "endpoints": [{ "addresses": [format!("10.0.{}.1", number + 1)] }],
        });
        snapshot.apply(
            serde_json::from_value::<EndpointSlice>(slice)
                .unwrap()
                .into(),
        );
    }
    snapshot.take_changes();
    snapshot
}

fn certificate() -> Arc<Certificate> {
    let made = rcgen::generate_simple_self_signed(["default.example".to_owned()]).unwrap();
    let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
    let chain = made.cert.pem();
    Arc::new(certificate_from_pem(chain.as_bytes(), &key, "default").unwrap())
}
