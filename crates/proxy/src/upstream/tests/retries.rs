//! Retries.

use super::*;
use crate::upstream::CallError;
use headgate_table::{RetryOn, StatusSet};

const POST: &str =
    "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// An endpoint that reads a request and closes without a response.
async fn mute() -> Endpoint {
    Endpoint::start(|_, mut conversation| async move {
        conversation.request().await;
    })
    .await
}

#[tokio::test]
async fn a_refused_connection_leads_to_another_endpoint_even_for_post() {
    local(async {
        let (dead, live) = (unused_address().await, Endpoint::responding(OK).await);
        let world = World::new(upstream(&[dead, live.address]), forwarding());
        for request in [POST, POST] {
            assert!(world.send(request).await.starts_with("HTTP/1.1 200"));
        }
        // One of the two requests begins at the dead endpoint.
        let mut statuses = world.statuses();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 502]);
        assert!(
            live.requests
                .borrow()
                .iter()
                .all(|request| request.ends_with("hello"))
        );
    })
    .await;
}

#[tokio::test]
async fn attempts_are_bounded_with_one_endpoint() {
    local(async {
        let world = World::new(upstream(&[unused_address().await]), forwarding());
        world.get().await;
        assert_eq!(world.statuses(), [502, 502, 502]);
        assert_eq!(*world.failures.borrow(), [CallError::Connect]);
    })
    .await;
}

#[tokio::test]
async fn after_a_broken_connection_get_is_retried_and_post_is_not() {
    local(async {
        let (mute, live) = (mute().await, Endpoint::responding(OK).await);
        let world = World::new(upstream(&[mute.address, live.address]), forwarding());
        for _ in 0..2 {
            assert!(world.get().await.starts_with("HTTP/1.1 200"));
        }
        let mut failed = 0;
        for _ in 0..2 {
            failed += usize::from(!world.send(POST).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(failed, 1);
        assert_eq!(*world.failures.borrow(), [CallError::Broken]);
    })
    .await;
}

#[tokio::test]
async fn a_body_is_sent_again_from_memory_and_from_a_file() {
    local(async {
        for size in [5, 300_000] {
            let (busy, live) = (Endpoint::responding(UNAVAILABLE).await, Endpoint::responding(OK).await);
            let mut forwarding = forwarding();
            forwarding.retry.on = RetryOn { statuses: StatusSet::of([503]), ..RetryOn::default() };
            let world = World::new(upstream(&[busy.address, live.address]), forwarding);
            let body = "b".repeat(size);
            let request =
                format!("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}");
            for _ in 0..2 {
                assert!(world.send(&request).await.starts_with("HTTP/1.1 200"));
            }
            assert_eq!(world.statuses().iter().filter(|status| **status == 503).count(), 1);
            for seen in busy.requests.borrow().iter().chain(live.requests.borrow().iter()) {
                assert!(seen.ends_with(&body) && seen.contains(&format!("Content-Length: {size}\r\n")));
            }
            assert_eq!((busy.requests.borrow().len(), live.requests.borrow().len()), (1, 2));
        }
    })
    .await;
}

#[tokio::test]
async fn the_last_response_is_passed_on_when_no_attempt_is_left() {
    local(async {
        let busy = Endpoint::responding(UNAVAILABLE).await;
        let mut forwarding = forwarding();
        forwarding.retry.on = RetryOn {
            statuses: StatusSet::of([503]),
            ..RetryOn::default()
        };
        let world = World::new(upstream(&[busy.address]), forwarding);
        assert!(world.get().await.starts_with("HTTP/1.1 503"));
        assert_eq!(world.statuses(), [503, 503, 503]);
    })
    .await;
}

#[tokio::test]
async fn silence_is_a_timeout() {
    local(async {
        let silent = Endpoint::silent().await;
        let mut forwarding = forwarding();
        forwarding.read_timeout = std::time::Duration::from_millis(30);
        let world = World::new(upstream(&[silent.address]), forwarding);
        world.get().await;
        assert_eq!(*world.failures.borrow(), [CallError::ReadTimeout]);
        assert_eq!(world.statuses(), [504, 504, 504]);
    })
    .await;
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_twice() {
    local(async {
        let (mute, other) = (mute().await, mute().await);
        let mut forwarding = forwarding();
        forwarding.buffer_request = false;
        let world = World::new(upstream(&[mute.address, other.address]), forwarding);
        world
            .send(
                "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            )
            .await;
        assert_eq!(
            mute.requests.borrow().len() + other.requests.borrow().len(),
            1
        );
        assert_eq!(*world.failures.borrow(), [CallError::Broken]);
    })
    .await;
}

#[tokio::test]
async fn an_unbuffered_body_is_retried_after_a_refused_connection() {
    local(async {
        let (dead, live) = (unused_address().await, Endpoint::responding(OK).await);
        let mut forwarding = forwarding();
        forwarding.buffer_request = false;
        let world = World::new(upstream(&[dead, live.address]), forwarding);
        for _ in 0..2 {
            assert!(world.send(POST).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(live.requests.borrow().len(), 2);
    })
    .await;
}
