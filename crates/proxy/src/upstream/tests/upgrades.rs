//! Tunnels.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n";

async fn head(client: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn bytes_flow_both_ways_and_either_side_may_stop_first() {
    local(async {
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            let request = conversation.request().await.unwrap();
            assert!(
                request.contains("Upgrade: websocket\r\n")
                    && request.contains("Connection: Upgrade\r\n"),
                "{request}"
            );
            conversation.respond(SWITCH).await;
            conversation.respond("hello").await;
            let mut heard = String::new();
            conversation
                .stream
                .read_to_string(&mut heard)
                .await
                .unwrap();
            conversation.respond(&format!("heard {heard}")).await;
        })
        .await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let mut client = world.connect();
        client.write_all(UPGRADE).await.unwrap();
        let head = head(&mut client).await;
        assert!(
            head.starts_with("HTTP/1.1 101") && head.contains("X-A: b"),
            "{head}"
        );
        let mut hello = [0; 5];
        client.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
        client.write_all(b"bye").await.unwrap();
        client.shutdown().await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "heard bye");
        let progress = world.attempts.borrow()[0].progress.clone();
        while progress.response.get().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(progress.bytes.get(), 14);
    })
    .await;
}

#[tokio::test]
async fn an_idle_tunnel_is_closed() {
    local(async {
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.respond(SWITCH).await;
            conversation.request().await;
        })
        .await;
        let mut forwarding = forwarding();
        forwarding.read_timeout = std::time::Duration::from_millis(30);
        let world = World::new(upstream(&[endpoint.address]), forwarding);
        let mut client = world.connect();
        client.write_all(UPGRADE).await.unwrap();
        head(&mut client).await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn after_a_refused_upgrade_early_bytes_are_the_next_request() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let mut client = world.connect();
        client.write_all(UPGRADE).await.unwrap();
        client
            .write_all(b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut responses = String::new();
        client.read_to_string(&mut responses).await.unwrap();
        assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 2);
        let requests = endpoint.requests.borrow();
        assert!(
            requests.len() == 2 && requests[1].starts_with("GET /next "),
            "{requests:?}"
        );
    })
    .await;
}
