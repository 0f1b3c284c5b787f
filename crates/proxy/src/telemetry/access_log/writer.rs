//! The thread that writes a log, and its queue.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::syslog::{Severity, Syslog};
use crate::config::AccessLog;

/// Capacity of the queue, blocks: about 5 MiB.
const QUEUE: usize = 128;

/// Pause between attempts to open the file.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// A handle of the writing thread, which ends with the last handle.
#[derive(Clone)]
pub(in crate::telemetry) struct Writer {
    queue: SyncSender<Message>,
    state: Arc<State>,
}

struct State {
    reopen: AtomicBool,
    /// Where lines go from now on.
    destination: Mutex<AccessLog>,
    dropped: AtomicU64,
}

enum Message {
    /// Lines, their number and their severity.
    Block(Vec<u8>, u64, Severity),
    /// Replies when everything before is written.
    Sync(SyncSender<()>),
    /// The state has changed.
    Wake,
}

impl Writer {
    /// Starts a thread that writes to `destination`.
    pub(in crate::telemetry) fn start(destination: &AccessLog) -> Self {
        let (writer, messages) = Self::with_queue(QUEUE, destination);
        let (mut output, state) = (Output::new(destination), writer.state.clone());
        let run = move || {
            for message in messages {
                output.take(message, &state);
            }
        };
        if let Err(error) = thread::Builder::new().name("access-log".into()).spawn(run) {
            tracing::error!(%error, "cannot start the access log thread: lines are dropped");
        }
        writer
    }

    fn with_queue(blocks: usize, destination: &AccessLog) -> (Self, Receiver<Message>) {
        let (queue, messages) = sync_channel(blocks);
        let state = Arc::new(State {
            reopen: AtomicBool::new(false),
            destination: Mutex::new(destination.clone()),
            dropped: AtomicU64::new(0),
        });
        (Self { queue, state }, messages)
    }

    /// Queues a block of `lines` lines, or drops it if the queue is full.
    pub(super) fn send(&self, block: Vec<u8>, lines: u64) {
        self.send_as(block, lines, Severity::INFO);
    }

    /// As [`Writer::send`], for lines of this severity.
    pub(in crate::telemetry) fn send_as(&self, block: Vec<u8>, lines: u64, severity: Severity) {
        let message = Message::Block(block, lines, severity);
        if self.queue.try_send(message).is_err() {
            self.state.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Reopens the file, for rotation, before the next line is written.
    pub(in crate::telemetry) fn reopen(&self) {
        self.state.reopen.store(true, Ordering::Release);
        // If the queue is full, the thread is busy and checks the state before it writes the next block.
        let _ = self.queue.try_send(Message::Wake);
    }

    /// Writes to `destination` from the next block on. Every table has one, and only another one wakes the thread.
    pub(in crate::telemetry) fn move_to(&self, destination: AccessLog) {
        let mut current = self.state.destination.lock();
        if *current != destination {
            *current = destination;
            let _ = self.queue.try_send(Message::Wake);
        }
    }

    /// Waits, at most for `bound`, until everything queued is written, and returns whether it is.
    pub(in crate::telemetry) fn sync(&self, bound: Duration) -> bool {
        let (reply, done) = sync_channel(1);
        let start = Instant::now();
        let mut message = Message::Sync(reply);
        while let Err(refused) = self.queue.try_send(message) {
            let (TrySendError::Full(returned), true) = (refused, start.elapsed() < bound) else {
                return false;
            };
            message = returned;
            thread::sleep(Duration::from_millis(5));
        }
        done.recv_timeout(bound.saturating_sub(start.elapsed()))
            .is_ok()
    }

    /// Number of dropped lines.
    pub(in crate::telemetry) fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }
}

struct Output {
    configured: AccessLog,
    destination: Destination,
    /// The last write failed, and a message was logged.
    failing: bool,
}

enum Destination {
    Stdout,
    File {
        path: PathBuf,
        file: Option<File>,
        retry: Option<Instant>,
    },
    Syslog(Syslog),
}

impl Output {
    fn new(destination: &AccessLog) -> Self {
        Self {
            configured: destination.clone(),
            destination: Destination::new(destination),
            failing: false,
        }
    }

    fn take(&mut self, message: Message, state: &State) {
        let destination = state.destination.lock();
        if *destination != self.configured {
            *self = Self::new(&destination);
        }
        drop(destination);
        if state.reopen.swap(false, Ordering::Acquire) {
            self.destination.reopen();
        }
        match message {
            Message::Block(block, lines, severity) => {
                let written = self.destination.write((&block, lines), severity);
                let written = written.map_err(|(failed, error)| {
                    state.dropped.fetch_add(failed, Ordering::Relaxed);
                    error
                });
                self.report(&written);
            }
            Message::Sync(reply) => {
                // The receiver may have timed out.
                let _ = reply.try_send(());
            }
            Message::Wake => {}
        }
    }

    /// Logs when writing starts to fail and when it works again.
    fn report(&mut self, written: &io::Result<()>) {
        match written {
            Err(error) if !self.failing => {
                tracing::error!(destination = ?self.configured, %error, "cannot write log")
            }
            Ok(()) if self.failing => {
                tracing::info!(destination = ?self.configured, "log is written again")
            }
            _ => {}
        }
        self.failing = written.is_err();
    }
}

impl Destination {
    fn new(destination: &AccessLog) -> Self {
        match destination {
            AccessLog::Stdout => Self::Stdout,
            AccessLog::File(path) => Self::File {
                path: path.clone(),
                file: None,
                retry: None,
            },
            AccessLog::Syslog { host, port } => Self::Syslog(Syslog::new(host.clone(), *port)),
        }
    }

    /// Writes a block of `lines` lines.
    ///
    /// # Errors
    /// How many of them could not be written.
    fn write(
        &mut self,
        (block, lines): (&[u8], u64),
        severity: Severity,
    ) -> Result<(), (u64, io::Error)> {
        match self {
            Self::Syslog(syslog) => syslog.write(block, severity),
            _ => self.append(block).map_err(|error| (lines, error)),
        }
    }

    fn append(&mut self, block: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(block)?;
                out.flush()
            }
            Self::Syslog(_) => Ok(()),
            Self::File {
                file: Some(file), ..
            } => file.write_all(block),
            Self::File { path, file, retry } => {
                if retry.is_some_and(|retry| Instant::now() < retry) {
                    return Err(io::Error::new(
                        io::ErrorKind::WouldBlock,
                        "the file could not be opened a moment ago",
                    ));
                }
                *retry = Instant::now().checked_add(REOPEN_PAUSE);
                file.insert(open(path)?).write_all(block)
            }
        }
    }

    /// Reopens the file at once, so that it exists even if no line follows.
    fn reopen(&mut self) {
        if let Self::File { path, file, retry } = self {
            *file = open(path).ok();
            *retry = None;
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_full_queue_drops_blocks_and_counts_their_lines() {
        let (writer, messages) = Writer::with_queue(1, &AccessLog::Stdout);
        writer.send(b"a\n".to_vec(), 1);
        writer.send(b"b\nc\n".to_vec(), 2);
        assert_eq!(writer.dropped(), 2);
        drop(messages);
        writer.send(b"d\n".to_vec(), 1);
        assert_eq!(writer.dropped(), 3);
        assert!(!writer.sync(LONG));
    }

    #[test]
    fn blocks_are_appended_and_a_moved_file_is_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (
            folder.path().join("access.log"),
            folder.path().join("access.log.1"),
        );
        fs::write(&path, "before\n").unwrap();
        let writer = Writer::start(&AccessLog::File(path.clone()));
        writer.send(b"one\n".to_vec(), 1);
        assert!(writer.sync(LONG));
        fs::rename(&path, &moved).unwrap();
        writer.reopen();
        writer.send(b"two\n".to_vec(), 1);
        assert!(writer.sync(LONG));
        assert_eq!(fs::read_to_string(moved).unwrap(), "before\none\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "two\n");
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn lines_for_a_file_that_cannot_be_opened_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::start(&AccessLog::File(
            folder.path().join("none").join("access.log"),
        ));
        writer.send(b"one\ntwo\n".to_vec(), 2);
        assert!(writer.sync(LONG));
        assert_eq!(writer.dropped(), 2);
    }
}
