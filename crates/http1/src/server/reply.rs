//! The head of a response to a client, and how its body is framed.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode};

use super::date;
use super::framing::decimal;
use super::head::has_token;
use crate::Error;
use crate::request::{Framing, trailer_names, write_field, write_length, write_name};
use crate::response::Asked;

const NO_LENGTH: Error = Error::InvalidHead("a Content-Length that is no number");

/// Memory to reserve for a field, bytes.
const FIELD: usize = 32;
/// And for the rest of a head.
const REST: usize = 160;

/// The head of a response. Its fields are written in their order, with names in title case. `Date`, `Connection` and a field that
/// frames the body are added where they are missing.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'h> {
    /// Not 1xx, except 101.
    pub status: StatusCode,
    /// The reason phrase; `None`: the usual one of the status.
    pub reason: Option<&'h [u8]>,
    /// All fields. `Content-Length` frames a body of unknown length. `Transfer-Encoding` is left out: it is for the connection.
    pub headers: &'h HeaderMap,
}

/// What matters of a request for its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) method: Asked,
    pub(super) is_old: bool,
    /// The client takes trailers.
    pub(super) trailers: bool,
}

/// A request that could not be read.
impl Default for Request {
    fn default() -> Self {
        Self {
            method: Asked::Other,
            is_old: false,
            trailers: false,
        }
    }
}

/// Length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none.
    None,
    /// Bytes.
    Known(u64),
    Unknown,
}

impl Reply<'_> {
    /// Appends the head of the response to `request` to `out` and returns how its body is framed. `keep`: whether the connection
    /// may serve another request.
    pub(super) fn write(
        &self,
        request: Request,
        length: Length,
        keep: &mut bool,
        out: &mut Vec<u8>,
    ) -> Result<Framing, Error> {
        let switches = self.switches(request);
        out.reserve(REST + self.headers.len() * FIELD);
        self.write_status(request, out);
        let mut framing = None;
        let mut dated = false;
        let mut connected = false;
        let mut trailer = None;
        for (name, value) in self.headers {
            match *name {
                CONTENT_LENGTH if self.opens_tunnel(request) => continue,
                CONTENT_LENGTH => match length {
                    // All values are the same.
                    Length::Known(_) | Length::Unknown if framing.is_some() => continue,
                    Length::Known(length) => framing = Some(Framing::Length(length)),
                    Length::Unknown => {
                        let length = decimal(value.as_bytes()).ok_or(NO_LENGTH)?;
                        framing = Some(Framing::Length(length));
                    }
                    // It is that of the response to a GET.
                    Length::None if request.method == Asked::Head => {
                        framing = Some(Framing::Length(0));
                    }
                    Length::None => continue,
                },
                TRANSFER_ENCODING => continue,
                CONNECTION => {
                    if !std::mem::replace(&mut connected, true) {
                        let added = self.connection(request, keep);
                        self.write_list(&CONNECTION, added, out);
                    }
                    continue;
                }
                TRAILER => {
                    let chunks = !request.is_old && self.has_body(request);
                    if chunks && trailer.is_none() {
                        self.write_list(&TRAILER, None, out);
                        trailer = Some(trailer_names(self.headers));
                    }
                    continue;
                }
                DATE => dated = true,
                _ => {}
            }
            write_field(name, value, out);
        }
        if !connected && let Some(added) = self.connection(request, keep) {
            out.extend_from_slice(b"Connection: ");
            out.extend_from_slice(added);
            out.extend_from_slice(b"\r\n");
        }
        *keep &= !switches;
        let mut framing = framing.unwrap_or_else(|| self.frame(request, length, switches, out));
        if !self.has_body(request) {
            framing = Framing::Length(0);
        }
        if let Framing::Chunked(announced) = &mut framing {
            *announced = trailer.filter(|_| request.trailers).unwrap_or_default();
        }
        if framing == Framing::Close {
            *keep = false;
        }
        if !dated {
            out.extend_from_slice(b"Date: ");
            date::write(out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Ok(framing)
    }

    /// Whether the response to `request` is the last that is HTTP.
    pub(super) fn switches(&self, request: Request) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS || self.opens_tunnel(request)
    }

    /// Whether it is a response to CONNECT, with neither a body nor a length.
    fn opens_tunnel(&self, request: Request) -> bool {
        request.method == Asked::Connect && self.status.is_success()
    }

    /// What is added to `Connection`, by what it says already. That decides on `keep`, too.
    fn connection(&self, request: Request, keep: &mut bool) -> Option<&'static [u8]> {
        let (mut closes, mut keeps) = (false, false);
        for value in self.headers.get_all(CONNECTION) {
            closes |= has_token(value, "close");
            keeps |= has_token(value, "keep-alive");
        }
        let added: Option<&[u8]> = match request.is_old {
            true if !keeps && *keep => Some(b"keep-alive"),
            false if !*keep && !closes => Some(b"close"),
            _ => None,
        };
        *keep &= !closes;
        added
    }

    fn write_status(&self, request: Request, out: &mut Vec<u8>) {
        if !request.is_old && self.status == StatusCode::OK && self.reason.is_none() {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            return;
        }
        out.extend_from_slice(match request.is_old {
            true => b"HTTP/1.0 ",
            false => b"HTTP/1.1 ",
        });
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.push(b' ');
        let usual = || {
            self.status
                .canonical_reason()
                .unwrap_or("<none>")
                .as_bytes()
        };
        out.extend_from_slice(self.reason.unwrap_or_else(usual));
        out.extend_from_slice(b"\r\n");
    }

    /// Writes all values of a list in one line, and one that is added.
    fn write_list(&self, name: &HeaderName, added: Option<&[u8]>, out: &mut Vec<u8>) {
        let values = self.headers.get_all(name);
        let values = values.iter().map(|value| value.as_bytes()).chain(added);
        for (index, value) in values.enumerate() {
            match index {
                0 => write_name(name, out),
                _ => out.extend_from_slice(b", "),
            }
            out.extend_from_slice(value);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Frames a body that no field frames.
    fn frame(
        &self,
        request: Request,
        length: Length,
        switches: bool,
        out: &mut Vec<u8>,
    ) -> Framing {
        match length {
            _ if switches => Framing::Length(0),
            Length::Unknown if request.is_old || !self.has_body(request) => Framing::Close,
            Length::Unknown => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                Framing::Chunked(Vec::new())
            }
            Length::None | Length::Known(0) if request.method == Asked::Head => Framing::Length(0),
            _ if self.is_bodiless() => Framing::Length(0),
            Length::None => {
                write_length(0, out);
                Framing::Length(0)
            }
            Length::Known(length) => {
                write_length(length, out);
                Framing::Length(length)
            }
        }
    }

    /// Whether the status has neither a body nor a length.
    fn is_bodiless(&self) -> bool {
        matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
    }

    fn has_body(&self, request: Request) -> bool {
        request.method != Asked::Head && !self.switches(request) && !self.is_bodiless()
    }
}
