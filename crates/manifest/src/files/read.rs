//! The content of a file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Largest file that is read: 64 MiB.
const MAX_SIZE: u64 = 64 << 20;

/// Result of reading a file.
#[derive(Debug)]
pub(crate) enum Content {
    Text(String),
    /// The line at fault, from 1, and the reason.
    Unusable(usize, String),
    /// The file was removed since it was found.
    Gone,
}

/// Reads a regular file.
pub(crate) fn read(path: &Path) -> Content {
    match bytes(path) {
        Ok(bytes) if bytes.len() as u64 > MAX_SIZE => {
            Content::Unusable(1, format!("is larger than {} MiB", MAX_SIZE >> 20))
        }
        Ok(bytes) => text(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Content::Gone,
        Err(error) => Content::Unusable(1, format!("cannot be read: {error}")),
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len().min(MAX_SIZE);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Content {
    String::from_utf8(bytes).map_or_else(
        |error| {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error
                .as_bytes()
                .iter()
                .take(valid)
                .filter(|byte| **byte == b'\n')
                .count();
            Content::Unusable(line, "is not UTF-8 text".to_owned())
        },
        Content::Text,
    )
}
