//! Writing to standard error without waiting for a reader that does not read.

use std::io::{self, Write as _};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a message waits for a reader that is only slow, milliseconds. After that nothing waits until there is room.
const PATIENCE: i64 = 500;
/// What a pipe takes without waiting when it has room: `PIPE_BUF` of Linux, bytes.
const ROOM: usize = 4096;

static UNWRITTEN: Mutex<Unwritten> = Mutex::new(Unwritten {
    messages: 0,
    is_stuck: false,
});

/// What could not be written since the last message that was.
struct Unwritten {
    messages: u64,
    is_stuck: bool,
}

/// Writes a message, or drops it if there is no room for it in time.
pub(super) fn write(message: &[u8]) -> io::Result<usize> {
    let mut stderr = io::stderr().lock();
    let mut unwritten = UNWRITTEN.lock();
    for piece in message.chunks(ROOM) {
        if !has_room(&stderr, if unwritten.is_stuck { 0 } else { PATIENCE }) {
            unwritten.messages += 1;
            unwritten.is_stuck = true;
            break;
        }
        if unwritten.is_stuck {
            unwritten.is_stuck = false;
            let dropped = std::mem::take(&mut unwritten.messages);
            writeln!(
                stderr,
                "{dropped} messages were dropped: standard error was not read"
            )?;
            if !has_room(&stderr, 0) {
                break;
            }
        }
        stderr.write_all(piece)?;
    }
    Ok(message.len())
}

/// Whether `stderr` takes [`ROOM`] bytes without waiting, within this number of milliseconds. A file always does.
fn has_room(stderr: &io::StderrLock<'_>, milliseconds: i64) -> bool {
    let mut polled = [PollFd::new(stderr, PollFlags::OUT)];
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: milliseconds * 1_000_000,
    };
    // What cannot be polled is written to as ever: the error comes from there.
    poll(&mut polled, Some(&time)).is_ok_and(|ready| ready > 0)
}
