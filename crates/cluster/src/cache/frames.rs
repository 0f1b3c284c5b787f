//! A stream of frames, each encrypted, or all under one checksum: truncated, reordered or changed frames are detected.
//!
//! After one byte for the kind of protection and 32 of salt, a frame is a byte (1 if it is the last), its length in four
//! bytes and its content. Encrypted frames use AES-256-GCM with a key of this file alone (HKDF with the salt) and a nonce
//! of the frame's number and that byte, so that frames can be neither moved nor left out. Unencrypted frames are followed
//! by a SHA-256 digest of everything from the salt on.

use std::io::{Error, ErrorKind, Read, Result, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, rand};
use zeroize::Zeroizing;

use super::{CacheError, CacheKey};

/// Most bytes of content in a frame.
const FRAME: usize = 64 << 10;
/// Most bytes of a frame that is read: content and tag.
const LONGEST: usize = FRAME + 16;
const SALT: usize = 32;
const PURPOSE: &[&[u8]] = &[b"headgate objects 1"];

/// How frames are protected.
enum Protection {
    Checksum(digest::Context),
    Sealed { key: LessSafeKey, frame: u32 },
}

impl Protection {
    fn new(salt: &[u8; SALT], key: Option<&CacheKey>) -> Result<Self> {
        let Some(key) = key else {
            let mut checksum = digest::Context::new(&digest::SHA256);
            checksum.update(salt);
            return Ok(Self::Checksum(checksum));
        };
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.bytes());
        let derived = secret
            .expand(PURPOSE, &AES_256_GCM)
            .map_err(|_| refused())?;
        Ok(Self::Sealed {
            key: LessSafeKey::new(UnboundKey::from(derived)),
            frame: 0,
        })
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Checksum(_) => 0,
            Self::Sealed { .. } => 1,
        }
    }

    fn nonce(frame: &mut u32, is_last: bool) -> Result<Nonce> {
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&frame.to_be_bytes());
        nonce[11] = u8::from(is_last);
        *frame = frame.checked_add(1).ok_or_else(refused)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    fn protect(&mut self, content: &mut Vec<u8>, is_last: bool) -> Result<()> {
        match self {
            Self::Checksum(checksum) => update(checksum, content, is_last),
            Self::Sealed { key, frame } => {
                let nonce = Self::nonce(frame, is_last)?;
                key.seal_in_place_append_tag(nonce, Aad::empty(), content)
                    .map_err(|_| refused())?;
            }
        }
        Ok(())
    }

    fn check(&mut self, content: &mut Vec<u8>, is_last: bool) -> Result<()> {
        match self {
            Self::Checksum(checksum) => update(checksum, content, is_last),
            Self::Sealed { key, frame } => {
                let nonce = Self::nonce(frame, is_last)?;
                let opened = key
                    .open_in_place(nonce, Aad::empty(), content)
                    .map_err(|_| damaged())?;
                let length = opened.len();
                content.truncate(length);
            }
        }
        Ok(())
    }
}

fn update(checksum: &mut digest::Context, content: &[u8], is_last: bool) {
    checksum.update(&[u8::from(is_last)]);
    checksum.update(&(content.len() as u64).to_be_bytes());
    checksum.update(content);
}

/// Room for one frame, which never grows: what a growing vector leaves behind is not overwritten.
fn room() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(LONGEST))
}

fn refused() -> Error {
    Error::other(CacheError::Sealing)
}

fn damaged() -> Error {
    ErrorKind::InvalidData.into()
}

/// Writes frames. A stream that is not [finished](Self::finish) fails verification.
pub(super) struct Writer<W> {
    out: W,
    protection: Protection,
    content: Zeroizing<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Encrypts if there is a key.
    pub(super) fn new(mut out: W, key: Option<&CacheKey>) -> Result<Self> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).map_err(|_| refused())?;
        let protection = Protection::new(&salt, key)?;
        out.write_all(&[protection.tag()])?;
        out.write_all(&salt)?;
        Ok(Self {
            out,
            protection,
            content: room(),
        })
    }

    /// Writes the last frame.
    pub(super) fn finish(mut self) -> Result<W> {
        self.frame(true)?;
        if let Protection::Checksum(checksum) = self.protection {
            self.out.write_all(checksum.finish().as_ref())?;
        }
        Ok(self.out)
    }

    fn frame(&mut self, is_last: bool) -> Result<()> {
        self.protection.protect(&mut self.content, is_last)?;
        let length = u32::try_from(self.content.len()).map_err(|_| refused())?;
        self.out.write_all(&[u8::from(is_last)])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&self.content)?;
        self.content.clear();
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.content.len() >= FRAME {
            self.frame(false)?;
        }
        let room = FRAME - self.content.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.content.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }
}

/// Reads frames; the end is reported only after the last frame is verified and nothing follows it.
pub(super) struct Reader<R> {
    input: R,
    protection: Option<Protection>,
    content: Zeroizing<Vec<u8>>,
    at: usize,
}

impl<R: Read> Reader<R> {
    /// `None` when the stream is encrypted and there is no key, or the other way round.
    pub(super) fn new(mut input: R, key: Option<&CacheKey>) -> Result<Option<Self>> {
        let mut tag = [0];
        input.read_exact(&mut tag)?;
        let mut salt = [0; SALT];
        input.read_exact(&mut salt)?;
        let protection = Protection::new(&salt, key)?;
        Ok((protection.tag() == tag[0]).then(|| Self {
            input,
            protection: Some(protection),
            content: room(),
            at: 0,
        }))
    }

    /// The next frame. False at the end.
    fn next(&mut self) -> Result<bool> {
        let Some(mut protection) = self.protection.take() else {
            return Ok(false);
        };
        let mut head = [0; 5];
        self.input.read_exact(&mut head)?;
        let [last, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| damaged())?;
        if last > 1 || length > LONGEST {
            return Err(damaged());
        }
        self.content.resize(length, 0);
        self.at = 0;
        self.input.read_exact(&mut self.content)?;
        protection.check(&mut self.content, last == 1)?;
        if last == 0 {
            self.protection = Some(protection);
            return Ok(true);
        }
        if let Protection::Checksum(checksum) = protection {
            let mut stored = [0; 32];
            self.input.read_exact(&mut stored)?;
            if checksum.finish().as_ref() != stored {
                return Err(damaged());
            }
        }
        match self.input.read(&mut [0])? {
            0 => Ok(true),
            _ => Err(damaged()),
        }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while self.at == self.content.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let rest = self.content.get(self.at..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
