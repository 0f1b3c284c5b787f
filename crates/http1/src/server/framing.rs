//! How the body of a request is framed (RFC 9112 section 6), strictly wherever there is a choice.

use http::StatusCode;

use super::limits::Fault;

/// Longest body that can be announced: what is longer is refused as if it were a head.
const LONGEST: u64 = u64::MAX - 2;

/// What the fields say of framing, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Framing {
    hosts: u32,
    length: Option<u64>,
    coding: Option<Coding>,
    /// The last coding is `chunked`.
    ends_chunked: bool,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// `chunked` more than once.
    Repeated,
    Unknown,
}

/// A body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    Length(u64),
    Chunked,
}

impl Framing {
    /// What the line of a head says, that is not known to be complete.
    ///
    /// # Errors
    /// The fault that is certain then.
    pub(super) fn note_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(colon) = memchr::memchr(b':', line) else {
            return Ok(()); // no field, which the parser refuses
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            // What cannot be read is refused with the whole head, if not before.
            let _ = self.length(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coding(value);
        }
        self.fault.map_or(Ok(()), Err)
    }

    pub(super) fn host(&mut self) {
        self.hosts += 1;
    }

    /// A `Content-Length`.
    ///
    /// # Errors
    /// The status for a head that cannot be read.
    pub(super) fn length(&mut self, value: &[u8]) -> Result<(), StatusCode> {
        let Some(length) = decimal(value) else {
            self.fault.get_or_insert(Fault::Malformed);
            // Beside a coding it is ambiguous all the same.
            return match self.coding {
                None => Err(StatusCode::BAD_REQUEST),
                Some(_) => Ok(()),
            };
        };
        match self.length.replace(length) {
            None if length > LONGEST && self.coding.is_none() => {
                Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            }
            None => Ok(()),
            Some(other) => {
                self.fault.get_or_insert(Fault::Malformed);
                match other == length || self.coding.is_some() {
                    true => Ok(()),
                    false => Err(StatusCode::BAD_REQUEST),
                }
            }
        }
    }

    /// A `Transfer-Encoding`.
    pub(super) fn coding(&mut self, value: &[u8]) {
        let coding = coding(value);
        let last = value.rsplit(|byte| *byte == b',').next();
        self.ends_chunked = last.is_some_and(is_chunked);
        self.coding = Some(match self.coding {
            Some(Coding::Unknown) => Coding::Unknown,
            Some(_) if coding != Coding::Unknown => Coding::Repeated,
            Some(_) | None => coding,
        });
    }

    /// The body of a request, or its fault.
    ///
    /// # Errors
    /// The status for a head that cannot be read.
    pub(super) fn body(&self, is_old: bool) -> Result<Result<Framed, Fault>, StatusCode> {
        if self.coding.is_some() && (is_old || !self.ends_chunked) {
            return Err(StatusCode::BAD_REQUEST);
        }
        if let Some(fault) = self.fault {
            return Ok(Err(fault));
        }
        let hosts = match is_old {
            true => self.hosts <= 1,
            false => self.hosts == 1,
        };
        Ok(match (self.coding, self.length) {
            _ if !hosts => Err(Fault::Malformed),
            (None, length) => Ok(Framed::Length(length.unwrap_or(0))),
            (Some(Coding::Chunked), None) => Ok(Framed::Chunked),
            (Some(Coding::Unknown), None) => Err(Fault::UnknownCoding),
            (Some(_), _) => Err(Fault::Malformed),
        })
    }
}

/// The number that `text` is.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn coding(value: &[u8]) -> Coding {
    let mut codings = value.split(|byte| *byte == b',');
    match (codings.next(), codings.next()) {
        (Some(only), None) if is_chunked(only) => Coding::Chunked,
        (Some(first), Some(second))
            if is_chunked(first) && is_chunked(second) && codings.all(is_chunked) =>
        {
            Coding::Repeated
        }
        _ => Coding::Unknown,
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.trim_ascii().eq_ignore_ascii_case(b"chunked")
}
