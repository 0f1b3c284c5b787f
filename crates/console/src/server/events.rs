//! Pages that are followed: server-sent events with the next version of a page, or with requests as they end.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Console;
use super::refusal::Refusal;
use super::response::{self, Body};
use crate::TapReader;
use crate::address::Target;
use crate::content::Content;
use crate::format::count;
use crate::model::{TapFilter, TapMessage};
use crate::pages;

/// When browsers open a stream again that has ended.
const RETRY: &str = "retry: 2000\n\n";
/// An event that means nothing.
const HEARTBEAT: &str = ":\n\n";
/// Requests that end within this time are sent together: a piece costs more than a request.
const TOGETHER: Duration = Duration::from_millis(200);
/// How long requests are collected for a script that asks for them as JSON, and how many.
const COLLECTED: (Duration, usize) = (Duration::from_secs(1), 200);

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

/// The pieces of a stream. It holds its place among the streams until its connection ends.
struct Stream {
    pieces: mpsc::Receiver<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// The versions of a page, one whenever its content has changed.
pub(super) fn versions(
    console: &Arc<Console>,
    target: Target,
    pace: u32,
) -> Result<Response<Body>, Refusal> {
    let (sender, response) = stream(console, EVENTS)?;
    tokio::spawn(send_versions(console.clone(), target, pace, sender));
    Ok(response)
}

/// Requests as rows of a table.
pub(super) fn rows(console: &Arc<Console>, filter: &TapFilter) -> Result<Response<Body>, Refusal> {
    let reader = console.source.tap(filter)?;
    let (sender, response) = stream(console, EVENTS)?;
    let mut lost = 0;
    let write = move |message: &TapMessage| {
        let mut text = event("row", &pages::tap_row(&message.event).into_string());
        if message.lost > 0 {
            lost += message.lost;
            text += &event("lost", &count(lost));
        }
        text
    };
    tokio::spawn(send_requests(
        console.clone(),
        reader,
        sender,
        write,
        HEARTBEAT,
    ));
    Ok(response)
}

/// Requests as lines of JSON.
pub(super) fn lines(console: &Arc<Console>, filter: &TapFilter) -> Result<Response<Body>, Refusal> {
    let reader = console.source.tap(filter)?;
    let (sender, response) = stream(console, LINES)?;
    let write = |message: &TapMessage| {
        let text = serde_json::to_string(message);
        text.map_or_else(|_| String::new(), |text| text + "\n")
    };
    tokio::spawn(send_requests(console.clone(), reader, sender, write, "\n"));
    Ok(response)
}

/// The requests of the next second.
pub(super) async fn collected(
    console: &Arc<Console>,
    filter: &TapFilter,
) -> Result<Vec<TapMessage>, Refusal> {
    let _permit = permit(console)?;
    let mut reader = console.source.tap(filter)?;
    let (time, most) = COLLECTED;
    let end = Instant::now() + time;
    let mut messages = Vec::new();
    while messages.len() < most {
        match timeout_at(end, reader.next()).await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(messages)
}

fn permit(console: &Console) -> Result<OwnedSemaphorePermit, Refusal> {
    let permit = console.streams.clone().try_acquire_owned();
    permit.map_err(|_| Refusal::STREAMS)
}

/// A response without an end, and where its pieces go. One piece waits: who reads slowly gets newer versions, not all of them.
fn stream(
    console: &Console,
    kind: &'static str,
) -> Result<(mpsc::Sender<Bytes>, Response<Body>), Refusal> {
    let permit = permit(console)?;
    let (sender, pieces) = mpsc::channel(1);
    let stream = Stream {
        pieces,
        _permit: permit,
    };
    Ok((sender, response::with_body(kind, stream.boxed_unsync())))
}

async fn send_versions(
    console: Arc<Console>,
    target: Target,
    pace: u32,
    sender: mpsc::Sender<Bytes>,
) {
    let limits = console.limits;
    let end = Instant::now() + limits.stream_life;
    let mut last = None;
    let mut next_heartbeat = Instant::now() + limits.heartbeat;
    let mut piece = Some(RETRY.to_owned());
    while Instant::now() < end {
        if let Some(piece) = piece.take() {
            next_heartbeat = Instant::now() + limits.heartbeat;
            if sender.send(piece.into()).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = sender.closed() => return,
            () = sleep(limits.tick * pace) => {}
        }
        // Without a page any more the stream ends, and the next request gets the reason.
        let Ok(Some(content)) = Content::read(&*console.source, &target).await else {
            return;
        };
        let page = pages::content(&target, &content).into_string();
        let version = fingerprint(&page);
        if last.replace(version) != Some(version) {
            piece = Some(event("page", &page));
        } else if Instant::now() >= next_heartbeat {
            piece = Some(HEARTBEAT.to_owned());
        }
    }
}

async fn send_requests(
    console: Arc<Console>,
    mut reader: Box<dyn TapReader>,
    sender: mpsc::Sender<Bytes>,
    mut write: impl FnMut(&TapMessage) -> String,
    heartbeat: &'static str,
) {
    let limits = console.limits;
    let end = Instant::now() + limits.stream_life;
    let mut piece = if heartbeat == HEARTBEAT {
        RETRY
    } else {
        heartbeat
    }
    .to_owned();
    loop {
        if sender.send(piece.into()).await.is_err() {
            return;
        }
        piece = tokio::select! {
            () = sender.closed() => return,
            () = sleep_until(end) => return,
            () = sleep(limits.heartbeat) => heartbeat.to_owned(),
            message = reader.next() => match message {
                Some(first) => {
                    let mut piece = write(&first);
                    let together = Instant::now() + TOGETHER;
                    while let Ok(Some(next)) = timeout_at(together, reader.next()).await {
                        piece += &write(&next);
                    }
                    piece
                }
                None => return,
            },
        };
    }
}

/// An event. Its text may have several lines: each is a field.
fn event(name: &str, text: &str) -> String {
    let mut out = format!("event: {name}\n");
    for line in text.split(['\n', '\r']) {
        out += "data: ";
        out += line;
        out.push('\n');
    }
    out.push('\n');
    out
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn text_of_objects_begins_no_event() {
        let text = "a\n\nevent: page\rdata: b";
        let expected = "event: row\ndata: a\ndata: \ndata: event: page\ndata: data: b\n\n";
        assert_eq!(event("row", text), expected);
    }
}
