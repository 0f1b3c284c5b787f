//! Least connections, and slow start.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{AffinityMode, Balance, Endpoints, Resilience, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::upstream::balance::{Selection, UpstreamState};
use crate::upstream::health::Failed;
use crate::upstream::{EndpointState, upstream_report};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

fn fewest(endpoints: &[SocketAddr]) -> Upstream {
    Upstream {
        balance: Balance::LeastConn,
        ..upstream(endpoints)
    }
}

fn in_flight(world: &World) -> HashMap<SocketAddr, usize> {
    let endpoints = upstream_report(&world.upstream, None).endpoints.into_iter();
    let counts = endpoints.filter_map(|endpoint| Some((endpoint.address, endpoint.requests?)));
    counts.collect()
}

/// Sends the head of a response, and the rest never.
async fn slow() -> Endpoint {
    Endpoint::start(|_, mut conversation| async move {
        let request = conversation.request().await.unwrap_or_default();
        let head = if request.contains("Upgrade") {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        };
        conversation.respond(head).await;
        conversation.request().await;
    })
    .await
}

#[tokio::test]
async fn an_endpoint_that_is_busy_gets_no_request_while_others_are_idle() {
    local(async {
        for first in [GET, UPGRADE] {
            let (busy, idle) = (slow().await, Endpoint::responding(OK).await);
            let world = World::new(fewest(&[busy.address, idle.address]), forwarding());
            let mut held = Vec::new();
            while busy.requests.borrow().is_empty() {
                let mut client = world.connect();
                client.write_all(first).await.unwrap();
                let mut status = [0; 12];
                client.read_exact(&mut status).await.unwrap();
                held.push(client);
            }
            // Those of the other one are done, but for upgrades, to which it has agreed by no means.
            held.drain(..held.len() - 1);
            while in_flight(&world)[&idle.address] > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(in_flight(&world)[&busy.address], 1);
            for _ in 0..20 {
                assert!(world.get().await.ends_with("ok"));
            }
            assert_eq!(busy.requests.borrow().len(), 1);
            drop(held);
            while in_flight(&world)[&busy.address] > 0 {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn failed_attempts_are_over() {
    local(async {
        let (dead, live) = (unused_address().await, Endpoint::responding(OK).await);
        let world = World::new(fewest(&[dead, live.address]), forwarding());
        for _ in 0..10 {
            assert!(world.get().await.ends_with("ok"));
        }
        let counts = in_flight(&world);
        assert_eq!((counts[&dead], counts[&live.address]), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn new_sessions_go_to_the_endpoint_with_the_fewest_requests() {
    local(async {
        for mode in [AffinityMode::Persistent, AffinityMode::Balanced] {
            let (busy, idle) = (slow().await, Endpoint::responding(OK).await);
            let sessions = Upstream {
                affinity: Some(sticky(mode, false).into()),
                ..fewest(&[busy.address, idle.address])
            };
            let world = World::new(sessions, forwarding());
            let mut client = world.connect();
            while busy.requests.borrow().is_empty() {
                client = world.connect();
                client.write_all(GET).await.unwrap();
                client.read_exact(&mut [0; 12]).await.unwrap();
            }
            let before = busy.connections.get();
            let mut clients = Vec::new();
            for _ in 0..40 {
                let mut client = world.connect();
                client.write_all(GET).await.unwrap();
                client.read_exact(&mut [0; 12]).await.unwrap();
                clients.push(client);
            }
            let begun = busy.connections.get() - before;
            // Of two keys that are drawn, the one of the idle endpoint: a quarter have both at the busy one, and it is the
            // busier the more it has.
            let most = if mode == AffinityMode::Persistent {
                0
            } else {
                25
            };
            assert!(begun <= most, "{mode:?}: {begun} of 40");
            drop(client);
        }
    })
    .await;
}

fn starting(endpoints: &[SocketAddr]) -> Upstream {
    let resilience = Resilience {
        slow_start: Some(Duration::from_secs(30)),
        ..Resilience::default()
    };
    Upstream {
        resilience: resilience.into(),
        ..upstream(endpoints)
    }
}

/// The states of all endpoints of `upstream` as words.
fn states(upstream: &Upstream) -> Vec<&'static str> {
    let endpoints = upstream_report(upstream, None).endpoints.into_iter();
    endpoints.map(|endpoint| endpoint.state.as_str()).collect()
}

#[tokio::test]
async fn a_new_endpoint_starts_slowly_and_a_request_from_before_knows_it() {
    local(async {
        let endpoints = [
            Endpoint::responding(OK).await,
            Endpoint::responding(OK).await,
            Endpoint::responding(OK).await,
        ];
        let [gone, kept, new] = endpoints.each_ref().map(|endpoint| endpoint.address);
        let world = World::new(starting(&[gone, kept]), forwarding());
        for _ in 0..4 {
            world.get().await;
        }
        assert_eq!(states(&world.upstream), ["sound", "sound"], "the first");
        let next = Arc::new(Upstream {
            endpoints: Endpoints::Addresses([kept, new].into()),
            ..world.upstream.as_ref().clone()
        });
        world.publish_upstream(next.as_ref().clone());
        assert_eq!(states(&next), ["sound", "sound"], "no request has come");
        let target = world.upstreams.target(&next, Duration::ZERO).await;
        let mut selection = Selection {
            upstreams: &world.upstreams,
            target: &target.unwrap(),
            input: &FakeRequest::default(),
            cookie: None,
        };
        assert!(selection.next(&[]).is_some());
        let before = endpoints.each_ref().map(|one| one.requests.borrow().len());
        // These are of the table before.
        for _ in 0..100 {
            assert!(world.get().await.ends_with("ok"));
        }
        let after = endpoints.each_ref().map(|one| one.requests.borrow().len());
        assert_eq!(after[0], before[0], "it is gone");
        assert!((1..40).contains(&after[2]), "{after:?}");
        assert_eq!(states(&next), ["sound", "starting"]);
        let report = upstream_report(&next, None);
        let text = report.endpoints[1].state.to_string();
        assert!(text.starts_with("starting: gets 1"), "{text}");
        assert!(matches!(
            report.endpoints[1].state,
            EndpointState::Starting(10..20, left) if left <= Duration::from_secs(30)
        ));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_back_starts_slowly() {
    local(async {
        let addresses = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| address.parse().unwrap());
        let world = World::new(starting(&addresses), forwarding());
        let upstream = &world.upstream;
        let upstreams = &world.upstreams;
        upstreams.set_healthy(upstream, addresses[0], true);
        assert_eq!(states(upstream), ["sound", "sound"]);
        upstreams.set_healthy(upstream, addresses[0], false);
        assert_eq!(states(upstream), ["unhealthy", "sound"]);
        upstreams.set_healthy(upstream, addresses[0], true);
        assert_eq!(states(upstream), ["starting", "sound"]);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(states(upstream), ["sound", "sound"]);

        let state = UpstreamState::of(upstream, 1).unwrap();
        let rules = (&upstream.resilience.outliers, 2);
        for _ in 0..5 {
            let (health, now) = (&state.health, Instant::now());
            health.failed(addresses[1], Failed::NoResponse, rules, now);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(states(upstream), ["sound", "ejected"]);
        state.succeeded(upstream, addresses[1], Instant::now());
        assert_eq!(states(upstream), ["sound", "starting"]);
        let plain = World::new(super::upstream(&addresses), forwarding());
        for healthy in [false, true] {
            let upstreams = &plain.upstreams;
            upstreams.set_healthy(&plain.upstream, addresses[0], healthy);
        }
        assert_eq!(states(&plain.upstream), ["sound", "sound"]);
    })
    .await;
}
