//! Limits HTTP/2 control frames, which cost the proxy more than the client.
//!
//! The library bounds how many of them it responds to at once, not how many it reads: a client can send PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE or RST_STREAM frames for ever, at next to no cost (CVE-2019-9512 and its relatives). Here a
//! client has an allowance of them. Requests add to it, and so does data sent to the client, which causes window updates
//! and the pings of bandwidth estimators; time restores some. Frames are found by their headers alone (RFC 9113 section
//! 4.1). Malformed ones are left to the library.

mod received;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use self::received::Received;

/// Control frames that a connection may send in [`WINDOW`] without earning them.
const FREE: u32 = 1000;
/// The time after which [`FREE`] of them are allowed again.
const WINDOW: Duration = Duration::from_secs(10);
/// Control frames that one request, or one data frame sent to the client, earns.
const EARNED: u32 = 4;
/// Largest allowance.
const SAVED: u32 = 100_000;

/// Largest payload of a frame that is accepted, bytes: the smallest bound that the protocol allows.
pub(super) const LARGEST: u32 = 16 << 10;

/// Bytes that are read at once while a frame is held until it has arrived whole.
const HELD: usize = 1 << 10;

/// Length of the client's connection preface, which is not a frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
/// The type of a frame that ends a stream with an error (RFC 9113 section 6.4).
const RST_STREAM: u8 = 3;
/// The flag of a PING frame that acknowledges another (RFC 9113 section 6.7).
const ACK: u8 = 1;

/// How many control frames a client may still send, and what its frames say.
pub(super) struct Allowance {
    left: Cell<u32>,
    since: Cell<Instant>,
    frames: Cell<u64>,
    pongs: Cell<u64>,
}

impl Allowance {
    /// An allowance of [`FREE`] frames.
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(FREE),
            since: Cell::new(Instant::now()),
            frames: Cell::new(0),
            pongs: Cell::new(0),
        })
    }

    /// Number of other frames of the client.
    pub(super) fn frames(&self) -> u64 {
        self.frames.get()
    }

    /// Number of pings that the client has acknowledged.
    pub(super) fn pongs(&self) -> u64 {
        self.pongs.get()
    }

    /// The client has sent more than allowed.
    pub(super) fn exceeded(&self) -> bool {
        self.left.get() == 0
    }

    /// A frame of the client.
    fn note(&self, kind: Kind) {
        let counter = match kind {
            Kind::Pong => &self.pongs,
            _ => &self.frames,
        };
        counter.set(counter.get() + 1);
        match kind {
            Kind::Headers => self.earn(),
            Kind::Pong | Kind::Control => self.spend(),
            // The library bounds the useless ones of these.
            Kind::Data | Kind::Continuation => {}
        }
    }

    fn earn(&self) {
        if !self.exceeded() {
            self.left.set((self.left.get() + EARNED).min(SAVED));
        }
    }

    fn spend(&self) {
        if self.left.get() == 1 && self.since.get().elapsed() >= WINDOW {
            self.since.set(Instant::now());
            self.left.set(FREE);
        }
        self.left.set(self.left.get().saturating_sub(1));
    }
}

/// A stream of HTTP/2 frames that are counted in both directions.
pub(super) struct Framed<S> {
    /// Shared with what closes it when the protocol has ended.
    stream: Rc<RefCell<S>>,
    received: Received,
    sent: Frames,
    allowance: Rc<Allowance>,
}

impl<S> Framed<S> {
    /// Counts the frames of `stream` from its first byte.
    pub(super) fn new(stream: Rc<RefCell<S>>, allowance: Rc<Allowance>) -> Self {
        Self {
            stream,
            received: Received::new(),
            sent: Frames::default(),
            allowance,
        }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        let Self {
            received,
            sent,
            allowance,
            ..
        } = self;
        sent.feed(bytes, |header| {
            if header.kind.is_payload() {
                allowance.earn();
            }
            if header.number == RST_STREAM {
                received.forget(header.stream);
            }
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.allowance.exceeded() {
            return Poll::Pending; // the task that polls the connection checks the allowance as well, and ends it
        }
        let allowance = &this.allowance;
        let note = &mut |kind| allowance.note(kind);
        let before = buf.filled().len();
        loop {
            if this.received.take(buf) {
                return Poll::Ready(Ok(()));
            }
            let mut stream = this.stream.borrow_mut();
            let stream = Pin::new(&mut *stream);
            if this.received.is_holding() {
                let mut bytes = [0; HELD];
                let mut more = ReadBuf::new(&mut bytes);
                ready!(stream.poll_read(cx, &mut more))?;
                this.received.add(more.filled(), note);
                continue;
            }
            ready!(stream.poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            this.received.scan(buf, before, note);
            if read == 0 || buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, buf))?;
        self.note_sent(buf.get(..n).unwrap_or_default());
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, bufs))?;
        let mut left = n;
        for buf in bufs {
            let taken = buf.len().min(left);
            self.note_sent(&buf[..taken]);
            left -= taken;
        }
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// Types of frames, as far as the allowance distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Headers,
    Continuation,
    /// The acknowledgement of a ping.
    Pong,
    /// All others, those of unknown types included.
    Control,
}

impl Kind {
    const CONTINUATION: u8 = 9;

    fn of(number: u8, flags: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            6 if flags & ACK != 0 => Self::Pong,
            Self::CONTINUATION => Self::Continuation,
            _ => Self::Control,
        }
    }

    fn is_payload(self) -> bool {
        matches!(self, Self::Data | Self::Headers)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
struct Header {
    length: usize,
    number: u8,
    kind: Kind,
    flags: u8,
    stream: u32,
}

impl Header {
    /// The header that `bytes` begin with; `None`: they end before it does.
    fn of(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, number, flags, d, e, f, g] = *bytes.first_chunk::<FRAME_HEADER>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            number,
            kind: Kind::of(number, flags),
            flags,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]), // the first bit is reserved
        })
    }
}

/// Finds the frames that are sent.
#[derive(Default)]
struct Frames {
    /// The header of the next frame, as far as it is known.
    header: [u8; FRAME_HEADER],
    known: usize,
    /// Bytes before that header.
    skip: usize,
}

impl Frames {
    /// Scans the next bytes, and calls `each` for every frame whose header they complete.
    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Header)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let missing = &mut self.header[self.known..];
            let taken = missing.len().min(bytes.len());
            if taken == 0 {
                return;
            }
            missing[..taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            self.known += taken;
            if self.known == FRAME_HEADER
                && let Some(header) = Header::of(&self.header)
            {
                self.skip = header.length;
                self.known = 0;
                each(header);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![
            0,
            (payload >> 8) as u8,
            payload as u8,
            number,
            0,
            0,
            0,
            0,
            1,
        ];
        bytes.resize(FRAME_HEADER + payload, 0xab);
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut pong = frame(6, 8);
        pong[4] = ACK;
        let bytes = [
            frame(4, 0),
            frame(1, 300),
            frame(9, 1),
            frame(0, 700),
            frame(0xee, 3),
            pong,
        ]
        .concat();
        let expected = [
            Kind::Control,
            Kind::Headers,
            Kind::Continuation,
            Kind::Data,
            Kind::Control,
            Kind::Pong,
        ];
        for size in [1, 2, 8, 9, 10, 33, 34, 500, bytes.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                frames.feed(piece, |header| found.push(header.kind));
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn control_frames_are_allowed_slowly_or_when_earned() {
        let slow = Allowance::new();
        for _ in 0..50 {
            (0..FREE - 1).for_each(|_| slow.spend());
            tokio::time::advance(WINDOW).await;
        }
        assert!(!slow.exceeded(), "a thousand in ten seconds");

        let fast = Allowance::new();
        (0..FREE - 1).for_each(|_| fast.spend());
        assert!(!fast.exceeded());
        fast.earn();
        (0..EARNED).for_each(|_| fast.spend());
        assert!(!fast.exceeded());
        fast.spend();
        assert!(fast.exceeded());
        fast.earn();
        tokio::time::advance(WINDOW).await;
        fast.spend();
        assert!(fast.exceeded(), "an exceeded allowance stays exceeded");
    }
}
