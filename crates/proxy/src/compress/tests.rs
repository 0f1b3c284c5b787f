//! Which responses are compressed, and that the coded body is the same content.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream;
use headgate_table::MediaTypes;
use http::Request;
use http_body::{Body as HttpBody, Frame};
use http_body_util::{Full, StreamBody};

use super::*;
use crate::upstream::BodyError;

fn coder(coding: Coding, level: u32, min_length: u64) -> Coder {
    Coder {
        coding,
        level,
        min_length,
        types: MediaTypes::parse("application/json"),
    }
}

fn compression(coders: &[Coder]) -> Compression {
    Compression {
        coders: coders.into(),
        gzip_disabled: None,
    }
}

/// A body of unknown length.
fn streamed() -> impl Body {
    StreamBody::new(stream::empty::<Result<Frame<Bytes>, Infallible>>())
}

/// The fields of a response of 300 bytes after compression, and `coded` if its body changed.
fn head(accept: &str, fields: &[(&'static str, &'static str)]) -> String {
    let brotli = coder(Coding::Brotli, 4, 400);
    let compression = compression(&[brotli, coder(Coding::Gzip, 1, 256)]);
    let (parts, ()) = Request::builder()
        .header("accept-encoding", accept)
        .body(())
        .unwrap()
        .into_parts();
    let mut response = Response::builder().status(200);
    for (name, value) in fields {
        if *name == ":status" {
            response = response.status(*value);
        } else {
            response = response.header(*name, *value);
        }
    }
    let mut response = response.body(streamed()).unwrap();
    let offer = Offer::of(&parts, &compression);
    let coder = offer.edit(&mut response);
    let announced = coder.map(|coder| coder.coding.name());
    if let Some(coding) = announced {
        assert_eq!(response.headers().get(CONTENT_ENCODING).unwrap(), coding);
    }
    let mut shown: Vec<_> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "content-type")
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
        .collect();
    shown.sort();
    shown.join("|")
}

const JSON: (&str, &str) = ("content-type", "application/json");
const LONG: (&str, &str) = ("content-length", "300");

#[test]
fn the_head_is_that_of_the_coded_body() {
    let all = [
        JSON,
        LONG,
        ("etag", "\"a\""),
        ("accept-ranges", "bytes"),
        ("vary", "Origin"),
    ];
    assert_eq!(
        head("gzip", &all),
        "content-encoding=gzip|etag=W/\"a\"|vary=Accept-Encoding|vary=Origin"
    );
    let coded = "content-encoding=gzip|vary=Accept-Encoding";
    assert_eq!(head("gzip", &[JSON]), coded);
    assert_eq!(head("gzip", &[JSON, ("etag", "a")]), coded);
    let weak = head("gzip", &[JSON, ("etag", "W/\"a\"")]);
    assert_eq!(
        weak,
        "content-encoding=gzip|etag=W/\"a\"|vary=Accept-Encoding"
    );
    for status in ["403", "404"] {
        assert_eq!(head("gzip", &[JSON, (":status", status)]), coded);
    }
}

#[test]
fn the_first_coding_wins_that_takes_the_response() {
    let longer = ("content-length", "400");
    assert_eq!(
        head("gzip, br", &[JSON, longer]),
        "content-encoding=br|vary=Accept-Encoding"
    );
    assert_eq!(
        head("gzip, br", &[JSON, LONG]),
        "content-encoding=gzip|vary=Accept-Encoding"
    );
}

#[test]
fn other_responses_stay() {
    assert_eq!(
        head("br", &[JSON, LONG]),
        "content-length=300|vary=Accept-Encoding"
    );
    assert_eq!(
        head(
            "gzip",
            &[JSON, LONG, ("cache-control", "no-cache, no-transform")]
        ),
        "cache-control=no-cache, no-transform|content-length=300|vary=Accept-Encoding"
    );
    assert_eq!(
        head("gzip", &[JSON, ("content-length", "255")]),
        "content-length=255"
    );
    assert_eq!(
        head("gzip", &[LONG, ("content-type", "image/png")]),
        "content-length=300"
    );
    assert_eq!(head("gzip", &[LONG]), "content-length=300");
    assert_eq!(
        head("gzip", &[JSON, LONG, ("content-encoding", "br")]),
        "content-encoding=br|content-length=300"
    );
    for status in ["201", "206", "301", "304", "400", "500", "503"] {
        assert_eq!(
            head("gzip", &[JSON, LONG, (":status", status)]),
            "content-length=300"
        );
    }
}

#[test]
fn grpc_is_never_compressed() {
    let compression = compression(&[Coder {
        types: MediaTypes::parse("*"),
        ..coder(Coding::Gzip, 1, 0)
    }]);
    let request = Request::builder().header("accept-encoding", "gzip");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let offer = Offer::of(&parts, &compression);
    for (media, coded) in [("application/grpc+proto", false), ("a/b", true)] {
        let response = Response::builder().header("content-type", media);
        let mut response = response.body(streamed()).unwrap();
        assert_eq!(offer.edit(&mut response).is_some(), coded);
        assert_eq!(response.headers().contains_key(CONTENT_ENCODING), coded);
    }
}

#[test]
fn a_head_request_gets_the_head_only() {
    let compression = compression(&[coder(Coding::Gzip, 1, 0)]);
    for (method, coded) in [("GET", true), ("HEAD", false)] {
        let request = Request::builder().method(method);
        let request = request.header("accept-encoding", "gzip");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let offer = Offer::of(&parts, &compression);
        let response = Response::builder().header("content-type", "application/json");
        let mut response = response.body(streamed()).unwrap();
        assert_eq!(offer.edit(&mut response).is_some(), coded, "{method}");
        assert_eq!(response.headers().get(CONTENT_ENCODING).unwrap(), "gzip");
    }
}

#[test]
fn some_requests_get_no_gzip() {
    let mut compression = compression(&[coder(Coding::Gzip, 1, 0)]);
    compression.gzip_disabled = Some(headgate_table::Pattern::case_insensitive("old").unwrap());
    let accepted = |request: http::request::Builder| {
        let request = request.header("accept-encoding", "gzip").body(()).unwrap();
        Offer::of(&request.into_parts().0, &compression).gzip
    };
    assert!(accepted(Request::builder()));
    let old = Request::builder().header("user-agent", "Very OLD");
    assert!(!accepted(old));
    assert!(!accepted(Request::builder().version(Version::HTTP_10)));
}

/// A body of these steps; `None` is pending once.
struct Steps(Vec<Option<Frame<Bytes>>>);

impl HttpBody for Steps {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0.remove(0) {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Pending,
        }
    }
}

fn data(bytes: impl Into<Bytes>) -> Option<Frame<Bytes>> {
    Some(Frame::data(bytes.into()))
}

fn decode(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let mut plain = vec![0; 4 << 20];
    let mut length = 0;
    let mut reader: Box<dyn Read> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
    };
    // An unfinished stream ends in an error after what was flushed.
    while let Ok(read) = reader.read(&mut plain[length..]) {
        if read == 0 {
            break;
        }
        length += read;
    }
    plain.truncate(length);
    plain
}

const CODERS: [(Coding, u32); 5] = [
    (Coding::Gzip, 1),
    (Coding::Gzip, 9),
    (Coding::Brotli, 0),
    (Coding::Brotli, 6),
    (Coding::Zstd, 3),
];

#[test]
fn content_and_trailers_survive() {
    let text: String = (0..200_000).map(|n| format!("{{\"n\":{n}}},")).collect();
    let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("t"))]);
    for (coding, level) in CODERS {
        let steps = vec![
            data(text.clone()),
            None,
            data("end"),
            Some(Frame::trailers(trailers.clone())),
        ];
        let mut body = Compressed::new(Steps(steps), &coder(coding, level, 0)).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut coded, mut seen, mut pauses) = (Vec::new(), None, 0);
        loop {
            match body.poll_next(&mut cx) {
                Poll::Pending => pauses += 1,
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => match frame.unwrap().into_data() {
                    Ok(bytes) => coded.extend_from_slice(&bytes),
                    Err(frame) => seen = frame.into_trailers().ok(),
                },
            }
        }
        assert!(body.is_end());
        assert_eq!(seen.as_ref(), Some(&trailers));
        assert!(coded.len() < text.len() / 2);
        assert!(
            pauses >= text.len() / (64 << 10),
            "others must run: {pauses}"
        );
        assert_eq!(
            decode(coding, &coded),
            format!("{text}end").into_bytes(),
            "{coding:?}"
        );
    }
}

#[test]
fn an_event_is_sent_at_once() {
    for (coding, level) in CODERS {
        let steps = vec![data("data: 1\n\n"), None, data("data: 2\n\n"), None];
        let mut body = Compressed::new(Steps(steps), &coder(coding, level, 0)).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut coded = Vec::new();
        let mut next = |coded: &mut Vec<u8>| match body.poll_next(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => coded.extend_from_slice(frame.data_ref().unwrap()),
            other => panic!("{coding:?}: {other:?}"),
        };
        next(&mut coded);
        assert_eq!(decode(coding, &coded), b"data: 1\n\n", "{coding:?}");
        next(&mut coded);
        assert_eq!(
            decode(coding, &coded),
            b"data: 1\n\ndata: 2\n\n",
            "{coding:?}"
        );
    }
}

#[test]
fn a_page_of_the_proxy_counts_by_its_length() {
    let compression = compression(&[coder(Coding::Gzip, 1, 256)]);
    let request = Request::builder().header("accept-encoding", "gzip");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let offer = Offer::of(&parts, &compression);
    for (length, coded) in [(0, false), (255, false), (256, true)] {
        let response = Response::builder().header("content-type", "application/json");
        let mut response = response
            .body(Full::new(Bytes::from(vec![b'x'; length])))
            .unwrap();
        assert_eq!(offer.edit(&mut response).is_some(), coded, "{length}");
        assert_eq!(response.headers().contains_key(VARY), coded, "{length}");
    }
}
