//! Takes connections off a listening socket and gives each a task of its own.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::connection::{self, Accepted, CountPanic, Front, Handler};
use crate::listen::Port;

/// First pause after accepting failed for lack of something; doubled up to [`PAUSE_MAX`] while it goes on.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest pause. Connections wait in the backlog meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Accepts connections until `stop` holds true or its sender is gone, takes those that already wait, and closes the socket.
pub(crate) async fn run<H: Handler>(
    front: Rc<Front<H>>,
    listener: TcpListener,
    port: Port,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let port = (port, address);
    let mut pause = PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE;
                begin(&front, stream, peer, port);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                front.worker.telemetry.refused("accept");
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
    // The kernel has promised these to us: closing the socket would reset them.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        begin(&front, stream, peer, port);
    }
}

fn begin<H: Handler>(
    front: &Rc<Front<H>>,
    stream: TcpStream,
    peer: SocketAddr,
    (port, listener): (Port, SocketAddr),
) {
    let Some(place) = front
        .process
        .place(front.worker.shared.config.max_connections)
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
        listener,
        port,
        place,
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
