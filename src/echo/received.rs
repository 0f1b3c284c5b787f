//! A request as the echo backend received it, as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, request};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::Serialize;

/// Longest accepted request body, in bytes.
const MAX_BODY: u64 = 64 << 20;
/// How much of a request body is shown, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Why a request body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError<E> {
    #[error("the request body is longer than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the request body is incomplete")]
    Broken(#[source] E),
}

/// A request body: its length, and its beginning.
#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: u64,
    kept: Vec<u8>,
    trailers: HeaderMap,
}

impl Content {
    pub(super) async fn read<B>(mut body: B) -> Result<Self, BodyError<B::Error>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut content = Self::default();
        while let Some(frame) = body.frame().await {
            match frame.map_err(BodyError::Broken)?.into_data() {
                Ok(data) => content.add(&data)?,
                Err(frame) => content
                    .trailers
                    .extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Ok(content)
    }

    fn add<E>(&mut self, data: &[u8]) -> Result<(), BodyError<E>> {
        self.bytes += data.len() as u64;
        if self.bytes > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        let room = MAX_TEXT - self.kept.len();
        self.kept.extend_from_slice(&data[..room.min(data.len())]);
        Ok(())
    }

    /// The beginning of the body, if it is text. A character that was cut in two is left out.
    fn text(&self) -> Option<&str> {
        let is_cut = self.bytes > self.kept.len() as u64;
        match std::str::from_utf8(&self.kept) {
            Ok(text) => Some(text),
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&self.kept[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }
}

/// The JSON object; names are in camel case.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    name: &'a str,
    method: &'a str,
    uri: String,
    path: &'a str,
    query: Option<&'a str>,
    version: String,
    /// The authority of the request target (HTTP/2, and absolute form in HTTP/1.1), else the Host field.
    host: Option<Cow<'a, str>>,
    headers: Fields<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    trailers: Fields<'a>,
    /// The first 64 KiB, or null when they are not UTF-8.
    body: Option<&'a str>,
    body_bytes: u64,
    remote: SocketAddr,
}

/// Lower-case names and their values in order of arrival. Bytes that are not UTF-8 become replacement characters.
type Fields<'a> = BTreeMap<&'a str, Vec<Cow<'a, str>>>;

/// The JSON for a request from `remote` to the backend `name`, with a final newline.
pub(super) fn to_json(
    name: &str,
    remote: SocketAddr,
    head: &request::Parts,
    content: &Content,
) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec(&Received {
        name,
        method: head.method.as_str(),
        uri: head.uri.to_string(),
        path: head.uri.path(),
        query: head.uri.query(),
        version: format!("{:?}", head.version),
        host: host(head),
        headers: fields(&head.headers),
        trailers: fields(&content.trailers),
        body: content.text(),
        body_bytes: content.bytes,
        remote,
    })?;
    json.push(b'\n');
    Ok(json)
}

fn host(head: &request::Parts) -> Option<Cow<'_, str>> {
    let field = || Some(String::from_utf8_lossy(head.headers.get(HOST)?.as_bytes()));
    match head.uri.authority() {
        Some(authority) => Some(authority.as_str().into()),
        None => field(),
    }
}

fn fields(headers: &HeaderMap) -> Fields<'_> {
    let mut fields = Fields::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        fields.entry(name.as_str()).or_default().push(value);
    }
    fields
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    async fn read(chunks: Vec<Bytes>) -> Result<Content, BodyError<std::convert::Infallible>> {
        let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
        Content::read(StreamBody::new(stream::iter(frames))).await
    }

    #[tokio::test]
    async fn keeps_the_beginning_and_counts_all() {
        let content = read(vec![vec![b'a'; MAX_TEXT - 1].into(), "é and more".into()])
            .await
            .unwrap();
        assert_eq!(content.bytes, MAX_TEXT as u64 + 10);
        assert_eq!(content.text().map(str::len), Some(MAX_TEXT - 1));
    }

    #[tokio::test]
    async fn text_is_utf8_to_its_end() {
        let half_a_character = read(vec![Bytes::from_static(b"caf\xc3")]).await.unwrap();
        assert_eq!(half_a_character.text(), None);
        let two_halves = read(vec![
            Bytes::from_static(b"caf\xc3"),
            Bytes::from_static(b"\xa9"),
        ])
        .await
        .unwrap();
        assert_eq!(two_halves.text(), Some("café"));
    }

    #[tokio::test]
    async fn refuses_a_body_beyond_the_limit() {
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        let mut chunks = vec![mebibyte; 64];
        assert_eq!(read(chunks.clone()).await.unwrap().bytes, MAX_BODY);
        chunks.push("x".into());
        assert!(matches!(read(chunks).await, Err(BodyError::TooLarge)));
    }
}
