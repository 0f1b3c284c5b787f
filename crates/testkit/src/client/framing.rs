//! Reads HTTP/1 responses strictly by their framing, and returns details that ordinary clients hide.

use std::io::{self, Read};

/// A response as received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Framed {
    pub(crate) head: String,
    pub(crate) interim: Vec<u16>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) complete: bool,
}

/// How a body is delimited.
enum Framing {
    None,
    Length(usize),
    Chunked,
    ToEnd,
}

/// Bytes of a connection that were read and not yet returned.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// Reads one final response, and the statuses of interim ones (other than 101). `bodiless`: the request was HEAD.
    pub(crate) fn response(
        &mut self,
        stream: &mut impl Read,
        bodiless: bool,
    ) -> io::Result<Framed> {
        let mut interim = Vec::new();
        loop {
            let head = self.head(stream)?;
            let status = status(&head)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let mut framed = Framed {
                interim,
                ..Framed::default()
            };
            match framing(&head, status, bodiless)? {
                Framing::None => framed.complete = true,
                Framing::Length(length) => self.sized(stream, length, &mut framed)?,
                Framing::Chunked => self.chunked(stream, &mut framed)?,
                Framing::ToEnd => {
                    while self.fill(stream)? {}
                    framed.body = std::mem::take(&mut self.bytes);
                    framed.complete = true;
                }
            }
            framed.head = head;
            return Ok(framed);
        }
    }

    /// Reads exactly `length` bytes.
    pub(crate) fn exactly(&mut self, stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
        while self.bytes.len() < length {
            if !self.fill(stream)? {
                return Err(ended(&format!(
                    "the connection ended after {} of {length} bytes: {}",
                    self.bytes.len(),
                    self.bytes.escape_ascii()
                )));
            }
        }
        Ok(self.bytes.drain(..length).collect())
    }

    /// Reads a head with its blank line.
    pub(crate) fn head(&mut self, stream: &mut impl Read) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.bytes, b"\r\n\r\n") {
                let head: Vec<u8> = self.bytes.drain(..at + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if !self.fill(stream)? {
                return Err(ended(&format!(
                    "the connection ended before a complete head; received: {:?}",
                    String::from_utf8_lossy(&self.bytes)
                )));
            }
        }
    }

    /// Reads to the end of the connection.
    pub(crate) fn rest(&mut self, stream: &mut impl Read) -> io::Result<Vec<u8>> {
        while self.fill(stream)? {}
        Ok(std::mem::take(&mut self.bytes))
    }

    /// Reads a line, without its end.
    pub(crate) fn line(&mut self, stream: &mut impl Read) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.bytes, b"\r\n") {
                let line: Vec<u8> = self.bytes.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.fill(stream)? {
                return Err(ended("the connection ended inside a line"));
            }
        }
    }

    /// Reads once; `false` at the end of the connection.
    fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        let mut space = [0; 16 * 1024];
        loop {
            match stream.read(&mut space) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.bytes.extend_from_slice(&space[..read]);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A TLS peer that closes without close_notify has ended the connection, too.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    fn sized(
        &mut self,
        stream: &mut impl Read,
        length: usize,
        framed: &mut Framed,
    ) -> io::Result<()> {
        while self.bytes.len() < length && self.more(stream) {}
        framed.complete = self.bytes.len() >= length;
        let have = self.bytes.len().min(length);
        framed.body = self.bytes.drain(..have).collect();
        Ok(())
    }

    fn chunked(&mut self, stream: &mut impl Read, framed: &mut Framed) -> io::Result<()> {
        loop {
            let Ok(line) = self.line(stream) else {
                return Ok(()); // truncated: `complete` stays false
            };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| io::Error::other(format!("{line:?} is not a chunk size")))?;
            if size == 0 {
                return self.trailers(stream, framed);
            }
            while self.bytes.len() < size + 2 && self.more(stream) {}
            let have = self.bytes.len().min(size);
            framed.body.extend(self.bytes.drain(..have));
            if have < size || self.bytes.len() < 2 {
                return Ok(());
            }
            self.bytes.drain(..2);
        }
    }

    fn trailers(&mut self, stream: &mut impl Read, framed: &mut Framed) -> io::Result<()> {
        loop {
            let Ok(line) = self.line(stream) else {
                return Ok(());
            };
            if line.is_empty() {
                framed.complete = true;
                return Ok(());
            }
            framed.trailers.extend(field(&line));
        }
    }

    /// Like [`Self::fill`]; an error inside a body is its early end.
    fn more(&mut self, stream: &mut impl Read) -> bool {
        self.fill(stream).unwrap_or(false)
    }
}

/// The status in a head.
pub(crate) fn status(head: &str) -> io::Result<u16> {
    head.split(' ')
        .nth(1)
        .and_then(|code| code.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{head:?} has no status")))
}

/// The fields of a head, in order, as spelled.
pub(crate) fn fields(head: &str) -> Vec<(String, String)> {
    head.split("\r\n").skip(1).filter_map(field).collect()
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn framing(head: &str, status: u16, bodiless: bool) -> io::Result<Framing> {
    if bodiless || status == 101 || status == 204 || status == 304 {
        return Ok(Framing::None);
    }
    let fields = fields(head);
    let values = |field: &str| -> Vec<&str> {
        fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.as_str())
            .collect()
    };
    let (codings, lengths) = (values("transfer-encoding"), values("content-length"));
    match (&codings[..], &lengths[..]) {
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], [length]) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| io::Error::other(format!("{length:?} is not a length"))),
        ([], []) => Ok(Framing::ToEnd),
        _ => Err(io::Error::other(format!(
            "the framing of this response is ambiguous: {head:?}"
        ))),
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

fn ended(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
