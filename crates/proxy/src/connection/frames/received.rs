//! The frames that a client sends, on their way to the library.
//!
//! A pseudo-header field in trailers makes a request malformed (RFC 9113 section 8.1), but the library drops it there. It
//! does refuse one that follows a regular field. Therefore a regular field is added before the fields of trailers: an empty
//! `host`, which is never forwarded as a trailer field. It is one byte, and changes no compression table.

use std::collections::BTreeSet;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::ReadBuf;

use super::{FRAME_HEADER, Header, Kind, LARGEST, PREFACE, RST_STREAM};

/// Streams that are followed.
const UNENDED: usize = 1000;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Length of the priority of a HEADERS frame (RFC 9113 section 6.2).
const PRIORITY_LENGTH: usize = 5;

/// The field `host` with an empty value, by its index in the static table (RFC 7541 appendix A).
const MARK: u8 = 0x80 | 38;

/// Finds frames in what a client sends, and marks trailers.
pub(super) struct Received {
    /// Bytes before the next header.
    skip: usize,
    /// Streams whose requests have not ended. HEADERS that end one of them are trailers.
    unended: BTreeSet<u32>,
    /// Trailers whose fields have not begun.
    begun: Option<Updates>,
    /// Bytes from a header on that has not arrived whole, or is of trailers that have not.
    held: BytesMut,
    /// Bytes that the library has not read.
    ready: BytesMut,
}

impl Received {
    /// What a client sends from its first byte.
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            unended: BTreeSet::new(),
            begun: None,
            held: BytesMut::new(),
            ready: BytesMut::new(),
        }
    }

    /// Bytes that the library has not read are moved to `buf`. Whether there were any.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let n = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready.split_to(n));
        if self.ready.is_empty() {
            self.ready = BytesMut::new();
        }
        true
    }

    /// Whether what arrives next belongs to what is held ([`Self::add`]).
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The next bytes while some are held, none at the end of the stream. Calls `each` for every frame.
    pub(super) fn add(&mut self, bytes: &[u8], each: &mut impl FnMut(Kind)) {
        if bytes.is_empty() {
            self.ready = std::mem::take(&mut self.held);
            return;
        }
        self.held.extend_from_slice(bytes);
        self.release(each);
    }

    /// Scans what was read to `buf` after `before` bytes; keeps what cannot be passed on yet. Calls `each` for every frame.
    pub(super) fn scan(
        &mut self,
        buf: &mut ReadBuf<'_>,
        before: usize,
        each: &mut impl FnMut(Kind),
    ) {
        let read = buf.filled().get(before..).unwrap_or_default();
        let passed = self.pass(read, each);
        if let Some(kept @ [_, ..]) = read.get(passed..) {
            self.held.extend_from_slice(kept);
            buf.set_filled(before + passed);
            self.release(each);
        }
    }

    /// Passes on what is held, as far as it has arrived whole. Calls `each` for every frame.
    fn release(&mut self, each: &mut impl FnMut(Kind)) {
        let mut held = std::mem::take(&mut self.held);
        loop {
            let passed = self.pass(&held, each);
            self.ready.extend_from_slice(&held.split_to(passed));
            let Some(header) = Header::of(&held) else {
                break;
            };
            let Some(payload) = held.get(FRAME_HEADER..FRAME_HEADER + header.length) else {
                break;
            };
            each(header.kind);
            self.follow(header);
            self.mark(header, payload);
            held.advance(FRAME_HEADER + header.length);
        }
        if !held.is_empty() {
            self.held = held;
        }
    }

    /// How many of `bytes` can be passed on as they are: those before a header that is not whole, or that begins a part of
    /// trailers.
    fn pass(&mut self, bytes: &[u8], each: &mut impl FnMut(Kind)) -> usize {
        let mut at = self.skip.min(bytes.len());
        self.skip -= at;
        while let Some(header) = bytes.get(at..).and_then(Header::of) {
            if self.is_part_of_trailers(header) {
                break;
            }
            self.follow(header);
            each(header.kind);
            at += FRAME_HEADER;
            let payload = header.length.min(bytes.len() - at);
            self.skip = header.length - payload;
            at += payload;
        }
        at
    }

    /// Notes which requests have not ended.
    fn follow(&mut self, header: Header) {
        match header.kind {
            Kind::Headers | Kind::Data if header.flags & END_STREAM != 0 => {
                self.unended.remove(&header.stream);
            }
            Kind::Headers => {
                self.unended.insert(header.stream);
                // More than the library allows, which has ended others.
                if self.unended.len() > UNENDED {
                    self.unended.pop_first();
                }
            }
            _ if header.number == RST_STREAM => self.forget(header.stream),
            _ => {}
        }
    }

    /// The client or the proxy has reset `stream`: what arrives on it is no trailers.
    pub(super) fn forget(&mut self, stream: u32) {
        self.unended.remove(&stream);
    }

    /// Whether the fields of trailers may begin in a frame.
    fn is_part_of_trailers(&self, header: Header) -> bool {
        let is_part = match header.kind {
            Kind::Headers => {
                header.flags & END_STREAM != 0 && self.unended.contains(&header.stream)
            }
            Kind::Continuation => self.begun.is_some(),
            _ => false,
        };
        // The library refuses longer ones by their headers.
        is_part && header.length <= LARGEST as usize
    }

    /// Passes on a frame of trailers with the mark before its first field.
    fn mark(&mut self, header: Header, payload: &[u8]) {
        let Some(block) = header.block(payload) else {
            self.put(header, &[payload]); // malformed
            return;
        };
        let mut updates = self.begun.take().unwrap_or_default();
        let Some(at) = updates.end(block) else {
            self.begun = (header.flags & END_HEADERS == 0).then_some(updates);
            self.put(header, &[payload]);
            return;
        };
        // Two frames, since the mark may make one too long.
        let (before, fields) = block.split_at(at);
        let first = Header {
            flags: header.flags & END_STREAM,
            ..header
        };
        let rest = Header {
            number: Kind::CONTINUATION,
            flags: header.flags & END_HEADERS,
            ..header
        };
        self.put(first, &[before, &[MARK]]);
        self.put(rest, &[fields]);
    }

    /// Passes on a frame with this payload.
    fn put(&mut self, header: Header, payload: &[&[u8]]) {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        self.ready.put_uint(length as u64, 3);
        self.ready.put_u8(header.number);
        self.ready.put_u8(header.flags);
        self.ready.put_u32(header.stream);
        for part in payload {
            self.ready.put_slice(part);
        }
    }
}

impl Header {
    /// The part of a header block in the payload of this frame, without priority and padding; `None` if they are malformed.
    fn block(self, payload: &[u8]) -> Option<&[u8]> {
        if self.kind == Kind::Continuation {
            return Some(payload);
        }
        let (padding, block) = match self.flags & PADDED {
            0 => (0, payload),
            _ => payload
                .split_first()
                .map(|(padding, block)| (usize::from(*padding), block))?,
        };
        let block = match self.flags & PRIORITY {
            0 => block,
            _ => block.get(PRIORITY_LENGTH..)?,
        };
        block.get(..block.len().checked_sub(padding)?)
    }
}

/// The changes of the table's size that a header block may begin with (RFC 7541 section 4.2).
#[derive(Clone, Copy, Debug, Default)]
struct Updates {
    /// Within the number of one.
    in_number: bool,
}

impl Updates {
    /// Where the first field begins in the next part of a block; `None`: after it.
    fn end(&mut self, block: &[u8]) -> Option<usize> {
        block.iter().position(|byte| {
            if self.in_number {
                self.in_number = byte & 0x80 != 0;
                return false;
            }
            self.in_number = byte & 0x3f == 0x3f;
            byte & 0xe0 != 0x20
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = Kind::CONTINUATION;
    /// `:path: /`.
    const PATH: u8 = 0x84;

    fn frame(number: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len().to_be_bytes();
        let header = [number, flags, 0, 0, 0, stream];
        [&length[5..], &header, payload].concat()
    }

    /// What the library reads when the client sends `frames` in pieces of `size`, and reads `room` bytes at once.
    fn read(frames: &[Vec<u8>], size: usize, room: usize) -> (Vec<u8>, Vec<Kind>) {
        let mut received = Received::new();
        let (mut out, mut kinds) = (Vec::new(), Vec::new());
        let mut bytes = vec![0; room];
        let sent = [vec![0xab; PREFACE], frames.concat()].concat();
        for piece in sent.chunks(size).map(Some).chain([None]) {
            let mut piece = piece;
            loop {
                let mut buf = ReadBuf::new(&mut bytes);
                if received.take(&mut buf) {
                    out.extend_from_slice(buf.filled());
                    continue;
                }
                let each = &mut |kind| kinds.push(kind);
                let Some(part) = piece.as_mut().filter(|part| !part.is_empty()) else {
                    break;
                };
                if received.is_holding() {
                    received.add(std::mem::take(part), each);
                } else {
                    let (now, later) = part.split_at(part.len().min(room));
                    buf.put_slice(now);
                    *part = later;
                    received.scan(&mut buf, 0, each);
                    out.extend_from_slice(buf.filled());
                }
            }
            if piece.is_none() {
                received.add(&[], &mut |_| ());
                out.extend_from_slice(&received.ready);
            }
        }
        (out.split_off(PREFACE), kinds)
    }

    /// Checks what becomes of `sent` however it is cut.
    fn check(what: &str, sent: &[Vec<u8>], expected: &[Vec<u8>], kinds: &[Kind]) {
        for (size, room) in [1, 2, 5, 9, 10, 23, 64, 1 << 20]
            .into_iter()
            .flat_map(|size| [3, 40, 1 << 20].map(|room| (size, room)))
        {
            let (out, found) = read(sent, size, room);
            let at = format!("{what}, in pieces of {size}, read in pieces of {room}");
            assert_eq!(out, expected.concat(), "{at}");
            assert_eq!(found, kinds, "{at}");
        }
    }

    #[test]
    fn trailers_are_marked_however_the_bytes_are_cut() {
        use Kind::{Continuation, Control, Data, Headers};
        let head = |stream| frame(HEADERS, END_HEADERS, stream, &[0x83, 0x86, PATH]);
        let data = |stream| frame(0, 0, stream, &[7; 300]);
        let trailers = |flags, payload: &[u8]| frame(HEADERS, flags | END_STREAM, 1, payload);
        let marked = |before: &[u8], fields: &[u8]| {
            let first = [before, &[MARK]].concat();
            [
                frame(HEADERS, END_STREAM, 1, &first),
                frame(CONTINUATION, END_HEADERS, 1, fields),
            ]
            .concat()
        };
        let all = END_HEADERS;
        let cases = [
            ("plain", vec![trailers(all, &[PATH])], marked(&[], &[PATH])),
            (
                "padded, with a priority",
                vec![trailers(
                    all | PADDED | PRIORITY,
                    &[2, 0, 0, 0, 0, 9, PATH, 0, 0],
                )],
                marked(&[], &[PATH]),
            ),
            (
                "updates of the table size",
                vec![trailers(all, &[0x20, 0x3f, 0xe1, 0x1f, PATH])],
                marked(&[0x20, 0x3f, 0xe1, 0x1f], &[PATH]),
            ),
            (
                "an update that ends in the next frame",
                vec![
                    trailers(0, &[0x3f, 0xe1]),
                    frame(CONTINUATION, 0, 1, &[0x1f]),
                    frame(CONTINUATION, END_HEADERS, 1, &[PATH]),
                ],
                [
                    trailers(0, &[0x3f, 0xe1]),
                    frame(CONTINUATION, 0, 1, &[0x1f]),
                    frame(CONTINUATION, 0, 1, &[MARK]),
                    frame(CONTINUATION, END_HEADERS, 1, &[PATH]),
                ]
                .concat(),
            ),
            (
                "no fields",
                vec![trailers(all, &[0x20])],
                trailers(all, &[0x20]),
            ),
            (
                "more padding than there is",
                vec![trailers(all | PADDED, &[9, PATH])],
                trailers(all | PADDED, &[9, PATH]),
            ),
        ];
        for (what, sent, expected) in cases {
            let kinds: Vec<_> = [Headers, Data, Headers, Data, Headers]
                .into_iter()
                .chain(sent.iter().skip(1).map(|_| Continuation))
                .chain([Headers, Control])
                .collect();
            let before = [head(1), data(1), head(3), data(3)];
            let after = [head(5), frame(4, 0, 0, &[])];
            let sent = [&before[..], &sent, &after].concat();
            let expected = [&before[..], &[expected], &after].concat();
            check(what, &sent, &expected, &kinds);
        }
    }

    #[test]
    fn the_longest_trailers_stay_within_the_largest_frame() {
        let head = frame(HEADERS, END_HEADERS, 1, &[PATH]);
        let long = vec![PATH; LARGEST as usize];
        let sent = [head.clone(), frame(HEADERS, 5, 1, &long)];
        let marked = [
            head,
            frame(HEADERS, END_STREAM, 1, &[MARK]),
            frame(CONTINUATION, END_HEADERS, 1, &long),
        ];
        check("longest", &sent, &marked, &[Kind::Headers, Kind::Headers]);
    }

    /// Otherwise those that are reset would push out others.
    #[tokio::test]
    async fn streams_that_the_proxy_resets_are_forgotten() {
        use std::cell::RefCell;
        use std::rc::Rc;

        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        use super::super::{Allowance, Framed};

        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut framed = Framed::new(Rc::new(RefCell::new(server)), Allowance::new());
        let head = |stream| frame(HEADERS, END_HEADERS, stream, &[PATH]);
        let sent = [vec![0xab; PREFACE], head(1), head(3)].concat();
        client.write_all(&sent).await.unwrap();
        framed.read_exact(&mut vec![0; sent.len()]).await.unwrap();
        assert_eq!(framed.received.unended, [1, 3].into());
        let reset = frame(RST_STREAM, 0, 1, &[0; 4]);
        framed.write_all(&reset).await.unwrap();
        assert_eq!(framed.received.unended, [3].into());
    }

    #[test]
    fn headers_that_are_no_trailers_pass_as_they_are() {
        let head = |flags, stream| frame(HEADERS, flags | END_HEADERS, stream, &[PATH]);
        let ended = END_STREAM;
        let reset = frame(RST_STREAM, 0, 7, &[0; 4]);
        let sent = [
            head(ended, 1),
            head(ended, 1),
            head(0, 5),
            head(ended, 3),
            head(0, 5),
            frame(0, ended, 5, b"x"),
            head(ended, 5),
            head(0, 7),
            reset,
            head(ended, 7),
        ];
        let kinds = |bytes: &Vec<u8>| Kind::of(bytes[3], bytes[4]);
        let kinds: Vec<_> = sent.iter().map(kinds).collect();
        check("no trailers", &sent, &sent, &kinds);
    }
}
