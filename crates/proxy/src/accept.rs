//! Accepts connections from a listening socket and spawns a task for each, or hands them over to a worker with less to do.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::connection::{self, Accepted, Handler, WorkerContext};
use crate::handover::HandedOver;
use crate::limit::Limit;
use crate::listen::BACKLOG;
use crate::open_listener::OpenListener;
use crate::process::Permit;
use crate::shedding::Accept;

/// First pause after accepting failed for lack of resources; doubled up to [`PAUSE_MAX`] while it fails.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest pause. Connections wait in the backlog meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long a connection for which there is no room waits for idle ones to close: other workers notice with their next tick.
const WAIT: Duration = Duration::from_millis(250);
/// Time between two looks whether there is room.
const LOOK: Duration = Duration::from_millis(5);

/// Accepts the connections of one socket until it is stopped or dropped.
pub(crate) struct Acceptor {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Acceptor {
    /// Starts accepting from `socket`, the socket of `listener`.
    pub(crate) fn start<H: Handler>(
        context: Rc<WorkerContext<H>>,
        listener: Rc<OpenListener>,
        socket: TcpListener,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::task::spawn_local(run(context, listener, socket, stopped));
        Self { stop, task }
    }

    /// Stops accepting. The task accepts the connections that already wait, closes the socket and ends.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.task
    }
}

async fn run<H: Handler>(
    context: Rc<WorkerContext<H>>,
    listener: Rc<OpenListener>,
    socket: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut pause = PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = accept(&context, &socket) => accepted,
        };
        match accepted {
            Ok(connection) => {
                pause = PAUSE;
                admit(&context, &listener, connection).await;
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                context.worker.telemetry.refused(Limit::Accept);
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
    accept_backlog(&context, &listener, socket);
}

/// A connection, and its client's address.
type Connection = (TcpStream, SocketAddr);

/// The next connection.
async fn accept<H>(context: &WorkerContext<H>, socket: &TcpListener) -> io::Result<Connection> {
    context.worker.shedding.until_accepting().await;
    socket.accept().await
}

/// Serves a connection that was just accepted, unless another worker has less to do or there is no room for it.
async fn admit<H: Handler>(
    context: &Rc<WorkerContext<H>>,
    listener: &Rc<OpenListener>,
    connection: Connection,
) {
    let lighter = context.process.lighter(context.worker.index);
    if lighter.is_none() && context.worker.shedding.accept() == Accept::Refuse {
        return refuse(context, &connection.0);
    }
    let permit = permit(context).await;
    match (lighter, permit) {
        (Some(lighter), Some(permit)) => {
            hand_over(context, listener, connection, (lighter, permit));
        }
        (_, permit) => spawn(context, listener, connection, permit),
    }
}

/// Hands a connection over to the worker `to`. If that is about to end, it stays here.
fn hand_over<H: Handler>(
    context: &Rc<WorkerContext<H>>,
    listener: &Rc<OpenListener>,
    (stream, peer): Connection,
    (to, mut permit): (usize, Permit),
) {
    let Ok(stream) = stream.into_std() else {
        return context.worker.telemetry.connection_refused(Limit::Accept);
    };
    permit.hand_over(to);
    let connection = HandedOver {
        stream,
        peer,
        listener: listener.address,
        table: listener.known_table(),
        permit,
    };
    if let Err(mut kept) = context.workers.hand_over(to, connection) {
        kept.permit.hand_over(context.worker.index);
        take(context, listener, kept);
    }
}

/// Serves a connection that another worker has handed over, unless there is no time for it.
pub(crate) fn take<H: Handler>(
    context: &Rc<WorkerContext<H>>,
    listener: &Rc<OpenListener>,
    connection: HandedOver,
) {
    let HandedOver {
        stream,
        peer,
        permit,
        ..
    } = connection;
    match TcpStream::from_std(stream) {
        Err(_) => context.worker.telemetry.connection_refused(Limit::Accept),
        Ok(stream) if context.worker.shedding.accept() == Accept::Refuse => {
            refuse(context, &stream);
        }
        Ok(stream) => spawn(context, listener, (stream, peer), Some(permit)),
    }
}

/// Resets a connection for which an overloaded worker has no time: its client learns at once that it must try elsewhere.
fn refuse<H>(context: &WorkerContext<H>, stream: &TcpStream) {
    context.worker.telemetry.refused(Limit::Overload);
    // Without it the kernel would keep the connection until its client closes it.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Accepts the connections that the kernel has established already: closing the socket would reset them. Calls accept(2)
/// itself, because tokio does so only after its next poll of events, and only as often as the budget of the task allows. The
/// number is bounded, so that new connections cannot delay the end.
fn accept_backlog<H: Handler>(
    context: &Rc<WorkerContext<H>>,
    listener: &Rc<OpenListener>,
    socket: TcpListener,
) {
    let Ok(socket) = socket.into_std() else {
        return;
    };
    for _ in 0..BACKLOG {
        match socket.accept() {
            Ok((stream, peer)) => {
                let stream = stream
                    .set_nonblocking(true)
                    .and_then(|()| TcpStream::from_std(stream));
                if let Ok(stream) = stream {
                    spawn(context, listener, (stream, peer), claim(context));
                }
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(_) => return, // usually that none is left
        }
    }
}

/// The permit of another connection. Without room, those accepted just before go first, which their client may have too many
/// of, or which displace others. Then it waits for idle connections to close, but only the first that finds none: after that,
/// none is idle.
async fn permit<H>(context: &WorkerContext<H>) -> Option<Permit> {
    let mut permit = claim(context);
    if permit.is_none() {
        tokio::task::yield_now().await;
        permit = claim(context);
    }
    if permit.is_some() || !context.worker.shedding.may_wait() {
        return permit;
    }
    let room = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(permit) = claim(context) {
                return permit;
            }
        }
    };
    tokio::time::timeout(WAIT, room).await.ok()
}

/// The permit of another connection, if there is room. Idle connections begin to close before there is none.
fn claim<H>(context: &WorkerContext<H>) -> Option<Permit> {
    let max = context.worker.max_connections();
    let permit = context.process.permit(context.worker.index, max);
    if context.process.is_short(max) && context.worker.shedding.connections_short() {
        context.connections.wake();
    }
    permit
}

fn spawn<H: Handler>(
    context: &Rc<WorkerContext<H>>,
    listener: &Rc<OpenListener>,
    (stream, peer): Connection,
    permit: Option<Permit>,
) {
    let Some(permit) = permit else {
        return context
            .worker
            .telemetry
            .connection_refused(Limit::Connections);
    };
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let accepted = Accepted {
        stream,
        peer,
        local,
        listener: listener.clone(),
        permit,
    };
    connection::spawn(context.clone(), accepted);
}

/// Whether the client closed the connection before it was accepted; the next one may succeed.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use headgate_table::Settings;
    use tokio::io::AsyncReadExt as _;
    use tokio::task::{LocalSet, yield_now};

    use super::*;
    use crate::connection::tests::{Fixture, HTTP};

    #[tokio::test]
    async fn an_overloaded_worker_resets_connections_that_it_cannot_serve() {
        let test = async {
            let fixture = Fixture::new(Settings::default());
            let context = &fixture.context;
            let tick = |late| context.worker.tick(late, &context.process);
            (0..2).for_each(|_| assert!(!tick(Duration::from_secs(2))));
            let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address = socket.local_addr().unwrap();
            let _acceptor = Acceptor::start(context.clone(), fixture.listener(HTTP), socket);
            let mut clients = Vec::new();
            for _ in 0..64 {
                clients.push(TcpStream::connect(address).await.unwrap());
            }
            let open = || context.worker.shared.telemetry.open_connections();
            while open() < 64 {
                yield_now().await;
            }
            for _ in 0..6 {
                // The client may learn it while it connects.
                let reset = async { TcpStream::connect(address).await?.read_u8().await };
                let error = reset.await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            }
            assert_eq!(open(), 64);
            tick(Duration::ZERO);
            clients.push(TcpStream::connect(address).await.unwrap());
            while open() < 65 {
                yield_now().await;
            }
        };
        LocalSet::new().run_until(test).await;
    }
}
