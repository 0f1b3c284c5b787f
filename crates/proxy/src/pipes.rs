//! What the relays of one worker share: a buffer, and pipes through which the kernel moves bytes without copying them. Long bodies
//! of HTTP/1 go through the pipes, too, from a socket or from a temporary file.
//!
//! A connection owns none of it while it is idle.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use headgate_http1::refuses_pipes;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::time::Instant;

/// Size of the buffer, bytes.
const BUFFER: usize = 64 << 10;
/// Size of a pipe, bytes. The kernel may refuse it; then it is usually 64 KiB.
const PIPE: usize = 256 << 10;
/// Smallest pipe that is used. The kernel makes them of one or two pages when the pipes of the user take too much memory, and
/// such a pipe costs more system calls than the buffer.
const MIN_PIPE: usize = 64 << 10;
/// How long none is lent after the system refused one, or refused to fill one.
const PAUSE: Duration = Duration::from_secs(1);
/// Pipes of a worker. Each is two open files, so that connections that find none use the buffer.
const MAX_PIPES: usize = 64;

/// Shared by the relays of one worker.
#[derive(Default)]
pub(crate) struct RelayTools {
    buffer: RefCell<Vec<u8>>,
    pipes: Rc<Pipes>,
}

/// The pipes of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    unused: RefCell<Vec<Pipe>>,
    made: Cell<usize>,
    /// When the system last refused one.
    refused: Cell<Option<Instant>>,
}

/// A pipe, empty when it is not lent.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in it.
    held: usize,
}

/// A pipe while it is lent.
#[derive(Debug)]
pub(crate) struct PipeGuard {
    pipes: Rc<Pipes>,
    pipe: Option<Pipe>,
}

impl RelayTools {
    /// With the pipes of the worker.
    pub(crate) fn new(pipes: Rc<Pipes>) -> Self {
        Self {
            buffer: RefCell::default(),
            pipes,
        }
    }

    /// Calls `use_buffer` with the buffer, whose content is undefined.
    pub(crate) fn with_buffer<T>(&self, use_buffer: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(BUFFER, 0); // allocates at the first use
        use_buffer(&mut buffer)
    }

    /// A pipe, unless all are lent or the system refuses one.
    pub(super) fn pipe(&self) -> Option<PipeGuard> {
        self.pipes.lend()
    }
}

impl Pipes {
    /// A pipe, unless all are lent or the system refuses one.
    pub(crate) fn lend(self: &Rc<Self>) -> Option<PipeGuard> {
        let unused = self.unused.borrow_mut().pop();
        let pipe = unused.or_else(|| self.make())?;
        Some(PipeGuard {
            pipes: self.clone(),
            pipe: Some(pipe),
        })
    }

    fn make(&self) -> Option<Pipe> {
        let paused = self.refused.get().is_some_and(|at| at.elapsed() < PAUSE);
        if paused || self.made.get() >= MAX_PIPES {
            return None;
        }
        let pipe = Pipe::new(PIPE);
        match pipe {
            Some(_) => self.made.set(self.made.get() + 1),
            None => self.refused.set(Some(Instant::now())),
        }
        pipe
    }

    /// Lends none for a while.
    fn pause(&self) {
        let unused = self.unused.take().len();
        self.made.set(self.made.get().saturating_sub(unused));
        self.refused.set(Some(Instant::now()));
    }
}

impl Pipe {
    /// A pipe of `size` bytes, or of what the system allows if that is enough.
    fn new(size: usize) -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let size = match fcntl_setpipe_size(&write, size) {
            Ok(size) => size,
            Err(_) => fcntl_getpipe_size(&write).ok()?,
        };
        (size >= MIN_PIPE).then_some(Self {
            read,
            write,
            held: 0,
        })
    }

    /// Moves bytes into it, `most` at most: from a socket, or from a file at `offset`. 0 at the end of either.
    ///
    /// # Errors
    /// See also [`refuses_pipes`].
    pub(crate) fn fill(
        &mut self,
        from: impl AsFd,
        offset: Option<u64>,
        most: u64,
    ) -> io::Result<usize> {
        let most = usize::try_from(most).map_or(PIPE, |most| most.min(PIPE));
        let mut offset = offset;
        let moved = splice(from, offset.as_mut(), &self.write, None, most, flags())?;
        self.held += moved;
        Ok(moved)
    }
}

impl PipeGuard {
    /// Moves bytes from the socket into the pipe, `most` at most; 0 at the end of the stream.
    ///
    /// # Errors
    /// If the system moves none into pipes ([`refuses_pipes`]), none are lent for a while.
    pub(crate) fn fill(&mut self, from: impl AsFd, most: u64) -> io::Result<usize> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let filled = pipe.fill(from, None, most);
        if filled.as_ref().is_err_and(refuses_pipes) {
            self.pipe = None;
            self.pipes.pause();
        }
        filled
    }

    /// Moves bytes from the pipe into the socket.
    pub(super) fn empty(&mut self, to: impl AsFd) -> io::Result<usize> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let moved = splice(&pipe.read, None, to, None, pipe.held, flags())?;
        pipe.held = pipe.held.saturating_sub(moved);
        Ok(moved)
    }

    /// Bytes in the pipe.
    pub(super) fn held(&self) -> usize {
        self.pipe.as_ref().map_or(0, |pipe| pipe.held)
    }

    /// The pipe, to be filled by another thread. If it is not put back, it is closed.
    pub(crate) fn take(&mut self) -> Option<Pipe> {
        self.pipe.take()
    }

    /// Puts back what was taken.
    pub(crate) fn put(&mut self, pipe: Pipe) {
        self.pipe = Some(pipe);
    }
}

impl headgate_http1::Pipe for PipeGuard {
    fn length(&self) -> usize {
        self.held()
    }

    fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.empty(socket)
    }
}

impl Drop for PipeGuard {
    /// Bytes that are left in a pipe must not reach another connection.
    fn drop(&mut self) {
        let pipe = self.pipe.take().filter(|pipe| pipe.held == 0);
        match pipe {
            Some(pipe) => self.pipes.unused.borrow_mut().push(pipe),
            None => self.pipes.made.set(self.pipes.made.get().saturating_sub(1)),
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_lent_until_all_are_and_lent_again() {
        let pipes = Rc::new(Pipes::default());
        let mut lent: Vec<PipeGuard> = (0..MAX_PIPES).map_while(|_| pipes.lend()).collect();
        assert!(lent.len() == MAX_PIPES && pipes.lend().is_none());
        lent.pop();
        assert!(pipes.lend().is_some());
        // One with bytes in it is closed, and another is made.
        let mut used = lent.pop().expect("one of them");
        used.pipe.as_mut().expect("it is lent").held = 1;
        drop(used);
        assert_eq!(pipes.made.get(), MAX_PIPES - 1);
        let new: Vec<PipeGuard> = (0..2).map_while(|_| pipes.lend()).collect();
        assert!(new.len() == 2 && pipes.lend().is_none());
    }

    #[test]
    fn none_are_lent_for_a_while_after_the_system_refused_to_fill_one() {
        let pipes = Rc::new(Pipes::default());
        let (mut used, other) = (pipes.lend().expect("a pipe"), pipes.lend());
        drop(other);
        // The system moves nothing from a pipe into itself.
        let read = used.pipe.as_ref().expect("it is lent").read.try_clone();
        let filled = used.fill(read.expect("a file"), 10);
        assert!(filled.is_err_and(|error| refuses_pipes(&error)));
        drop(used);
        assert!(pipes.lend().is_none() && pipes.made.get() == 0);
    }

    #[test]
    fn small_pipes_are_not_used() {
        assert!(Pipe::new(MIN_PIPE).is_some());
        assert!(Pipe::new(8 << 10).is_none());
        // More than the kernel can give: the pipe keeps its size, which is usually enough.
        assert!(Pipe::new(usize::MAX).is_none_or(|pipe| {
            fcntl_getpipe_size(&pipe.write).is_ok_and(|size| size >= MIN_PIPE)
        }));
    }
}
