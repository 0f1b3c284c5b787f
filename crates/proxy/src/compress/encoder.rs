//! The encoders behind one interface. What they write waits in memory until it is taken.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;
use headgate_table::{Coder, Coding};

/// Windows of brotli and zstd, as powers of two: 256 KiB. They bound the memory of a stream to about 3 MiB at the highest
/// level, and the input that is coded in one go.
const WINDOW: i32 = 18;
/// Buffer between brotli and its output, bytes.
const BROTLI_BUFFER: usize = 4 << 10;

/// The encoder of one body.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// The end is written.
    Finished(Vec<u8>),
}

impl Encoder {
    /// An encoder by `coder`.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn new(coder: &Coder) -> io::Result<Self> {
        Ok(match coder.coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), gzip_level(coder.level))),
            Coding::Brotli => Self::Brotli(Box::new(brotli(coder.level))),
            Coding::Zstd => Self::Zstd(zstd(coder.level)?),
        })
    }

    /// Codes `data`.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.writer().write_all(data)
    }

    /// Makes everything written so far readable for the client.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }

    /// Writes the end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let output = match std::mem::replace(self, Self::Finished(Vec::new())) {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Finished(output) => output,
        };
        *self = Self::Finished(output);
        Ok(())
    }

    /// Bytes of output that wait.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Brotli(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
            Self::Finished(output) => output.len(),
        }
    }

    /// Takes the output.
    pub(super) fn take(&mut self) -> Bytes {
        let output = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Finished(output) => output,
        };
        std::mem::take(output).into()
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Gzip(encoder) => encoder,
            Self::Brotli(encoder) => encoder.as_mut(),
            Self::Zstd(encoder) => encoder,
            Self::Finished(output) => output,
        }
    }
}

/// Level 1 of the library trades a quarter of the compression for speed. Its level 2 is as small as zlib's level 1, and takes
/// less time than that.
fn gzip_level(level: u32) -> GzipLevel {
    GzipLevel::new(level.clamp(2, 9))
}

fn brotli(level: u32) -> CompressorWriter<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: i32::try_from(level).unwrap_or(4),
        lgwin: WINDOW,
        ..BrotliEncoderParams::default()
    };
    CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &parameters)
}

fn zstd(level: u32) -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let level = i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    encoder.window_log(WINDOW.unsigned_abs())?;
    Ok(encoder)
}
