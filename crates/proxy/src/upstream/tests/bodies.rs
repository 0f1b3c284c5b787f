//! Request bodies: limits, times, framing.

use super::*;
use crate::upstream::{CallError, RequestBodyError};
use headgate_table::{ClientLimits, Settings};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CHUNKED: &str =
    "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn too_large_by_announcement_and_by_count() {
    local(async {
        for buffered in [true, false] {
            let endpoint = Endpoint::responding(OK).await;
            let mut small = forwarding();
            (small.body_limit, small.buffer_request) = (Some(10), buffered);
            let world = World::new(upstream(&[endpoint.address]), small);
            // Refused before any byte of the body.
            world
                .send(
                    "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 11\r\n\r\n",
                )
                .await;
            assert_eq!(endpoint.connections.get(), 0);
            world
                .send(&format!("{CHUNKED}6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n"))
                .await;
            assert_eq!(
                *world.failures.borrow(),
                [CallError::RequestBody(RequestBodyError::TooLarge); 2]
            );
            assert!(endpoint.requests.borrow().is_empty());
            let fits = world
                .send(&format!("{CHUNKED}a\r\n1234567890\r\n0\r\n\r\n"))
                .await;
            assert!(fits.ends_with("ok"), "{fits}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_sending_is_a_body_timeout() {
    local(async {
        let client = ClientLimits {
            body_timeout: Duration::from_secs(7),
            ..ClientLimits::default()
        };
        let settings = Settings {
            client,
            ..Settings::default()
        };
        let world = World::with(
            upstream(&["127.0.0.1:9".parse().unwrap()]),
            forwarding(),
            settings,
            true,
        );
        let start = tokio::time::Instant::now();
        let mut client = world.connect();
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
            .await
            .unwrap();
        let mut bytes = [0; 12];
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(
            *world.failures.borrow(),
            [CallError::RequestBody(RequestBodyError::Timeout)]
        );
        assert_eq!(start.elapsed().as_secs(), 7);
    })
    .await;
}

#[tokio::test]
async fn broken_framing_and_closed_connections_are_distinguished() {
    local(async {
        for buffered in [true, false] {
            let endpoint = Endpoint::responding(OK).await;
            let mut forwarding = forwarding();
            forwarding.buffer_request = buffered;
            let world = World::new(upstream(&[endpoint.address]), forwarding);
            world.send(&format!("{CHUNKED}5\r\nhello\r\nxyz\r\n")).await;
            assert_eq!(
                *world.failures.borrow(),
                [CallError::RequestBody(RequestBodyError::Malformed)]
            );
            assert!(
                world.statuses().iter().all(|status| *status == 0),
                "not the endpoint's fault"
            );
            let mut client = world.connect();
            client
                .write_all(format!("{CHUNKED}5\r\nhel").as_bytes())
                .await
                .unwrap();
            client.shutdown().await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(
                *world.failures.borrow(),
                [
                    CallError::RequestBody(RequestBodyError::Malformed),
                    CallError::RequestBody(RequestBodyError::Gone)
                ]
            );
            assert!(endpoint.requests.borrow().is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn buffering_gives_chunks_a_length_and_streaming_passes_them_on() {
    local(async {
        for (buffered, size) in [(true, 3), (true, 20_000), (false, 3)] {
            let endpoint = Endpoint::responding(OK).await;
            let mut forwarding = forwarding();
            forwarding.buffer_request = buffered;
            let world = World::new(upstream(&[endpoint.address]), forwarding);
            let piece = "p".repeat(size);
            let response = world
                .send(&format!(
                    "{CHUNKED}{size:x}\r\n{piece}\r\n{size:x}\r\n{piece}\r\n0\r\nX: y\r\n\r\n"
                ))
                .await;
            assert!(response.ends_with("ok"), "{response}");
            let request = endpoint.requests.borrow()[0].clone();
            if buffered {
                assert!(
                    request.contains(&format!("Content-Length: {}\r\n", 2 * size))
                        && request.ends_with(&piece.repeat(2))
                );
                assert!(!request.contains("Transfer-Encoding"));
            } else {
                assert!(
                    request.contains("Transfer-Encoding: chunked\r\n")
                        && !request.contains("Content-Length")
                );
                assert!(
                    request.ends_with("3\r\nppp\r\n3\r\nppp\r\n0\r\n\r\n"),
                    "{request}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_get_with_a_body_is_framed_as_any_other() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let mut streaming = forwarding();
        streaming.buffer_request = false;
        let world = World::new(upstream(&[endpoint.address]), streaming);
        let chunked = CHUNKED.replace("PUT", "GET");
        assert!(
            world
                .send(&format!("{chunked}3\r\nabc\r\n0\r\n\r\n"))
                .await
                .ends_with("ok")
        );
        assert!(endpoint.requests.borrow()[0].ends_with("3\r\nabc\r\n0\r\n\r\n"));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_reads_nothing_is_a_send_timeout() {
    local(async {
        let stuck = Endpoint::start(|_, conversation| async move {
            // Never reads, but holds the connection.
            let _held = conversation;
            std::future::pending::<()>().await;
        })
        .await;
        let mut forwarding = forwarding();
        (forwarding.body_limit, forwarding.retry.tries) = (None, std::num::NonZeroU32::new(1));
        forwarding.send_timeout = Duration::from_millis(50);
        let world = World::new(upstream(&[stuck.address]), forwarding);
        let size = 32 << 20;
        let head = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        );
        world.send(&(head + &"b".repeat(size))).await;
        assert_eq!(*world.failures.borrow(), [CallError::SendTimeout]);
    })
    .await;
}
