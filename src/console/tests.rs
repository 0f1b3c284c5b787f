#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
//! The examples of the demo, compiled and served without a network.

use std::net::SocketAddr;
use std::thread;

use headgate_compile::{Changes, Compiled, HttpListeners, Options, Snapshot, compile};
use headgate_console::model::{ExplainedOutcome, RouteSort};
use headgate_manifest::SourceOptions;
use headgate_table::publisher;
use prometheus::Registry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::*;
use crate::admin::{Explainer, Phase, Served};
use crate::args::Flags;
use crate::config::{Config, Preset, System};
use crate::default_certificate;
use crate::examples::EXAMPLES;
use crate::reconciler::View;

/// The console of a process that serves the examples. Its reconciler answers queries on a thread of its own.
async fn console() -> Arc<Console> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in EXAMPLES {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let broken = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: broken\n  namespace: shop\n  annotations:\n    nginx.ingress.kubernetes.io/proxy-body-size: <script>\nspec:\n  ingressClassName: nginx\n  rules:\n    - host: broken.test\n      http:\n        paths:\n          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}\n";
    std::fs::write(directory.path().join("broken.yaml"), broken).unwrap();
    let paths = vec![directory.path().to_owned()];
    let mut source = headgate_manifest::Source::open(paths, SourceOptions::default()).unwrap();
    source.changes().await;
    let config = Config::new(&Flags::default(), Preset::Serve, &System::read()).unwrap();
    let address = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
    let options = Options {
        listeners: HttpListeners {
            http: address(8080),
            https: address(8443),
        },
        ..config.serving.options
    };
    let fallback = default_certificate::generate().unwrap();
    let snapshot = source.snapshot().clone();
    let compiled = compile(&snapshot, &Changes::default(), None, &options, &fallback);
    let telemetry = Telemetry::new(&config.serving.proxy);
    let (publisher, reader) = publisher(compiled.table().clone());
    let (queries, asked) = mpsc::channel(1);
    let state = State::new(
        vec![("http", SocketAddr::from(([127, 0, 0, 1], 8080)))],
        Registry::new(),
        Explainer::new(queries, true),
    );
    state.change_findings(&compiled.findings(), &[]);
    thread::spawn(move || {
        let _publisher = publisher;
        answer(asked, &snapshot, &compiled, &options);
    });
    let facts = Facts {
        instance: Instance::default(),
        memory_limit: None,
    };
    let console = Console::new(state, facts, None);
    assert_eq!(console.overview().phase, "starting");
    assert_eq!(console.hosts(&Search::default()).total, 0);
    *console.overview.lock() = None;
    console.state.set_served(Served {
        reader,
        telemetry: telemetry.clone(),
    });
    console.state.enter(Phase::Serving);
    console.follow(telemetry).unwrap();
    console
}

fn answer(
    mut asked: mpsc::Receiver<crate::reconciler::Query>,
    snapshot: &Snapshot,
    compiled: &Compiled,
    options: &Options,
) {
    while let Some(query) = asked.blocking_recv() {
        query(&View {
            snapshot,
            compiled,
            options,
            unreadable: &[],
        });
    }
}

fn words(q: &str) -> Search {
    Search {
        q: q.to_owned(),
        ..Search::default()
    }
}

/// Programs read what pages show.
fn is_json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    assert!(!text.contains("BEGIN"), "a key: {text}");
}

#[tokio::test]
async fn the_overview_is_about_the_table_and_the_process() {
    let console = console().await;
    let overview = console.overview();
    is_json(&overview);
    assert_eq!(overview.phase, "serving");
    assert_eq!(overview.addresses[0].address, "127.0.0.1:8080");
    assert!(overview.table.hosts >= 8 && overview.table.routes > overview.table.hosts);
    assert_eq!(overview.certificates[0].algorithm, "ECDSA");
    assert!(overview.process.resident_bytes > 0);
    assert!(overview.findings.errors + overview.findings.warnings > 0);
    assert_eq!(overview.cluster, None);
}

#[tokio::test]
async fn routes_are_found_and_have_everything_about_them() {
    let console = console().await;
    let filter = RouteFilter {
        search: words("API.ecommerce /products"),
        sort: RouteSort::Requests,
        ..RouteFilter::default()
    };
    let found = console.routes(&filter);
    is_json(&found);
    assert_eq!(found.total, 1);
    let row = &found.items[0];
    assert_eq!(
        (&*row.host, &*row.path_type),
        ("api.ecommerce.com", "Prefix")
    );
    assert_eq!((&*row.kind, row.alternatives), ("Ingress", 1));
    let page = console.route(&row.id).await.unwrap();
    is_json(&page);
    assert_eq!(&page.route.id, &row.id);
    let shares: Vec<_> = page
        .backends
        .iter()
        .map(|one| (&*one.role, one.share))
        .collect();
    assert_eq!(shares, [("primary", Some(0.9)), ("canary", Some(0.1))]);
    assert_eq!(page.backends[0].problem, "no ready endpoints");
    let explained = page.explained.unwrap();
    assert_eq!(explained.route.unwrap().path, "/products");
    assert!(console.route("0").await.is_none());
    assert!(console.route("no id").await.is_none());
    let none = RouteFilter {
        namespace: Some("other".to_owned()),
        ..RouteFilter::default()
    };
    assert_eq!(console.routes(&none).total, 0);
}

#[tokio::test]
async fn hosts_are_found_by_name_and_have_their_routes() {
    let console = console().await;
    let found = console.hosts(&words("api"));
    is_json(&found);
    assert_eq!(found.total, 1);
    let host = &found.items[0];
    assert_eq!(
        (&*host.tls, host.certificate.as_deref()),
        ("own", Some("shop/ecommerce-tls"))
    );
    let page = console.host("api.ecommerce.com").unwrap();
    is_json(&page);
    assert_eq!(page.routes.total, host.routes);
    assert!(
        page.routes
            .items
            .iter()
            .all(|route| route.host == "api.ecommerce.com")
    );
    assert!(console.host("unknown.test").is_none());
    let part = console.hosts(&Search {
        offset: 1,
        limit: 2,
        ..Search::default()
    });
    assert_eq!((part.items.len(), part.offset, part.limit), (2, 1, 2));
}

#[tokio::test]
async fn canaries_have_both_sides_and_the_rules() {
    let console = console().await;
    let found = console.canaries(&words("shop products"));
    is_json(&found);
    let row = &found.items[0];
    assert_eq!(row.backends[0].configured_share, 0.9);
    assert_eq!(row.backends[1].configured_share, 0.1);
    assert_eq!(row.backends[1].rules, ["header x-canary is always"]);
    assert_eq!(row.backends[1].actual_share, None, "there were no requests");
}

#[tokio::test]
async fn certificates_name_their_hosts() {
    let console = console().await;
    let page = console.certificates(&words("ecommerce-tls"));
    is_json(&page);
    let row = &page.certificates.items[0];
    assert_eq!(row.names, ["ecommerce.com", "*.ecommerce.com"]);
    assert!(row.hosts.contains(&"www.ecommerce.com".to_owned()));
    assert!(row.uncovered_hosts.is_empty() && row.expires_in_seconds > 0);
    let all = console.certificates(&Search::default());
    assert!(all.certificates.items.iter().any(|row| row.is_default));
}

#[tokio::test]
async fn findings_are_filtered_and_name_their_annotation() {
    let console = console().await;
    let page = console.findings(&FindingsFilter {
        search: words("broken proxy-body-size"),
        ..FindingsFilter::default()
    });
    is_json(&page);
    let row = &page.findings.items[0];
    assert_eq!(row.annotation.as_deref(), Some("proxy-body-size"));
    assert!(row.message.contains("<script>"), "{}", row.message);
    let infos = console.findings(&FindingsFilter {
        severity: Some("info".to_owned()),
        ..FindingsFilter::default()
    });
    assert_eq!(infos.findings.total, infos.counts.infos);
}

#[tokio::test]
async fn requests_are_explained_without_their_secrets() {
    let console = console().await;
    let form = ExplainForm {
        url: "https://api.ecommerce.com/users/7".to_owned(),
        header: vec!["Authorization: Bearer secret".to_owned()],
        ..ExplainForm::default()
    };
    let explained = console.explain(&form).await.unwrap();
    is_json(&explained);
    assert_eq!(explained.host.as_ref().unwrap().name, "api.ecommerce.com");
    assert!(
        !serde_json::to_string(&explained)
            .unwrap()
            .contains("secret")
    );
    let unknown = ExplainForm {
        url: "http://127.0.0.1:1/".to_owned(),
        ..ExplainForm::default()
    };
    let outcome = console.explain(&unknown).await.unwrap().outcome;
    assert!(
        matches!(outcome, ExplainedOutcome::NotReceived { .. }),
        "{outcome:?}"
    );
    let wrong = console.explain(&ExplainForm::default()).await;
    assert!(matches!(wrong, Err(Failed::Invalid(_))), "{wrong:?}");
}

#[tokio::test]
async fn the_report_is_about_the_objects_that_are_served() {
    let console = console().await;
    let page = console.check(&Search::default()).await.unwrap();
    is_json(&page);
    assert_eq!(page.ingresses.total, page.summary.ingresses);
    let some = Search {
        q: "canary-weight".to_owned(),
        limit: 1,
        ..Search::default()
    };
    let found = console.check(&some).await.unwrap().ingresses;
    assert!(found.total > 0 && found.total < page.ingresses.total);
    assert_eq!(found.items.len(), 1);
    assert!(page.summary.ingresses >= 8, "{}", page.headline);
    assert!(page.names.contains_key("annotations"));
    // A second one while the first is being made.
    let permit = console.checks.clone().try_acquire_owned().unwrap();
    let refused = console.check(&some).await;
    assert!(
        matches!(refused, Err(Failed::Unavailable(_))),
        "{refused:?}"
    );
    drop(permit);
}

#[tokio::test]
async fn taps_and_annotations() {
    let console = console().await;
    assert!(console.tap(&TapFilter::default()).is_ok());
    let wrong = console.tap(&TapFilter {
        status: "many".to_owned(),
        ..TapFilter::default()
    });
    assert!(matches!(wrong.err(), Some(Failed::Invalid(_))));
    let page = console.annotation("rewrite-target").unwrap();
    is_json(&page);
    assert!(!page.description.is_empty());
    assert_eq!(console.annotation("unknown"), None);
}

#[tokio::test]
async fn the_index_is_dropped_when_the_console_is_not_used() {
    let console = console().await;
    console.hosts(&Search::default());
    console.forget_unused();
    assert!(console.index.lock().is_some());
    if let Some(used) = &mut *console.index.lock() {
        used.at = Instant::now()
            .checked_sub(std::time::Duration::from_secs(120))
            .unwrap();
    }
    console.forget_unused();
    assert!(console.index.lock().is_none());
}
