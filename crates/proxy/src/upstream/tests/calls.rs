//! Calls of the process itself: without a client's request, without a route.

use super::*;
use crate::upstream::options::Protocol;
use crate::upstream::testing::statuses;
use crate::upstream::{
    Attempts, Call, CallError, CallOptions, Payload, RequestBodyError, SelectionInput,
};
use bytes::Bytes;
use headgate_table::{Affinity, AffinityMode, Forwarding, Retry, RetryOn, Template};
use http_body_util::{BodyExt, StreamBody};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

/// The selection input of a call that no client caused.
struct Nobody;

impl SelectionInput for Nobody {
    fn client(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }

    fn evaluate(&self, _: &Template) -> String {
        String::new()
    }
}

/// Status and body of the response, and whether a session began.
pub(super) type Outcome = Result<(u16, Bytes, bool), CallError>;

/// Calls the upstream of `world` without its forwarding options.
pub(super) async fn call(
    world: &Rc<World>,
    body: Payload,
    options: CallOptions<'_>,
    attempts: &mut Attempts,
) -> Outcome {
    let head = http::Request::put("/own").header("host", "own.internal");
    let (upstreams, settings) = (&world.upstreams, &world.settings);
    let call = Call {
        target: upstreams
            .target(&world.upstream, options.connect_timeout)
            .await?,
        head: head.body(()).unwrap().into_parts().0,
        body,
        options,
        pool: &settings.pool,
        input: &Nobody,
    };
    let reply = upstreams.call(call, attempts).await?;
    let status = reply.response.status().as_u16();
    let body = reply.response.into_body().collect().await.unwrap();
    Ok((status, body.to_bytes(), reply.session_cookie.is_some()))
}

fn twice(on: RetryOn) -> Retry {
    Retry {
        on,
        tries: NonZeroU32::new(2),
        ..Retry::default()
    }
}

fn pieces(pieces: &'static [&'static str]) -> Payload {
    let frames = pieces
        .iter()
        .map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))));
    Payload::stream(
        Box::pin(StreamBody::new(futures_util::stream::iter(frames))),
        None,
    )
}

#[tokio::test]
async fn bytes_are_sent_again_and_every_attempt_is_there() {
    local(async {
        // The first connection is closed without a response.
        let endpoint = Endpoint::start(|number, mut conversation| async move {
            conversation.request().await;
            if number > 0 {
                conversation.answer(OK).await;
            }
        })
        .await;
        let world = World::new(upstream(&[endpoint.address]), Forwarding::default());
        let mut attempts = Attempts::default();
        let body = Payload::bytes(Bytes::from_static(b"our own"));
        let outcome = call(&world, body, CallOptions::default(), &mut attempts).await;
        assert_eq!(outcome, Ok((200, Bytes::from_static(b"ok"), false)));
        assert_eq!(statuses(&attempts), [502, 200]);
        assert_eq!(attempts[1].progress.bytes.get(), 2);
        let requests = endpoint.requests.borrow();
        assert!(requests.len() == 2 && requests[0] == requests[1]);
        assert!(requests[1].starts_with("PUT /own ") && requests[1].ends_with("\r\n\r\nour own"));
    })
    .await;
}

#[tokio::test]
async fn attempts_are_there_when_the_call_fails() {
    local(async {
        let dead = World::new(upstream(&[nobody().await]), Forwarding::default());
        let mut attempts = Attempts::default();
        let options = CallOptions {
            retry: twice(Retry::default().on),
            ..CallOptions::default()
        };
        let outcome = call(&dead, Payload::empty(), options, &mut attempts).await;
        assert_eq!(outcome, Err(CallError::Connect));
        assert_eq!(statuses(&attempts), [502, 502]);
        assert!(attempts.iter().all(|attempt| attempt.connect.is_none()));
    })
    .await;
}

#[tokio::test]
async fn times_and_retries_are_those_of_the_call() {
    local(async {
        let silent = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.request().await;
        })
        .await;
        let world = World::new(upstream(&[silent.address]), Forwarding::default());
        for (retry, expected) in [
            (twice(RetryOn::default()), &[504][..]),
            (twice(Retry::default().on), &[504, 504]),
        ] {
            let mut attempts = Attempts::default();
            let options = CallOptions {
                read_timeout: Duration::from_millis(30),
                retry,
                ..CallOptions::default()
            };
            let outcome = call(&world, Payload::empty(), options, &mut attempts).await;
            assert_eq!(outcome, Err(CallError::ReadTimeout));
            assert_eq!(statuses(&attempts), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_its_attempt() {
    local(async {
        let silent = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation.request().await;
        })
        .await;
        let world = World::new(upstream(&[silent.address]), Forwarding::default());
        let mut attempts = Attempts::default();
        let arrived = async {
            while silent.requests.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            outcome = call(&world, Payload::empty(), CallOptions::default(), &mut attempts) => panic!("{outcome:?}"),
            () = arrived => {}
        }
        assert_eq!(statuses(&attempts), [0]);
        assert_eq!(attempts[0].endpoint, silent.address);
        assert!(attempts[0].connect.is_some() && attempts[0].header.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_sent_once_in_a_framing_that_the_endpoint_knows() {
    local(async {
        let endpoint = Endpoint::answering(OK).await;
        let world = World::new(upstream(&[endpoint.address]), Forwarding::default());
        for (protocol, framing, body) in [
            (
                Protocol::Http11,
                "Transfer-Encoding: chunked",
                "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ),
            (Protocol::Http10, "Content-Length: 3", "abc"),
        ] {
            let options = CallOptions {
                protocol,
                ..CallOptions::default()
            };
            let body_sent = pieces(&["ab", "c"]);
            let outcome = call(&world, body_sent, options, &mut Attempts::default()).await;
            assert_eq!(outcome.map(|(status, ..)| status), Ok(200));
            let request = endpoint.requests.borrow().last().cloned().unwrap();
            assert!(
                request.contains(framing) && request.ends_with(&format!("\r\n\r\n{body}")),
                "{request}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_fails_is_not_the_endpoints_fault() {
    local(async {
        let endpoint = Endpoint::answering(OK).await;
        let world = World::new(upstream(&[endpoint.address]), Forwarding::default());
        let frames = [
            Ok(http_body::Frame::data(Bytes::from_static(b"ab"))),
            Err(RequestBodyError::Gone),
        ];
        let stream = StreamBody::new(futures_util::stream::iter(frames));
        let mut attempts = Attempts::default();
        let body = Payload::stream(Box::pin(stream), Some(3));
        let outcome = call(&world, body, CallOptions::default(), &mut attempts).await;
        assert_eq!(outcome, Err(CallError::RequestBody(RequestBodyError::Gone)));
        assert_eq!(statuses(&attempts), [0], "neither retried nor blamed");
    })
    .await;
}

#[tokio::test]
async fn a_session_begins_only_for_a_caller_that_has_a_path_for_its_cookie() {
    local(async {
        let endpoint = Endpoint::answering(OK).await;
        let mut sessions = upstream(&[endpoint.address]);
        let affinity = Affinity {
            cookie: "INGRESSCOOKIE".into(),
            mode: AffinityMode::Balanced,
            path: Some("/".into()),
            domain: None,
            max_age: None,
            expires: None,
            always_secure: false,
            same_site: None,
            conditional_same_site_none: false,
            change_on_failure: false,
        };
        sessions.affinity = Some(affinity.into());
        let world = World::new(sessions, Forwarding::default());
        let options = CallOptions::default();
        let outcome = call(&world, Payload::empty(), options, &mut Attempts::default()).await;
        assert_eq!(outcome.map(|(.., began)| began), Ok(false));
        assert!(world.get().await.contains("set-cookie: INGRESSCOOKIE="));
    })
    .await;
}
