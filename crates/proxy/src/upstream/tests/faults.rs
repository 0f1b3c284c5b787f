//! What a client gets of each fault of an endpoint, and what becomes of the request.

use super::*;
use crate::upstream::CallError;
use crate::upstream::testing::Conversation;
use std::net::SocketAddr;
use std::time::Duration;

/// A fault of an endpoint that has read a request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// There is no connection.
    Refused,
    /// The connection is closed.
    Closed,
    /// The connection is reset.
    Reset,
    /// This is sent, and the connection is closed.
    Sends(&'static str),
    /// This is sent, and the connection is reset.
    SendsAndResets(&'static str),
    /// This is sent, and nothing more.
    SendsAndHangs(&'static str),
    /// This is sent again and again, after the first text.
    Repeats(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The response of the other endpoint.
    Retried,
    /// A response that ends too early, and visibly so.
    Cut,
    /// The whole response.
    Whole,
    Failed(CallError),
}

use Fault::{Closed, Refused, Repeats, Reset, Sends, SendsAndHangs, SendsAndResets};
use Outcome::{Cut, Failed, Retried, Whole};

/// Of all that an endpoint may do between two bytes.
const READ_TIMEOUT: Duration = Duration::from_millis(400);

async fn play(fault: Fault, mut conversation: Conversation) {
    conversation.request().await;
    match fault {
        Refused | Closed => {}
        Reset => conversation.reset(),
        Sends(text) => conversation.respond(text).await,
        SendsAndResets(text) => {
            conversation.respond(text).await;
            conversation.reset();
        }
        SendsAndHangs(text) => {
            conversation.respond(text).await;
            conversation.request().await;
        }
        Repeats(first, text) => {
            conversation.respond(first).await;
            while conversation.try_respond(text).await {}
        }
    }
}

/// What a request of `method` gets whose first attempt meets `fault`.
async fn outcome(fault: Fault, method: &str) -> Outcome {
    let faulty = Endpoint::start(move |_, conversation| play(fault, conversation)).await;
    let live = Endpoint::responding(OK).await;
    let address: SocketAddr = match fault {
        Refused => unused_address().await,
        _ => faulty.address,
    };
    let mut forwarding = forwarding();
    forwarding.read_timeout = READ_TIMEOUT;
    let world = World::new(upstream(&[address, live.address]), forwarding);
    let request = format!(
        "{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
    );
    let is_met = || {
        world
            .attempts
            .borrow()
            .iter()
            .any(|attempt| attempt.endpoint == address)
    };
    let mut response = world.send(&request).await;
    if !is_met() {
        response = world.send(&request).await;
    }
    assert!(
        is_met() && faulty.requests.borrow().len() <= 1,
        "{fault:?} {method}"
    );
    if let Some(error) = world.failures.borrow().first() {
        return Failed(*error);
    }
    let Some((head, body)) = response.split_once("\r\n\r\n") else {
        return Cut;
    };
    assert!(
        head.starts_with("HTTP/1.1 200"),
        "{fault:?} {method}: {head}"
    );
    match body {
        "ok" => Retried,
        "whole" => Whole,
        _ => Cut,
    }
}

#[tokio::test]
async fn each_fault_has_one_outcome_and_no_request_is_served_twice() {
    const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwho";
    const HALF_CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwho";
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole";
    const HALF_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Le";
    let (broken, invalid) = (
        Failed(CallError::Broken),
        Failed(CallError::InvalidResponse),
    );
    let (late, large) = (
        Failed(CallError::ReadTimeout),
        Failed(CallError::HeadTooLarge),
    );
    local(async {
        for (fault, get, post) in [
            // Before the head: another endpoint, unless the request may have been served.
            (Refused, Retried, Retried),
            (Closed, Retried, broken),
            (Reset, Retried, broken),
            (Sends(HALF_HEAD), Retried, broken),
            (SendsAndResets(HALF_HEAD), Retried, broken),
            (SendsAndHangs(""), Retried, late),
            (SendsAndHangs(HALF_HEAD), Retried, late),
            (Repeats("", "HTTP/1.1 100 Continue\r\n\r\n"), Retried, late),
            // What is no response, or too large: not retried by default.
            (Sends("no response\r\n\r\n"), invalid, invalid),
            (
                Sends("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                invalid,
                invalid,
            ),
            (
                Repeats("HTTP/1.1 200 OK\r\n", "X-Field: value\r\n"),
                large,
                large,
            ),
            // After the head: the client sees where the response ends too early.
            (Sends(HALF), Cut, Cut),
            (Sends(HALF_CHUNKED), Cut, Cut),
            (SendsAndResets(HALF), Cut, Cut),
            (SendsAndResets(HALF_CHUNKED), Cut, Cut),
            (SendsAndHangs(HALF), Cut, Cut),
            (SendsAndHangs(HALF_CHUNKED), Cut, Cut),
            (
                Sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
                Cut,
                Cut,
            ),
            // A whole response is one, whatever follows.
            (SendsAndHangs(WHOLE), Whole, Whole),
            (SendsAndResets(WHOLE), Whole, Whole),
        ] {
            assert_eq!(outcome(fault, "GET").await, get, "GET {fault:?}");
            assert_eq!(outcome(fault, "POST").await, post, "POST {fault:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_may_take_longer_than_the_timeout_between_two_reads() {
    local(async {
        let (bound, pause) = (Duration::from_secs(2), Duration::from_millis(500));
        let slow = Endpoint::start(move |_, mut conversation| async move {
            conversation.request().await;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
            conversation.respond(head).await;
            for part in ["w", "h", "o", "l", "e"] {
                // The slowness of the endpoint: nothing is waited for.
                tokio::time::sleep(pause).await;
                conversation.respond(part).await;
            }
        })
        .await;
        let mut forwarding = forwarding();
        forwarding.read_timeout = bound;
        let world = World::new(upstream(&[slow.address]), forwarding);
        assert!(world.get().await.ends_with("\r\n\r\nwhole"));
        assert_eq!(world.statuses(), [200]);
    })
    .await;
}
