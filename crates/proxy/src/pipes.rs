//! What the relays of one worker share: a buffer, and pipes through which the kernel moves bytes without copying them.
//!
//! A connection owns none of it while it is idle.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Size of the buffer, bytes.
const BUFFER: usize = 64 << 10;
/// Size of a pipe, bytes. The kernel may refuse it; then it is 64 KiB.
const PIPE: usize = 256 << 10;
/// Pipes of a worker. Each is two open files, so that connections that find none use the buffer.
const MAX_PIPES: usize = 64;

/// Shared by the relays of one worker.
#[derive(Default)]
pub(crate) struct RelayTools {
    buffer: RefCell<Vec<u8>>,
    unused: RefCell<Vec<Pipe>>,
    made: Cell<usize>,
}

/// A pipe, empty when it is not lent.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe while it is lent.
pub(super) struct Lent<'t> {
    tools: &'t RelayTools,
    pipe: Option<Pipe>,
    /// Bytes in it.
    held: usize,
}

impl RelayTools {
    /// Calls `use_buffer` with the buffer, whose content is undefined.
    pub(crate) fn with_buffer<T>(&self, use_buffer: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(BUFFER, 0); // allocates at the first use
        use_buffer(&mut buffer)
    }

    /// A pipe, unless all are lent or the system refuses one.
    pub(super) fn pipe(&self) -> Option<Lent<'_>> {
        let unused = self.unused.borrow_mut().pop();
        let pipe = match unused {
            Some(pipe) => pipe,
            None if self.made.get() < MAX_PIPES => {
                let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
                // Refused: the pipe keeps its size, and more calls move the same bytes.
                let _ = fcntl_setpipe_size(&write, PIPE);
                self.made.set(self.made.get() + 1);
                Pipe { read, write }
            }
            None => return None,
        };
        Some(Lent {
            tools: self,
            pipe: Some(pipe),
            held: 0,
        })
    }
}

impl Lent<'_> {
    /// Moves bytes from the socket into the pipe; 0 at the end of the stream.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let pipe = self.pipe.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let moved = splice(from, None, &pipe.write, None, PIPE, flags())?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe into the socket.
    pub(super) fn empty(&mut self, to: impl AsFd) -> io::Result<usize> {
        let pipe = self.pipe.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let moved = splice(&pipe.read, None, to, None, self.held, flags())?;
        self.held = self.held.saturating_sub(moved);
        Ok(moved)
    }

    /// Bytes in the pipe.
    pub(super) fn held(&self) -> usize {
        self.held
    }
}

impl Drop for Lent<'_> {
    /// Bytes that are left in a pipe must not reach another connection.
    fn drop(&mut self) {
        let pipe = self.pipe.take().filter(|_| self.held == 0);
        match pipe {
            Some(pipe) => self.tools.unused.borrow_mut().push(pipe),
            None => self.tools.made.set(self.tools.made.get().saturating_sub(1)),
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
