//! Endpoints that vanish while the table still has them.

use super::*;
use crate::upstream::balance::UpstreamState;
use crate::upstream::health::Failed;
use headgate_table::{AffinityMode, Balance, Outliers, Resilience, Template, Upstream};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// 28 addresses that refuse connections, and two endpoints among them.
async fn mostly_dead() -> (Vec<SocketAddr>, [Endpoint; 2]) {
    let live = [
        Endpoint::responding(OK).await,
        Endpoint::responding(OK).await,
    ];
    let mut addresses = Vec::new();
    for _ in 0..28 {
        addresses.push(unused_address().await);
    }
    addresses.insert(10, live[0].address);
    addresses.push(live[1].address);
    (addresses, live)
}

/// A world in which each of the dead has refused a connection.
fn after_refusals(upstream: Upstream, live: &[Endpoint]) -> Rc<World> {
    let world = World::new(upstream, forwarding());
    let headgate_table::Endpoints::Addresses(addresses) = &world.upstream.endpoints else {
        panic!("no addresses");
    };
    let state = UpstreamState::of(&world.upstream, 1).unwrap();
    for address in addresses.iter() {
        if live.iter().all(|endpoint| endpoint.address != *address) {
            fail(state, *address, addresses.len(), 1);
        }
    }
    world
}

/// Lets `endpoint`, one of `all`, have refused this number of connections, one each second until now.
fn fail(state: &UpstreamState, endpoint: SocketAddr, all: usize, times: u64) {
    for ago in (0..times).rev() {
        let at = Instant::now() - Duration::from_secs(ago);
        let rules = Outliers::default();
        state
            .health
            .failed(endpoint, Failed::Unreachable, (&rules, all), at);
    }
}

#[tokio::test]
async fn endpoints_that_refused_are_left_out_by_every_balancer() {
    local(async {
        let hash = |subset| Balance::Hash {
            key: Template::parse("$request_uri").unwrap(),
            subset: NonZeroUsize::new(subset),
        };
        let plain = |balance| (balance, None, None);
        for (balance, affinity, client) in [
            plain(Balance::RoundRobin),
            plain(Balance::Ewma),
            plain(Balance::LeastConn),
            plain(hash(0)),
            plain(hash(3)),
            (Balance::RoundRobin, Some(AffinityMode::Balanced), None),
            (Balance::RoundRobin, Some(AffinityMode::Persistent), None),
            (Balance::RoundRobin, None, Some(Duration::from_secs(60))),
            (Balance::LeastConn, Some(AffinityMode::Balanced), None),
            (Balance::LeastConn, Some(AffinityMode::Persistent), None),
        ] {
            let (addresses, live) = mostly_dead().await;
            let upstream = Upstream {
                balance: balance.clone(),
                affinity: affinity.map(|mode| sticky(mode, false).into()),
                client_ip_affinity: client,
                ..upstream(&addresses)
            };
            let world = after_refusals(upstream, &live);
            let start = Instant::now();
            for _ in 0..40 {
                let response = world.get().await;
                assert!(
                    response.ends_with("ok"),
                    "{balance:?} {affinity:?}: {response}"
                );
            }
            let trials = world
                .statuses()
                .iter()
                .filter(|status| **status == 502)
                .count();
            let due = start.elapsed().as_secs() as usize * 28;
            assert!(trials <= due, "{balance:?} {affinity:?}: {trials} of {due}");
            let used = live
                .iter()
                .filter(|live| live.connections.get() > 0)
                .count();
            let all = balance == Balance::RoundRobin && client.is_none();
            assert!(used >= if all { 2 } else { 1 }, "{balance:?} {affinity:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_at_an_endpoint_that_refused_moves_only_where_it_may() {
    local(async {
        for moves in [true, false] {
            let (addresses, live) = mostly_dead().await;
            let mut upstream = upstream(&addresses);
            upstream.affinity = Some(sticky(AffinityMode::Persistent, moves).into());
            let world = after_refusals(upstream, &live);
            let key = crate::upstream::affinity::persistent_key("shop-web-80", addresses[0]);
            world.request.borrow_mut().cookie = Some(("INGRESSCOOKIE".into(), format!("{key}|x")));
            let response = world.get().await;
            if moves {
                assert!(
                    response.contains("Set-Cookie: INGRESSCOOKIE="),
                    "{response}"
                );
                assert_eq!(world.statuses(), [200]);
            } else {
                assert_eq!(world.statuses(), [502, 502, 502]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn where_all_have_refused_all_are_tried() {
    local(async {
        let addresses = [unused_address().await, unused_address().await];
        let world = after_refusals(upstream(&addresses), &[]);
        world.get().await;
        let attempts = world.attempts.borrow();
        let mut tried: Vec<_> = attempts.iter().map(|attempt| attempt.endpoint).collect();
        assert_eq!(tried.len(), 3, "as many attempts as without a refusal");
        tried.sort_unstable();
        tried.dedup();
        assert_eq!(tried.len(), 2);
    })
    .await;
}

/// An endpoint that reads a request and responds with `response`, or closes the connection.
async fn failing(response: &'static str) -> Endpoint {
    Endpoint::start(move |_, mut conversation| async move {
        conversation.request().await;
        conversation.respond(response).await;
    })
    .await
}

/// The requests that `broken` and another endpoint get of 20, of which the first that `broken` gets is its fifth failure.
async fn share_of(broken: &Endpoint, outliers: Outliers) -> (usize, usize) {
    let live = Endpoint::responding(OK).await;
    let mut upstream = upstream(&[broken.address, live.address]);
    upstream.resilience = std::sync::Arc::new(Resilience {
        outliers,
        ..Resilience::default()
    });
    let world = World::new(upstream, forwarding());
    let state = UpstreamState::of(&world.upstream, 1).unwrap();
    for ago in (3..=6).rev() {
        let at = Instant::now() - Duration::from_secs(ago);
        state
            .health
            .failed(broken.address, Failed::NoResponse, (&outliers, 2), at);
    }
    for _ in 0..20 {
        world.get().await;
    }
    let counts = (broken.requests.borrow().len(), live.requests.borrow().len());
    assert_eq!(state.health.ejected(), usize::from(counts.0 == 1));
    counts
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_gets_no_requests() {
    local(async {
        const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
        let default = Outliers::default();
        let with_5xx = Outliers {
            status_5xx: true,
            ..default
        };
        let never = Outliers {
            failures: None,
            ..default
        };
        for (response, outliers, expected) in [
            ("", default, (1, 20)),
            ("garbage\r\n\r\n", default, (1, 19)),
            ("", never, (10, 20)),
            (ERROR, default, (10, 10)),
            (ERROR, with_5xx, (1, 19)),
        ] {
            let broken = failing(response).await;
            assert_eq!(
                share_of(&broken, outliers).await,
                expected,
                "{response:?} {outliers:?}"
            );
        }
    })
    .await;
}
