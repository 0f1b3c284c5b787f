//! Copies the bytes of a TCP session both ways.

use std::io;
use std::net::Shutdown;
use std::ops::ControlFlow;

use futures_util::FutureExt;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::time::{Duration, timeout};

use crate::pipes::RelayTools;
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

/// Copies both ways until both sides have closed, one breaks, or `bounds` end it. Either side may close first: the other one
/// is told, and may go on sending.
pub(super) async fn relay(
    client: &TcpStream,
    endpoint: &TcpStream,
    traffic: &Traffic,
    (bounds, tools): (Bounds, &RelayTools),
) -> End {
    let half_closed = Notify::new();
    let copy = |direction, from, to| {
        let transfer = Transfer {
            direction,
            from,
            to,
            traffic,
            tools,
            blocked: bounds.blocked,
            half_closed: &half_closed,
        };
        transfer.copy()
    };
    let both = async {
        tokio::try_join!(
            copy(Direction::ToEndpoint, client, endpoint),
            copy(Direction::ToClient, endpoint, client)
        )
    };
    let silence = async {
        if !bounds.always {
            half_closed.notified().await;
        }
        traffic.silence(bounds.silence).await;
    };
    let end = tokio::select! {
        ended = both => match ended {
            Ok(_) => End::Closed,
            Err(error) => {
                tracing::debug!(%error, "a stream broke");
                End::Reset
            }
        },
        () = silence => End::Idle,
    };
    if end == End::Reset {
        // A clean end would look like the end of the data. What broke already cannot be reset any more.
        let _ = client.set_zero_linger();
        let _ = endpoint.set_zero_linger();
    }
    end
}

/// One direction of a relay.
struct Transfer<'s> {
    direction: Direction,
    from: &'s TcpStream,
    to: &'s TcpStream,
    traffic: &'s Traffic,
    tools: &'s RelayTools,
    blocked: Duration,
    /// Notified when it has ended.
    half_closed: &'s Notify,
}

impl Transfer<'_> {
    /// Copies until the end, which it passes on.
    async fn copy(self) -> io::Result<()> {
        let mut bulk = false;
        loop {
            self.from.readable().await?;
            let moved = match bulk {
                true => self.through_pipe().await?,
                false => self.through_buffer().await?,
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
            consume_budget().await;
        }
        self.traffic.touch();
        self.half_closed.notify_one();
        match SockRef::from(self.to).shutdown(Shutdown::Write) {
            // It closed before.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            shut => shut,
        }
    }

    /// Waits until bytes can be written.
    async fn writable(&self) -> io::Result<()> {
        if let Some(ready) = self.to.writable().now_or_never() {
            return ready;
        }
        // In memory of its own, as most directions never wait.
        Box::pin(timeout(self.blocked, self.to.writable())).await?
    }

    /// One read and the writes for it. Nothing is read for a side that accepts no bytes.
    async fn through_buffer(&self) -> io::Result<ControlFlow<(), usize>> {
        self.writable().await?;
        let read = self.tools.with_buffer(|buffer| self.read_and_write(buffer));
        let (read, rest) = match read {
            Ok((0, _)) => return Ok(ControlFlow::Break(())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(ControlFlow::Continue(0));
            }
            Err(error) => return Err(error),
        };
        let mut rest = rest.as_slice();
        while !rest.is_empty() {
            self.writable().await?;
            match self.to.try_write(rest) {
                Ok(written) => {
                    self.traffic.written(self.direction, written);
                    self.traffic.touch();
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ControlFlow::Continue(read))
    }

    /// The number of bytes read, and those that could not be written yet.
    fn read_and_write(&self, buffer: &mut [u8]) -> io::Result<(usize, Vec<u8>)> {
        let buffer = buffer.get_mut(..READ).unwrap_or_default();
        let read = self.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((0, Vec::new()));
        }
        self.traffic.read(self.direction, read);
        let written = match self.to.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.traffic.written(self.direction, written);
        Ok((read, bytes.get(written..).unwrap_or_default().to_vec()))
    }

    /// Reads once. After a short read the socket is empty, so that it is waited for instead of read in vain.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut outcome = None;
        let attempt = self.from.try_io(Interest::READABLE, || {
            let read = rustix::io::read(self.from, &mut *buffer)?;
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

    /// Moves bytes until the source has none, without copying them. If no pipe is left, as [`Self::through_buffer`].
    async fn through_pipe(&self) -> io::Result<ControlFlow<(), usize>> {
        let Some(mut pipe) = self.tools.pipe() else {
            return self.through_buffer().await;
        };
        let mut moved = 0;
        loop {
            let filled = self
                .from
                .try_io(Interest::READABLE, || pipe.fill(self.from));
            match filled {
                Ok(0) => return Ok(ControlFlow::Break(())),
                Ok(read) => {
                    self.traffic.read(self.direction, read);
                    moved += read;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(ControlFlow::Continue(moved));
                }
                Err(error) => return Err(error),
            }
            while pipe.held() > 0 {
                let emptied = self.to.try_io(Interest::WRITABLE, || pipe.empty(self.to));
                match emptied {
                    Ok(written) => {
                        self.traffic.written(self.direction, written);
                        self.traffic.touch();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.writable().await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            consume_budget().await;
        }
    }
}
