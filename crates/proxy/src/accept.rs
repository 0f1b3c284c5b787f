//! Takes connections off a listening socket and spawns a task for each.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::connection::{self, Accepted, CountPanic, Front, Handler};
use crate::open_listener::OpenListener;

/// First pause after accepting failed for lack of something; doubled up to [`PAUSE_MAX`] while it goes on.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest pause. Connections wait in the backlog meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Accepts the connections of one socket until it is stopped or dropped.
pub(crate) struct Acceptor {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Acceptor {
    /// Begins to accept from `socket`, which is that of `listener`.
    pub(crate) fn start<H: Handler>(
        front: Rc<Front<H>>,
        listener: Rc<OpenListener>,
        socket: TcpListener,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::task::spawn_local(run(front, listener, socket, stopped));
        Self { stop, task }
    }

    /// Stops accepting. The task takes the connections that already wait, closes the socket and ends.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.task
    }
}

async fn run<H: Handler>(
    front: Rc<Front<H>>,
    listener: Rc<OpenListener>,
    socket: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut pause = PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE;
                begin(&front, &listener, stream, peer);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                front.worker.telemetry.refused("accept");
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
    // The kernel has promised these to us: closing the socket would reset them.
    while let Some(Ok((stream, peer))) = socket.accept().now_or_never() {
        begin(&front, &listener, stream, peer);
    }
}

fn begin<H: Handler>(
    front: &Rc<Front<H>>,
    listener: &Rc<OpenListener>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Some(permit) = front
        .process
        .permit(front.worker.shared.config.max_connections)
    else {
        return front.worker.telemetry.turned_away("connections");
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
    let counted = CountPanic(front.worker.clone());
    let serve = connection::serve(front.clone(), accepted);
    // The runtime catches a panic: it ends this connection and no other.
    tokio::task::spawn_local(async move {
        let _counted = counted;
        serve.await;
    });
}

/// Errors of a connection that went away before it was accepted; the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
