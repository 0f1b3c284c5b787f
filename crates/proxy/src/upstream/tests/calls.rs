//! Calls of the process itself: without a client's request, without a route.

use super::*;
use crate::upstream::options::Protocol;
use crate::upstream::testing::statuses;
use crate::upstream::{
    Attempts, Call, CallError, CallOptions, NoClient, Payload, RequestBodyError,
};
use bytes::Bytes;
use headgate_http1::Unpiped;
use headgate_table::{Affinity, AffinityMode, Forwarding, Retry, RetryOn, Upstream};
use http_body_util::{BodyExt, StreamBody};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

/// Status and body of the response, and whether a session began.
pub(super) type Outcome = Result<(u16, Bytes, bool), CallError>;

/// A process that calls an upstream.
pub(super) struct Process {
    world: Rc<World>,
    /// Those of the last call.
    attempts: Attempts,
}

impl Process {
    /// Calls an upstream with these endpoints.
    pub(super) fn calling(endpoints: &[SocketAddr]) -> Self {
        Self::calling_upstream(upstream(endpoints))
    }

    fn calling_upstream(upstream: Upstream) -> Self {
        Self {
            world: World::new(upstream, Forwarding::default()),
            attempts: Attempts::default(),
        }
    }

    /// Sends a PUT with `body`. The options are those of the call, not those of forwarding.
    pub(super) async fn call(&mut self, body: Payload, options: CallOptions<'_>) -> Outcome {
        let head = http::Request::put("/own").header("host", "own.internal");
        let World {
            upstreams,
            upstream,
            settings,
            ..
        } = &*self.world;
        self.attempts = Attempts::default();
        let call = Call {
            target: upstreams.target(upstream, options.connect_timeout).await?,
            head: head.body(()).unwrap().into_parts().0,
            body,
            options,
            pool: &settings.pool,
            input: &NoClient,
        };
        let reply = upstreams.call(call, &mut self.attempts).await?;
        let status = reply.response.status().as_u16();
        let body = reply.response.into_body().collect().await.unwrap();
        Ok((status, body.to_bytes(), reply.session_cookie.is_some()))
    }

    fn statuses(&self) -> Vec<u16> {
        statuses(&self.attempts)
    }
}

fn twice(on: RetryOn) -> Retry {
    Retry {
        on,
        tries: NonZeroU32::new(2),
        ..Retry::default()
    }
}

fn stream(
    frames: impl IntoIterator<Item = Result<&'static str, RequestBodyError>> + 'static,
    length: Option<u64>,
) -> Payload {
    let frames = frames
        .into_iter()
        .map(|text| text.map(|text| http_body::Frame::data(Bytes::from_static(text.as_bytes()))));
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Payload::stream(Box::pin(Unpiped(body)), length)
}

#[tokio::test]
async fn bytes_are_sent_again_and_every_attempt_is_there() {
    local(async {
        // The first connection is closed without a response.
        let endpoint = Endpoint::start(|number, mut conversation| async move {
            conversation.request().await;
            if number > 0 {
                conversation.respond(OK).await;
            }
        })
        .await;
        let mut process = Process::calling(&[endpoint.address]);
        let body = Payload::bytes(Bytes::from_static(b"content"));
        let outcome = process.call(body, CallOptions::default()).await;
        assert_eq!(outcome, Ok((200, Bytes::from_static(b"ok"), false)));
        assert_eq!(process.statuses(), [502, 200]);
        assert_eq!(process.attempts[1].progress.bytes.get(), 2);
        let requests = endpoint.requests.borrow();
        assert!(requests.len() == 2 && requests[0] == requests[1]);
        assert!(requests[1].starts_with("PUT /own ") && requests[1].ends_with("\r\n\r\ncontent"));
    })
    .await;
}

#[tokio::test]
async fn attempts_are_there_when_the_call_fails() {
    local(async {
        let mut process = Process::calling(&[unused_address().await]);
        let options = CallOptions {
            retry: twice(Retry::default().on),
            ..CallOptions::default()
        };
        let outcome = process.call(Payload::empty(), options).await;
        assert_eq!(outcome, Err(CallError::Connect));
        assert_eq!(process.statuses(), [502, 502]);
        let mut attempts = process.attempts.iter();
        assert!(attempts.all(|attempt| attempt.connect.is_none()));
    })
    .await;
}

#[tokio::test]
async fn times_and_retries_are_those_of_the_call() {
    local(async {
        let silent = Endpoint::silent().await;
        let mut process = Process::calling(&[silent.address]);
        for (retry, expected) in [
            (twice(RetryOn::default()), &[504][..]),
            (twice(Retry::default().on), &[504, 504]),
        ] {
            let options = CallOptions {
                read_timeout: Duration::from_millis(30),
                retry,
                ..CallOptions::default()
            };
            let outcome = process.call(Payload::empty(), options).await;
            assert_eq!(outcome, Err(CallError::ReadTimeout));
            assert_eq!(process.statuses(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_its_attempt() {
    local(async {
        let silent = Endpoint::silent().await;
        let mut process = Process::calling(&[silent.address]);
        let arrived = async {
            while silent.requests.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            outcome = process.call(Payload::empty(), CallOptions::default()) => panic!("{outcome:?}"),
            () = arrived => {}
        }
        assert_eq!(process.statuses(), [0]);
        let attempt = &process.attempts[0];
        assert_eq!(attempt.endpoint, silent.address);
        assert!(attempt.connect.is_some() && attempt.header.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_sent_once_in_a_framing_that_the_endpoint_knows() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let mut process = Process::calling(&[endpoint.address]);
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
            let outcome = process
                .call(stream([Ok("ab"), Ok("c")], None), options)
                .await;
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
        let endpoint = Endpoint::responding(OK).await;
        let mut process = Process::calling(&[endpoint.address]);
        let body = stream([Ok("ab"), Err(RequestBodyError::Gone)], Some(3));
        let outcome = process.call(body, CallOptions::default()).await;
        assert_eq!(outcome, Err(CallError::RequestBody(RequestBodyError::Gone)));
        assert_eq!(
            process.statuses(),
            [0],
            "not retried, and no status of the endpoint"
        );
    })
    .await;
}

#[tokio::test]
async fn a_session_begins_only_for_a_caller_that_has_a_path_for_its_cookie() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
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
        let mut process = Process::calling_upstream(sessions);
        let outcome = process.call(Payload::empty(), CallOptions::default()).await;
        assert_eq!(outcome.map(|(.., began)| began), Ok(false));
        let forwarded = process.world.get().await;
        assert!(forwarded.contains("Set-Cookie: INGRESSCOOKIE="));
    })
    .await;
}
