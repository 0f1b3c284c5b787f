//! What commands print.

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};

/// Writes `text` to standard output, without its colours where that is no terminal.
///
/// # Errors
/// When it cannot be written, unless the reader has seen enough.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing the output"),
    }
}
