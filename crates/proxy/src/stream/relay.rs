//! Copies the bytes of a TCP session both ways.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::task::Poll;

use futures_util::FutureExt;
use headgate_http1::refuses_pipes;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::{Duration, timeout};

use crate::pipes::{PipeGuard, RelayTools};
use crate::telemetry::stream_session::{Direction, Traffic};

/// Bytes of one read into the buffer, and thus what is kept for a side that does not read. A direction whose read is that long
/// counts as bulk: it goes through a pipe from then on.
const READ: usize = 16 << 10;
/// A bulk direction that moved less than this until it had to wait goes back to the buffer, which costs fewer system calls.
const TRICKLE: usize = 8 << 10;
/// How long a side may accept no bytes where silence alone is no reason to end, that of nginx's timeouts of streams.
const BLOCKED: Duration = Duration::from_secs(600);

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides closed.
    Closed,
    /// One side broke, or accepted no bytes for too long; the other was told by a reset.
    Reset,
    /// Both sides were silent for too long.
    Idle,
}

/// When a relay ends although both sides are reachable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Both sides are silent for this long.
    pub(super) silence: Duration,
    /// `silence` counts from the start; else from when one side has closed its direction.
    pub(super) always: bool,
    /// One side accepts no bytes for this long.
    pub(super) blocked: Duration,
}

impl Bounds {
    /// It ends with this silence.
    pub(super) fn silent(silence: Duration) -> Self {
        Self {
            silence,
            always: true,
            blocked: Duration::MAX,
        }
    }

    /// Both sides may be silent as long as they are reachable. With this silence it ends when one side has closed its
    /// direction.
    pub(super) fn reachable(silence: Duration) -> Self {
        Self {
            silence,
            always: false,
            blocked: BLOCKED,
        }
    }
}

/// Copies between two connections, which it does not own.
pub(super) struct Relay<'s> {
    client: &'s TcpStream,
    endpoint: &'s TcpStream,
    traffic: &'s Traffic,
    tools: &'s RelayTools,
    bounds: &'s Bounds,
    /// One side has closed its direction.
    half_closed: Cell<bool>,
}

impl<'s> Relay<'s> {
    pub(super) fn new(
        client: &'s TcpStream,
        endpoint: &'s TcpStream,
        traffic: &'s Traffic,
        (bounds, tools): (&'s Bounds, &'s RelayTools),
    ) -> Self {
        Self {
            client,
            endpoint,
            traffic,
            tools,
            bounds,
            half_closed: Cell::new(false),
        }
    }

    /// Copies both ways until both sides have closed, one breaks, or the bounds end it. Either side may close first: the other
    /// one is told, and may go on sending.
    pub(super) async fn run(&self) -> End {
        let end = tokio::select! {
            // The order matters: `silence` looks at what the directions have done.
            biased;
            ended = async {
                tokio::try_join!(self.copy(Direction::ToEndpoint), self.copy(Direction::ToClient))
            } => match ended {
                Ok(_) => End::Closed,
                Err(error) => {
                    tracing::debug!(%error, "a stream broke");
                    End::Reset
                }
            },
            () = self.silence() => End::Idle,
        };
        if end == End::Reset {
            // A clean end would look like the end of the data. What broke already cannot be reset any more.
            let _ = self.client.set_zero_linger();
            let _ = self.endpoint.set_zero_linger();
        }
        end
    }

    /// Returns when silence ends it.
    async fn silence(&self) {
        poll_fn(|_| match self.bounds.always || self.half_closed.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        self.traffic.silence(self.bounds.silence).await;
    }

    fn from(&self, direction: Direction) -> &'s TcpStream {
        match direction {
            Direction::ToEndpoint => self.client,
            Direction::ToClient => self.endpoint,
        }
    }

    fn to(&self, direction: Direction) -> &'s TcpStream {
        match direction {
            Direction::ToEndpoint => self.endpoint,
            Direction::ToClient => self.client,
        }
    }

    /// Copies one direction until its end, which it passes on.
    async fn copy(&self, direction: Direction) -> io::Result<()> {
        let mut bulk = false;
        loop {
            // `readable` would take ten times the memory, to let several tasks wait.
            poll_fn(|context| self.from(direction).poll_read_ready(context)).await?;
            let pipe = if bulk { self.tools.pipe() } else { None };
            let moved = match pipe {
                Some(mut pipe) => self.through_pipe(direction, &mut pipe).await?,
                None => self.through_buffer(direction).await?,
            };
            match moved {
                ControlFlow::Break(()) => break,
                ControlFlow::Continue(moved) => {
                    bulk = if bulk {
                        moved >= TRICKLE
                    } else {
                        moved >= READ
                    };
                }
            }
        }
        self.traffic.touch();
        self.half_closed.set(true);
        match SockRef::from(self.to(direction)).shutdown(Shutdown::Write) {
            // It closed before.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            shut => shut,
        }
    }

    /// Waits until bytes can be written.
    async fn writable(&self, direction: Direction) -> io::Result<()> {
        if let Some(ready) = self.to(direction).writable().now_or_never() {
            return ready;
        }
        // In memory of its own, as most directions never wait.
        Box::pin(timeout(self.bounds.blocked, self.to(direction).writable())).await?
    }

    /// One read and the writes for it. Nothing is read for a side that accepts no bytes.
    pub(super) async fn through_buffer(
        &self,
        direction: Direction,
    ) -> io::Result<ControlFlow<(), usize>> {
        self.writable(direction).await?;
        let read = self
            .tools
            .with_buffer(|buffer| self.read_and_write(direction, buffer));
        match read {
            Ok((0, _)) => Ok(ControlFlow::Break(())),
            Ok((read, rest)) => {
                if !rest.is_empty() {
                    Box::pin(self.write(direction, rest)).await?;
                }
                Ok(ControlFlow::Continue(read))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(ControlFlow::Continue(0)),
            Err(error) => Err(error),
        }
    }

    /// Writes what could not be written at once.
    async fn write(&self, direction: Direction, rest: Vec<u8>) -> io::Result<()> {
        let mut rest = rest.as_slice();
        while !rest.is_empty() {
            self.writable(direction).await?;
            match self.to(direction).try_write(rest) {
                Ok(written) => {
                    self.traffic.written(direction, written);
                    self.traffic.touch();
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The number of bytes read, and those that could not be written yet.
    fn read_and_write(
        &self,
        direction: Direction,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Vec<u8>)> {
        let buffer = buffer.get_mut(..READ).unwrap_or_default();
        let read = self.read(direction, buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((0, Vec::new()));
        }
        self.traffic.read(direction, read);
        let written = match self.to(direction).try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.traffic.written(direction, written);
        Ok((read, bytes.get(written..).unwrap_or_default().to_vec()))
    }

    /// Reads once. After a short read the socket is empty, so that it is waited for instead of read in vain.
    fn read(&self, direction: Direction, buffer: &mut [u8]) -> io::Result<usize> {
        let from = self.from(direction);
        let mut outcome = None;
        let attempt = from.try_io(Interest::READABLE, || {
            let read = rustix::io::read(from, &mut *buffer)?;
            outcome = Some(read);
            match read {
                0 => Ok(()),
                read if read < buffer.len() => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        match (outcome, attempt) {
            (Some(read), _) => Ok(read),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Moves bytes until the source has none, without copying them.
    async fn through_pipe(
        &self,
        direction: Direction,
        pipe: &mut PipeGuard,
    ) -> io::Result<ControlFlow<(), usize>> {
        let (from, to) = (self.from(direction), self.to(direction));
        let mut moved = 0;
        loop {
            match from.try_io(Interest::READABLE, || pipe.fill(from, u64::MAX)) {
                Ok(0) => return Ok(ControlFlow::Break(())),
                Ok(read) => {
                    self.traffic.read(direction, read);
                    moved += read;
                }
                // What is left is copied.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock || refuses_pipes(&error) =>
                {
                    return Ok(ControlFlow::Continue(moved));
                }
                Err(error) => return Err(error),
            }
            while pipe.held() > 0 {
                match to.try_io(Interest::WRITABLE, || pipe.empty(to)) {
                    Ok(written) => {
                        self.traffic.written(direction, written);
                        self.traffic.touch();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.writable(direction).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            consume_budget().await;
        }
    }
}
