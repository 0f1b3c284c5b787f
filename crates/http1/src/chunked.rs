//! The chunked transfer coding (RFC 9112 section 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;
use crate::input::Input;

/// Bound on all that is between the chunks of a body besides sizes, bytes.
const EXTENSIONS: usize = 16 << 10;
/// Digits of the largest size.
const DIGITS: u8 = 16;
/// What follows the data of the last chunk where there are no trailers.
const END: &[u8] = b"\r\n0\r\n\r\n";

/// What trailers may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of all.
    pub(crate) bytes: usize,
    /// Their number.
    pub(crate) fields: usize,
    /// A line that ends without carriage return is malformed, on which servers disagree (CVE-2025-55315). Otherwise it is a part
    /// of a field.
    pub(crate) strict: bool,
}

/// Those of a response.
impl Default for Bounds {
    fn default() -> Self {
        Self {
            bytes: 16 << 10,
            fields: 100,
            strict: false,
        }
    }
}

/// A body in chunks.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    bounds: Bounds,
    at: At,
    /// Bytes left of the chunk, or as much of its size as was read.
    size: u64,
    digits: u8,
    extensions: usize,
    trailers: Vec<u8>,
    fields: usize,
}

/// The part that the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The start of a line after the last chunk.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed.
    More,
}

impl Chunked {
    /// A body of which nothing was read.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Whether the whole body was read.
    pub(crate) fn is_end(&self) -> bool {
        self.at == At::End
    }

    /// The next part of the body in `input`.
    pub(crate) fn next(&mut self, input: &mut Input) -> Result<Part, Error> {
        while !input.is_empty() {
            if self.at == At::Data {
                let data = input.take(self.size);
                self.size -= data.len() as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                    if input.bytes().starts_with(END) {
                        input.bytes().advance(END.len());
                        self.at = At::End;
                    }
                }
                return Ok(Part::Data(data));
            }
            self.between(input.bytes())?;
            if self.at == At::End {
                return match self.trailers.is_empty() {
                    true => Ok(Part::End),
                    false => self.fields().map(Part::Trailers),
                };
            }
        }
        Ok(match self.at {
            At::End => Part::End,
            _ => Part::More,
        })
    }

    /// Reads up to the data of the next chunk, or to the end of the body.
    fn between(&mut self, input: &mut BytesMut) -> Result<(), Error> {
        let mut used = 0;
        for byte in &input[..] {
            if matches!(self.at, At::Data | At::End) {
                break;
            }
            self.at = self.step(*byte)?;
            used += 1;
        }
        input.advance(used);
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<At, Error> {
        match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (At::Size, _) if self.digits == 0 => Err(Error::InvalidChunks("a size without digits")),
            (At::Size | At::Blank, b' ' | b'\t') => {
                self.extension()?;
                Ok(At::Blank)
            }
            (At::Size | At::Blank, b';') => Ok(At::Extension),
            (At::Size | At::Blank | At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Size | At::Blank, _) => Err(Error::InvalidChunks("an invalid size")),
            (At::Extension, b'\n') => Err(Error::InvalidChunks("a line feed in an extension")),
            (At::Extension, _) => {
                self.extension()?;
                Ok(At::Extension)
            }
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(match self.size {
                    0 => At::Line,
                    _ => At::Data,
                })
            }
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size),
            (At::DataCr | At::DataLf, _) => {
                Err(Error::InvalidChunks("a chunk is longer than its size"))
            }
            (At::Line, b'\r') => {
                // The empty line ends the fields for their parser, too.
                if !self.trailers.is_empty() {
                    self.trailer(byte)?;
                }
                Ok(At::EndLf)
            }
            (At::Line | At::Trailer, b'\n') if self.bounds.strict => {
                Err(Error::InvalidChunks("a line feed without carriage return"))
            }
            (At::Line | At::Trailer, _) => {
                self.trailer(byte)?;
                Ok(match byte {
                    b'\r' => At::TrailerLf,
                    _ => At::Trailer,
                })
            }
            (At::TrailerLf, b'\n') => {
                self.fields += 1;
                if self.fields > self.bounds.fields {
                    return Err(Error::InvalidChunks("too many trailers"));
                }
                self.trailer(byte)?;
                Ok(At::Line)
            }
            (At::EndLf, b'\n') => {
                if !self.trailers.is_empty() {
                    self.trailer(byte)?;
                }
                Ok(At::End)
            }
            (At::SizeLf | At::TrailerLf | At::EndLf, _) => {
                Err(Error::InvalidChunks("a carriage return without line feed"))
            }
            // Neither is between chunks.
            (At::Data | At::End, _) => Ok(self.at),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, Error> {
        let value = char::from(byte).to_digit(16).unwrap_or_default();
        let size = self.size.checked_mul(16);
        let size = size.and_then(|size| size.checked_add(value.into()));
        self.size = size.ok_or(Error::InvalidChunks("a size that is too large"))?;
        match self.digits {
            DIGITS => self.extension()?,
            digits => self.digits = digits + 1,
        }
        Ok(At::Size)
    }

    fn extension(&mut self) -> Result<(), Error> {
        self.extensions += 1;
        match self.extensions < EXTENSIONS {
            true => Ok(()),
            false => Err(Error::InvalidChunks("extensions that are too large")),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<(), Error> {
        self.trailers.push(byte);
        match self.trailers.len() < self.bounds.bytes {
            true => Ok(()),
            false => Err(Error::InvalidChunks("trailers that are too large")),
        }
    }

    fn fields(&mut self) -> Result<HeaderMap, Error> {
        const INVALID: Error = Error::InvalidChunks("invalid trailers");
        let bytes = std::mem::take(&mut self.trailers);
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&bytes, &mut fields)
        else {
            return Err(INVALID);
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| INVALID)?;
            let value = HeaderValue::from_bytes(field.value).map_err(|_| INVALID)?;
            trailers.append(name, value);
        }
        Ok(trailers)
    }
}
