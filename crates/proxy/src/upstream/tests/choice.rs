//! The choice of an endpoint.

use super::*;
use crate::upstream::{CallError, affinity, bound_to};
use headgate_table::{AffinityMode, Balance, Endpoints, NoEndpoints, Settings, Template};
use std::collections::HashSet;

async fn three() -> [Endpoint; 3] {
    [
        Endpoint::responding("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0").await,
        Endpoint::responding("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await,
        Endpoint::responding("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2").await,
    ]
}

/// The affinity cookie that `response` sets.
fn cookie_of(response: &str) -> Option<String> {
    let line = response
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: INGRESSCOOKIE="))?;
    Some(line.split(';').next()?.to_owned())
}

#[tokio::test]
async fn a_session_stays_and_its_cookie_is_set_once() {
    local(async {
        for mode in [AffinityMode::Balanced, AffinityMode::Persistent] {
            let endpoints = three().await;
            let mut sessions = upstream(&endpoints.each_ref().map(|endpoint| endpoint.address));
            sessions.affinity = Some(sticky(mode, false).into());
            let world = World::new(sessions, forwarding());
            let first = world.get().await;
            let cookie = cookie_of(&first).unwrap();
            assert!(
                bound_to(&cookie, &world.upstream) && first.contains("; Path=/; HttpOnly"),
                "{first}"
            );
            world.request.borrow_mut().cookie = Some(("INGRESSCOOKIE".into(), cookie.clone()));
            for _ in 0..10 {
                let again = world.get().await;
                assert_eq!(
                    (again.chars().last(), cookie_of(&again)),
                    (first.chars().last(), None)
                );
            }
            let of_canary = cookie.split_once('|').unwrap().0.to_owned()
                + "|"
                + &affinity::binding("shop-canary-80");
            assert!(!bound_to(&of_canary, &world.upstream));
            world.request.borrow_mut().cookie = Some(("INGRESSCOOKIE".into(), of_canary));
            let again = world.get().await;
            assert_eq!(
                (again.chars().last(), cookie_of(&again)),
                (first.chars().last(), None),
                "the key alone names the endpoint"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_cookie_of_another_program_is_a_key_or_is_replaced() {
    local(async {
        for (mode, cookie, replaced) in [
            (AffinityMode::Balanced, "1700000000.1.2.3|0123", false),
            (AffinityMode::Balanced, "anything", false),
            (AffinityMode::Balanced, "", true),
            (AffinityMode::Balanced, "|", true),
            (AffinityMode::Persistent, "anything|0123", true),
        ] {
            let endpoints = three().await;
            let mut sessions = upstream(&endpoints.each_ref().map(|endpoint| endpoint.address));
            sessions.affinity = Some(sticky(mode, false).into());
            let world = World::new(sessions, forwarding());
            world.request.borrow_mut().cookie = Some(("INGRESSCOOKIE".into(), cookie.into()));
            let mut seen = HashSet::new();
            for _ in 0..10 {
                let response = world.get().await;
                assert_eq!(cookie_of(&response).is_some(), replaced, "{cookie}");
                seen.extend(response.chars().last());
            }
            assert!(replaced || seen.len() == 1, "{cookie} {seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_session_moves_only_where_it_may() {
    local(async {
        for moves in [true, false] {
            let (dead, live) = (unused_address().await, Endpoint::responding(OK).await);
            let mut sessions = upstream(&[dead, live.address]);
            sessions.affinity = Some(sticky(AffinityMode::Persistent, moves).into());
            let world = World::new(sessions, forwarding());
            let key = affinity::persistent_key("shop-web-80", dead);
            let cookie = format!("{key}|{}", affinity::binding("shop-web-80"));
            world.request.borrow_mut().cookie = Some(("INGRESSCOOKIE".into(), cookie.clone()));
            let response = world.get().await;
            if moves {
                assert!(
                    response.ends_with("ok")
                        && cookie_of(&response).is_some_and(|new| new != cookie),
                    "{response}"
                );
            } else {
                assert_eq!(world.statuses(), [502, 502, 502]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn balancers_spread_requests_or_keep_an_endpoint() {
    local(async {
        let endpoints = three().await;
        let addresses = endpoints.each_ref().map(|endpoint| endpoint.address);
        let hash = |key| Balance::Hash {
            key: Template::literal(key),
            subset: None,
        };
        for (balance, most, least) in [
            (Balance::RoundRobin, 3, 3),
            (Balance::Ewma, 3, 1),
            (Balance::LeastConn, 3, 2),
            (hash("k"), 1, 1),
        ] {
            let mut balanced = upstream(&addresses);
            balanced.balance = balance.clone();
            let world = World::new(balanced, forwarding());
            let mut seen = HashSet::new();
            for _ in 0..9 {
                seen.insert(world.get().await.chars().last());
            }
            assert!(
                (least..=most).contains(&seen.len()),
                "{balance:?}: {seen:?}"
            );
        }
        let mut by_client = upstream(&addresses);
        by_client.client_ip_affinity = Some(std::time::Duration::from_secs(600));
        let world = World::new(by_client, forwarding());
        let mut seen = HashSet::new();
        for _ in 0..6 {
            seen.insert(world.get().await.chars().last());
        }
        assert_eq!(seen.len(), 1);
        *world.request.borrow_mut() = FakeRequest {
            client: "192.0.2.2".parse().unwrap(),
            ..FakeRequest::default()
        };
        assert_ne!(
            world.get().await.chars().last(),
            seen.into_iter().next().unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn upstreams_without_usable_endpoints() {
    local(async {
        let mut empty = upstream(&[]);
        empty.endpoints = Endpoints::None(NoEndpoints::NoneReady);
        let endpoint = Endpoint::responding(OK).await;
        for (upstream, loopback) in [
            (empty, true),
            (upstream(&[]), true),
            (upstream(&[endpoint.address]), false),
        ] {
            let world = World::with(upstream, forwarding(), Settings::default(), loopback);
            assert!(!world.upstreams.has_endpoints(&world.upstream));
            world.get().await;
            assert_eq!(*world.failures.borrow(), [CallError::NoEndpoints]);
        }
        assert_eq!(endpoint.connections.get(), 0);
    })
    .await;
}
