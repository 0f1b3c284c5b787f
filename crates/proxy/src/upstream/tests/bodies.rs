//! Request bodies: limits, times, framing.

use super::*;
use crate::upstream::{CallError, RequestBodyError};
use headgate_table::{ClientLimits, Settings};
use std::net::SocketAddr;
use std::rc::Rc;
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

/// A world with one endpoint, whose client limits `change` sets.
fn bounded(endpoint: SocketAddr, change: impl FnOnce(&mut ClientLimits)) -> Rc<World> {
    let mut settings = Settings::default();
    change(&mut settings.client);
    let mut forwarding = forwarding();
    forwarding.body_limit = None;
    World::with(upstream(&[endpoint]), forwarding, settings, true)
}

#[tokio::test(start_paused = true)]
async fn a_buffered_body_has_a_minimum_rate() {
    local(async {
        for (rate, piece, failed) in [(128, 2000, true), (128, 4000, false), (0, 1, false)] {
            let rate = std::num::NonZeroU32::new(rate);
            // What was received in time is for an endpoint that is not there.
            let endpoint = "127.0.0.1:9".parse().unwrap();
            let world = bounded(endpoint, |client| client.body_min_rate = rate);
            let mut client = world.connect();
            let length = 4 * piece;
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                // The connection is closed after a failure.
                let _ = client.write_all("x".repeat(piece).as_bytes()).await;
            }
            client.read_exact(&mut [0; 12]).await.unwrap();
            let slow = CallError::RequestBody(RequestBodyError::TooSlow);
            assert_eq!(world.failures.borrow().contains(&slow), failed, "{rate:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_without_room_on_disk_fails_alone() {
    local(async {
        let most = std::num::NonZeroU64::new(100_000);
        let endpoint = Endpoint::responding(OK).await;
        let world = bounded(endpoint.address, |client| client.temporary_files = most);
        let put = |size: usize| {
            let head = "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
            format!("{head}Content-Length: {size}\r\n\r\n{}", "b".repeat(size))
        };
        for _ in 0..3 {
            let mut client = world.connect();
            // The rest is not read.
            let _ = client.write_all(put(150_000).as_bytes()).await;
            let _ = client.read_to_end(&mut Vec::new()).await;
            let response = world.send(&put(90_000)).await;
            assert!(response.ends_with("ok"), "the room is returned: {response}");
        }
        let failed = CallError::RequestBody(RequestBodyError::NoSpace);
        assert_eq!(*world.failures.borrow(), [failed; 3]);
        assert_eq!(endpoint.requests.borrow().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_body_is_sent_on_while_the_response_is_not_read() {
    local(async {
        // More than all buffers between them hold, both ways.
        let size = 4 << 20;
        let endpoint = Endpoint::start(move |_, conversation| async move {
            let (mut read, mut write) = conversation.stream.into_split();
            let mut head = [0; 1 << 10];
            let mut left = size;
            left -= read
                .read(&mut head)
                .await
                .unwrap()
                .saturating_sub(head.len());
            tokio::task::spawn_local(async move {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                write.write_all(head.as_bytes()).await.unwrap();
                let _ = write.write_all(&vec![b'r'; size]).await;
            });
            let mut body = vec![0; 64 << 10];
            while left > 0 {
                match read.read(&mut body).await {
                    Ok(length) if length > 0 => left = left.saturating_sub(length),
                    _ => return,
                }
            }
        })
        .await;
        let mut streaming = forwarding();
        (streaming.buffer_request, streaming.body_limit) = (false, None);
        let world = World::new(upstream(&[endpoint.address]), streaming);
        let mut client = world.connect();
        let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b'b'; 1 << 10]).await.unwrap();
        // The response has begun, and the client reads no more of it.
        client.read_exact(&mut [0; 12]).await.unwrap();
        let rest = vec![b'b'; size - (1 << 10)];
        let sent = tokio::time::timeout(Duration::from_secs(20), client.write_all(&rest));
        sent.await.expect("the upload goes on").unwrap();
        let mut response = vec![0; size];
        client.read_exact(&mut response).await.unwrap();
    })
    .await;
}
