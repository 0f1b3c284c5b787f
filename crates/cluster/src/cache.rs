//! The object cache: a file with the objects of the last run, so that a restart can serve while the API server is away.
//!
//! A file is used as a whole or not at all: one of another format or cluster, and one that is truncated or changed, is
//! ignored. Without a key it holds no Secrets; with a key it is encrypted.

mod frames;
mod key;

use std::io::{BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use headgate_compile::{Environment, Object};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use frames::{Reader, Writer};

pub use key::CacheKey;

const FILE: &str = "objects";
/// Bytes that are reserved for the JSON of an object: more than a certificate with its chain and key needs.
const LINE: usize = 64 << 10;
/// First bytes of the file; the number is the version of the format, objects included.
const MAGIC: &[u8] = b"headgate objects 2\n";

/// Location, key and cluster of the cache.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    directory: PathBuf,
    key: Option<CacheKey>,
    /// Digest of the API server's URL.
    cluster: Arc<str>,
}

/// Why the cache cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum CacheError {
    #[error("cache {file}")]
    File {
        file: String,
        source: std::io::Error,
    },
    #[error("key {file}")]
    KeyFile {
        file: String,
        source: std::io::Error,
    },
    #[error("key {file}: {length} bytes, fewer than 16")]
    ShortKey { file: String, length: usize },
    #[error("cache {file}: {reason}")]
    Refused { file: String, reason: &'static str },
    #[error("encryption failed")]
    Sealing,
}

/// The content of the file.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) objects: Vec<Object>,
    pub(crate) environment: Environment,
    /// Time since it was written.
    pub(crate) age: Duration,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    cluster: String,
    classes_readable: Option<bool>,
    zone: Option<String>,
    /// How many objects follow.
    objects: usize,
}

impl CacheOptions {
    /// A cache in `directory` (`--cache-dir`), created if missing, for the API server at this URL. With `key_file`
    /// (`--cache-key-file`) it is encrypted and holds Secrets too.
    ///
    /// # Errors
    /// When the key cannot be read or is too short.
    pub fn open(
        directory: PathBuf,
        key_file: Option<&Path>,
        server: &str,
    ) -> Result<Self, CacheError> {
        let key = key_file.map(CacheKey::read).transpose()?;
        let digest = digest::digest(&digest::SHA256, server.as_bytes());
        Ok(Self {
            directory,
            key,
            cluster: hex(digest.as_ref()).into(),
        })
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.key.is_some()
    }

    /// Replaces the file. Blocks.
    pub(crate) fn write(&self, stored: &Stored) -> Result<(), CacheError> {
        let file = self.file();
        let failed = |source| CacheError::File {
            file: file.display().to_string(),
            source,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed)?;
        let unfinished = self
            .directory
            .join(format!(".{FILE}.{}", std::process::id()));
        let written = self.write_to(&unfinished, stored);
        let written = written.and_then(|()| std::fs::rename(&unfinished, &file));
        if written.is_err() {
            // It may not exist.
            let _ = std::fs::remove_file(&unfinished);
        }
        written.map_err(failed)?;
        // The rename is durable once the directory is synced.
        let directory = std::fs::File::open(&self.directory).map_err(failed)?;
        directory.sync_all().map_err(failed)
    }

    fn write_to(&self, path: &Path, stored: &Stored) -> std::io::Result<()> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut out = BufWriter::new(file);
        out.write_all(MAGIC)?;
        let mut out = Writer::new(out, self.key.as_ref())?;
        // Objects are Secrets too. What a growing vector leaves behind is not overwritten, so it rarely grows.
        let mut line = Zeroizing::new(Vec::with_capacity(LINE));
        serde_json::to_writer(&mut *line, &self.head(stored))?;
        line.push(b'\n');
        out.write_all(&line)?;
        for object in &stored.objects {
            line.clear();
            serde_json::to_writer(&mut *line, object)?;
            line.push(b'\n');
            out.write_all(&line)?;
        }
        let out = out.finish()?;
        let file = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()
    }

    fn head(&self, stored: &Stored) -> Head {
        let environment = &stored.environment;
        Head {
            cluster: self.cluster.to_string(),
            classes_readable: Some(environment.classes_readable),
            zone: environment.zone.as_deref().map(str::to_owned),
            objects: stored.objects.len(),
        }
    }

    /// The content of the file; `None` without a file. Blocks.
    pub(crate) fn read(&self) -> Result<Option<Stored>, CacheError> {
        let path = self.file();
        let name = || path.display().to_string();
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                CacheError::Refused {
                    file: name(),
                    reason: "truncated, changed or encrypted with another key",
                }
            }
            _ => CacheError::File {
                file: name(),
                source,
            },
        };
        let refused = |reason| CacheError::Refused {
            file: name(),
            reason,
        };
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(failed)?,
        };
        let age = age(&file).map_err(failed)?;
        let mut file = BufReader::new(file);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(failed)?;
        if magic != *MAGIC {
            return Err(refused("written by another version of this program"));
        }
        let reader = Reader::new(file, self.key.as_ref()).map_err(failed)?;
        let reader = reader.ok_or_else(|| {
            refused(match self.key {
                Some(_) => "not encrypted, and a key is configured",
                None => "encrypted, and no key is configured",
            })
        })?;
        let (head, objects) = contents(reader).map_err(failed)?;
        if head.cluster != *self.cluster {
            return Err(refused("written for another cluster"));
        }
        Ok(Some(Stored {
            objects,
            environment: Environment {
                classes_readable: head.classes_readable.unwrap_or(true),
                zone: head.zone.map(Into::into),
            },
            age,
        }))
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

/// Reads everything; nothing is used before the end is verified.
fn contents(reader: Reader<impl Read>) -> std::io::Result<(Head, Vec<Object>)> {
    let mut lines = BufReader::new(reader);
    let mut line = Zeroizing::new(Vec::with_capacity(LINE));
    lines.read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line)?;
    let mut objects = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        objects.push(serde_json::from_slice(&line)?);
    }
    if objects.len() == head.objects {
        Ok((head, objects))
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

fn age(file: &std::fs::File) -> std::io::Result<Duration> {
    let modified = file.metadata()?.modified()?;
    // The clock may have been set back.
    Ok(SystemTime::now()
        .duration_since(modified)
        .unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
