//! When names are resolved, and which of their addresses count.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;
use std::sync::atomic::AtomicUsize;

/// Resolves to the addresses of each lookup in turn, then fails.
fn scripted(lookup_results: Vec<Vec<&'static str>>, lookups: Arc<AtomicUsize>) -> Arc<Lookup> {
    Arc::new(move |_| {
        let turn = lookups.fetch_add(1, Ordering::SeqCst);
        let addresses = lookup_results
            .get(turn)
            .map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect());
        Box::pin(async move {
            let addresses = addresses.ok_or_else(|| io::Error::other("no addresses"))?;
            Ok(Resolution {
                addresses,
                ttl: Duration::from_secs(5),
            })
        })
    })
}

fn name() -> Arc<Name> {
    let known = watch::Sender::new(None);
    Arc::new(Name {
        host: "db.example".into(),
        known,
        used: AtomicBool::new(true),
    })
}

#[tokio::test]
async fn only_the_first_request_waits_for_the_resolution() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let resolver = Arc::new(Resolver::new(Arc::new({
        let lookups = lookups.clone();
        move || {
            scripted(
                vec![vec!["10.0.0.2", "10.0.0.1", "10.0.0.2"]],
                lookups.clone(),
            )
        }
    })));
    assert_eq!(resolver.known("db.example"), None);
    let addresses = resolver
        .addresses(&"db.example".into(), Duration::from_secs(5))
        .await;
    assert_eq!(
        *addresses,
        [
            "10.0.0.1".parse::<IpAddr>().unwrap(),
            "10.0.0.2".parse().unwrap()
        ]
    );
    assert!(ResolvedNames(resolver.clone()).unresolved().is_empty());
    assert_eq!(resolver.known("db.example"), Some(addresses));
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn addresses_of_this_machine_are_dropped() {
    let resolver = Arc::new(Resolver::new(Arc::new(|| {
        scripted(
            vec![vec!["127.0.0.1", "169.254.169.254", "::1"]],
            Arc::default(),
        )
    })));
    assert!(
        resolver
            .addresses(&"evil.example".into(), Duration::from_secs(5))
            .await
            .is_empty()
    );
    let unresolved = ResolvedNames(resolver).unresolved();
    assert_eq!(unresolved, BTreeSet::from(["evil.example".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_comes_to_point_at_this_machine_has_no_address() {
    let name = name();
    let mut known = name.known.subscribe();
    let mixed = vec![
        "127.0.0.1",
        "::ffff:169.254.169.254",
        "10.0.0.1",
        "64:ff9b::169.254.169.254",
        "0.0.0.0",
    ];
    tokio::spawn(follow(
        scripted(vec![mixed, vec!["127.0.0.1"]], Arc::default()),
        name.clone(),
        Default::default(),
    ));
    let mut next = async || {
        known.changed().await.unwrap();
        known.borrow_and_update().clone().unwrap()
    };
    assert_eq!(*next().await, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(next().await.is_empty());
}

const BOTH: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

#[tokio::test(start_paused = true)]
async fn ipv6_addresses_can_be_left_out() {
    let name = name();
    let mut known = name.known.subscribe();
    let ipv4_only = Arc::new(AtomicBool::new(false));
    tokio::spawn(follow(
        scripted(vec![BOTH.to_vec(); 3], Arc::default()),
        name.clone(),
        (Names::default(), ipv4_only.clone()),
    ));
    for (only, expected) in [(true, 2), (false, 1), (true, 2)] {
        known.changed().await.unwrap();
        let addresses = known.borrow_and_update().clone().unwrap();
        assert_eq!(addresses.len(), expected);
        assert!(addresses.iter().filter(|ip| ip.is_ipv4()).count() == 1);
        ipv4_only.store(only, Ordering::Relaxed);
    }
}

#[test]
fn known_ipv6_addresses_are_dropped_at_once() {
    let resolver = Resolver::new(Arc::new(|| scripted(Vec::new(), Arc::default())));
    let name = name();
    let addresses = BOTH.map(|text| text.parse().unwrap()).to_vec();
    publish(&name, addresses);
    resolver.names.write().insert(name.host.clone(), name);
    resolver.set_ipv4_only(false);
    assert_eq!(resolver.known("db.example").unwrap().len(), 2);
    resolver.set_ipv4_only(true);
    assert_eq!(resolver.known("db.example").unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_addresses_serve_for_a_minute() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let name = name();
    let mut known = name.known.subscribe();
    tokio::spawn(follow(
        scripted(vec![vec!["10.0.0.1"], vec!["10.0.0.2"]], lookups),
        name.clone(),
        Default::default(),
    ));
    let start = Instant::now();
    let first = known
        .wait_for(Option::is_some)
        .await
        .unwrap()
        .clone()
        .unwrap();
    assert_eq!(*first, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    known.changed().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    known.changed().await.unwrap();
    assert!(known.borrow().as_ref().unwrap().is_empty());
    assert_eq!(start.elapsed().as_secs(), 5 + 5 + 60);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_used_is_forgotten() {
    let name = name();
    let names = Names::default();
    names.write().insert(name.host.clone(), name.clone());
    follow(
        scripted(vec![vec!["10.0.0.1"]], Arc::default()),
        name,
        (names.clone(), Arc::default()),
    )
    .await;
    assert!(names.read().is_empty());
}

#[test]
fn an_explanation_names_the_known_addresses_and_else_the_name() {
    use crate::buffers::ResponseBuffers;
    use crate::config::Config;
    use crate::current::CurrentTable;
    use crate::upstream::{Environment, LocalAddresses, Upstreams, testing};
    use headgate_table::{Endpoints, RoutingTable, publisher};

    let resolver = Resolver::new(Arc::new(|| scripted(Vec::new(), Arc::default())));
    let resolver = Arc::new(resolver);
    let (_publisher, reader) = publisher(Arc::new(RoutingTable::new(Arc::default())));
    let environment = Environment {
        resolver: resolver.clone(),
        local: LocalAddresses::default(),
        loopback: false,
        workers: 1,
        buffers: Arc::new(ResponseBuffers::new(Config::RESPONSE_BUFFERS)),
        bodies: Arc::new(crate::upstream::RequestBuffers::new(0)),
        disk: crate::upstream::DiskSpace::new(),
    };
    let upstreams = Upstreams::new(Arc::new(environment), 0, CurrentTable::new(&reader));
    let mut upstream = testing::upstream(&[]);
    upstream.endpoints = Endpoints::Name {
        host: "db.example".into(),
        port: 5432,
    };
    let upstream = Arc::new(upstream);
    let client = "192.0.2.1".parse().unwrap();
    let choice = || upstreams.choice_of_stream(&upstream, client);
    assert_eq!(choice().endpoints, ["db.example:5432"]);
    assert!(choice().balance.contains("at run time"));
    let name = name();
    publish(&name, vec!["10.0.0.2".parse().unwrap()]);
    resolver.names.write().insert(name.host.clone(), name);
    assert_eq!(choice().endpoints, ["10.0.0.2:5432"]);
    assert_eq!(choice().balance, "in turn");
}
