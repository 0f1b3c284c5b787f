//! The listener of the console: HTTP/1.1 with a thread and a runtime of its own, so that readers do not slow requests down.
//!
//! Everything that a client holds is bounded: connections, the time for a head, the time for which it reads nothing, and the
//! pages that are followed.

mod access;
mod answer;
mod events;
mod login;
mod patience;
mod pieces;
mod refusal;
mod response;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::access::{Access, MIN_TOKEN, TokenTooShort};
use self::patience::Patient;
use crate::Source;

/// Pause after a failed accept: the usual reason, no free file descriptors, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most bytes of a head, and most fields in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;

/// What clients may hold, and how often pages change.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections; more wait to be accepted.
    connections: usize,
    /// Pages that are followed.
    streams: usize,
    /// Time for the head of a request, also of the next one of a connection.
    head_time: Duration,
    /// Time in which a client reads nothing.
    write_time: Duration,
    /// Time between two versions of a page that is followed; of a list twice as long.
    tick: Duration,
    /// Time after which an empty event shows that a stream is alive.
    heartbeat: Duration,
    /// Time after which a stream ends, and the browser opens another one, if its session is valid still.
    stream_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            streams: 100,
            head_time: Duration::from_secs(10),
            write_time: Duration::from_secs(20),
            tick: Duration::from_secs(2),
            heartbeat: Duration::from_secs(15),
            stream_life: Duration::from_secs(15 * 60),
        }
    }
}

/// What all connections share.
struct Console {
    source: Arc<dyn Source>,
    access: Access,
    limits: Limits,
    streams: Arc<Semaphore>,
}

/// Serves the console on its own thread; it ends with the process.
///
/// # Errors
/// When the thread or its runtime cannot be started.
pub fn start(listener: TcpListener, source: Arc<dyn Source>, access: Access) -> io::Result<()> {
    start_with(listener, source, access, Limits::default())
}

fn start_with(
    listener: TcpListener,
    source: Arc<dyn Source>,
    access: Access,
    limits: Limits,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let console = Arc::new(Console {
        source,
        access,
        limits,
        streams: Arc::new(Semaphore::new(limits.streams)),
    });
    let thread = std::thread::Builder::new().name("console".into());
    thread.spawn(move || runtime.block_on(accept(&listener, &console)))?;
    Ok(())
}

async fn accept(listener: &tokio::net::TcpListener, console: &Arc<Console>) {
    let connections = Arc::new(Semaphore::new(console.limits.connections));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, console.clone(), permit));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection of the console");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, console: Arc<Console>, _permit: OwnedSemaphorePermit) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let limits = console.limits;
    let service = service_fn(move |request| {
        let console = console.clone();
        async move { Ok::<_, Infallible>(answer::answer(request, &console, local).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(
            TokioIo::new(Patient::new(stream, limits.write_time)),
            service,
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection of the console failed");
    }
}

#[cfg(test)]
mod tests;
