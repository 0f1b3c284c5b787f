//! Connections that are kept, and those that must not be.

use super::*;
use crate::upstream::{CallError, LocalAddresses, upstream_report};
use headgate_table::{ConnectionHeader, HttpVersion, PoolSettings, Settings};
use std::net::SocketAddr;

#[tokio::test]
async fn one_connection_serves_many_requests() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        for _ in 0..5 {
            assert!(world.get().await.ends_with("ok"));
        }
        assert_eq!((endpoint.connections.get(), world.idle()), (1, 1));
        let attempts = world.attempts.borrow();
        assert_eq!(attempts[4].connect, Some(std::time::Duration::ZERO));
        assert!(
            attempts
                .iter()
                .all(|attempt| attempt.progress.response.get().is_some())
        );
        assert!(
            attempts
                .iter()
                .all(|attempt| attempt.progress.bytes.get() == 2)
        );
        let request = &endpoint.requests.borrow()[0];
        assert!(
            request.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: a\r\n"),
            "{request}"
        );
        assert!(!request.contains("Connection"), "{request}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_retired_by_its_number_of_requests() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let pool = PoolSettings {
            requests: 2,
            ..PoolSettings::default()
        };
        let settings = Settings {
            pool,
            ..Settings::default()
        };
        let world = World::with(upstream(&[endpoint.address]), forwarding(), settings, true);
        for _ in 0..4 {
            world.get().await;
        }
        assert_eq!(endpoint.connections.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn no_connection_is_kept_if_keeping_is_disabled() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let pool = PoolSettings {
            idle: 0,
            ..PoolSettings::default()
        };
        let settings = Settings {
            pool,
            ..Settings::default()
        };
        let world = World::with(upstream(&[endpoint.address]), forwarding(), settings, true);
        world.get().await;
        world.get().await;
        assert_eq!((endpoint.connections.get(), world.idle()), (2, 0));
        assert!(endpoint.requests.borrow()[0].contains("Connection: close\r\n"));

        let endpoint = Endpoint::responding(OK).await;
        let mut closing = forwarding();
        closing.connection_header = Some(ConnectionHeader::Close);
        let world = World::new(upstream(&[endpoint.address]), closing);
        world.get().await;
        world.get().await;
        assert_eq!(endpoint.connections.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn http_1_0_is_one_request_a_connection() {
    local(async {
        let endpoint = Endpoint::responding("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let mut old = forwarding();
        old.http_version = HttpVersion::Http10;
        let world = World::new(upstream(&[endpoint.address]), old);
        assert!(world.get().await.ends_with("ok"));
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert!(world.send(chunked).await.ends_with("ok"));
        assert_eq!(endpoint.connections.get(), 2);
        let requests = endpoint.requests.borrow();
        assert!(requests[0].starts_with("GET /x?y=1 HTTP/1.0\r\n") && !requests[0].contains("Connection:"));
        assert!(requests[1].contains("Content-Length: 3\r\n") && requests[1].ends_with("abc"), "{}", requests[1]);
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_that_closes_costs_get_no_attempt_and_post_is_not_resent() {
    local(async {
        // Sends one response per connection, then reads one more request and closes.
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.respond(OK).await;
            conversation.request().await;
        })
        .await;
        let mut once = forwarding();
        once.retry.tries = std::num::NonZeroU32::new(1);
        let world = World::new(upstream(&[endpoint.address]), once);
        assert!(world.get().await.ends_with("ok"));
        assert!(world.get().await.ends_with("ok"));
        assert_eq!(world.statuses(), [200, 200]);
        let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
        world.send(post).await;
        assert_eq!(*world.failures.borrow(), [CallError::Broken]);
        assert_eq!(
            endpoint
                .requests
                .borrow()
                .iter()
                .filter(|request| request.starts_with("POST"))
                .count(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_close_by_the_endpoint_is_noticed_while_idle() {
    local(async {
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.respond(OK).await;
        })
        .await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
        for _ in 0..3 {
            assert!(world.send(post).await.ends_with("ok"));
        }
        assert_eq!(endpoint.connections.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn endpoints_out_of_service_lose_their_connections() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        world.get().await;
        world.upstreams.sweep();
        assert_eq!(world.idle(), 1);
        world.publish(&["10.0.0.1:80".parse().unwrap()]);
        world.upstreams.sweep();
        assert_eq!(world.idle(), 0);
    })
    .await;
}

#[tokio::test]
async fn reports_have_the_open_connections_of_an_endpoint() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let connections = || upstream_report(&world.upstream, None).endpoints[0].connections;
        assert_eq!(connections(), 0);
        for _ in 0..2 {
            world.get().await;
            assert_eq!(connections(), 1, "it is kept");
        }
        world.publish(&["10.0.0.1:80".parse().unwrap()]);
        world.upstreams.sweep();
        assert_eq!(connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_connection_with_bytes_after_the_response_is_not_reused() {
    local(async {
        let endpoint = Endpoint::responding(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        )
        .await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        for _ in 0..2 {
            assert!(world.get().await.ends_with("ok"));
        }
        assert_eq!(endpoint.connections.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn requests_are_not_forwarded_to_this_process() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let everywhere = SocketAddr::from(([0, 0, 0, 0], endpoint.address.port()));
        for own in [endpoint.address, everywhere] {
            let world = World::listening(
                upstream(&[endpoint.address]),
                forwarding(),
                Settings::default(),
                (true, LocalAddresses::new(vec![own])),
            );
            world.get().await;
            assert_eq!(*world.failures.borrow(), [CallError::Connect]);
        }
        assert_eq!(endpoint.connections.get(), 0);
    })
    .await;
}
