//! Bounds on the requests to an upstream: connections, pending requests, retries.

use super::*;
use crate::upstream::{Bound, CallError};
use headgate_table::{BackendProtocol, Resilience, RetryBudget, RetryOn, StatusSet, Upstream};
use std::num::NonZeroU32;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

/// The status of the response that `client` receives.
async fn status(client: &mut DuplexStream) -> String {
    let mut start = [0; 12];
    client.read_exact(&mut start).await.unwrap();
    String::from_utf8_lossy(&start[9..]).into_owned()
}

fn bounded(upstream: Upstream, resilience: Resilience) -> Rc<World> {
    let resilience = resilience.into();
    let upstream = Upstream {
        resilience,
        ..upstream
    };
    World::new(upstream, forwarding())
}

fn budget(percent: u32, minimum: u32) -> Resilience {
    Resilience {
        retries: RetryBudget { percent, minimum },
        ..Resilience::default()
    }
}

#[tokio::test]
async fn a_request_beyond_the_connections_fails_at_once_until_another_ends() {
    local(async {
        // Responds with a head, and never with the body.
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            let request = conversation.request().await.unwrap_or_default();
            let head = if request.contains("Upgrade") {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
            };
            conversation.respond(head).await;
            conversation.request().await;
        })
        .await;
        let limits = Resilience {
            max_connections: NonZeroU32::new(2),
            ..Resilience::default()
        };
        let world = bounded(upstream(&[endpoint.address]), limits);
        let mut tunnel = world.connect();
        tunnel.write_all(UPGRADE).await.unwrap();
        assert_eq!(status(&mut tunnel).await, "101");
        let mut streamed = world.connect();
        streamed.write_all(GET).await.unwrap();
        assert_eq!(status(&mut streamed).await, "200");
        world.get().await;
        assert_eq!(
            *world.failures.borrow(),
            [CallError::Overloaded(Bound::Connections)]
        );
        assert_eq!(endpoint.connections.get(), 2);
        // A client that goes away makes room, whether it had a tunnel or a response.
        for client in [tunnel, streamed] {
            drop(client);
            loop {
                let mut next = world.connect();
                next.write_all(GET).await.unwrap();
                if status(&mut next).await == "200" {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_beyond_those_that_wait_for_a_connection_fails_at_once() {
    local(async {
        // Accepts connections, and never answers the handshake.
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            while conversation.request().await.is_some() {}
        })
        .await;
        let limits = Resilience {
            max_pending: NonZeroU32::new(1),
            ..Resilience::default()
        };
        let https = Upstream {
            protocol: BackendProtocol::Https,
            ..upstream(&[endpoint.address])
        };
        let world = bounded(https, limits);
        let mut waiting = world.connect();
        waiting.write_all(GET).await.unwrap();
        while endpoint.connections.get() == 0 {
            tokio::task::yield_now().await;
        }
        world.get().await;
        assert_eq!(
            *world.failures.borrow(),
            [CallError::Overloaded(Bound::Pending)]
        );
    })
    .await;
}

#[tokio::test]
async fn beyond_the_retry_budget_the_first_failure_is_the_answer() {
    local(async {
        for (resilience, served) in [
            (budget(0, 0), false),
            (budget(0, 1), true),
            (budget(100, 0), true),
        ] {
            let mute = Endpoint::start(|_, mut conversation| async move {
                conversation.request().await;
            })
            .await;
            let live = Endpoint::responding(OK).await;
            let world = bounded(upstream(&[mute.address, live.address]), resilience);
            for _ in 0..2 {
                world.get().await;
            }
            let failures: &[CallError] = if served { &[] } else { &[CallError::Broken] };
            assert_eq!(*world.failures.borrow(), failures);
            assert_eq!(live.requests.borrow().len(), 1 + usize::from(served));
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_that_the_budget_does_not_retry_is_passed_on() {
    local(async {
        let busy = Endpoint::responding("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy").await;
        let mut forwarding = forwarding();
        forwarding.retry.on = RetryOn {
            statuses: StatusSet::of([503]),
            ..RetryOn::default()
        };
        let upstream = Upstream {
            resilience: budget(0, 0).into(),
            ..upstream(&[busy.address])
        };
        let world = World::new(upstream, forwarding);
        assert!(world.get().await.ends_with("busy"));
        assert_eq!(world.statuses(), [503]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_connection_needs_no_retry_budget() {
    local(async {
        let (dead, live) = (unused_address().await, Endpoint::responding(OK).await);
        let world = bounded(upstream(&[dead, live.address]), budget(0, 0));
        for _ in 0..2 {
            assert!(world.get().await.ends_with("ok"));
        }
    })
    .await;
}
