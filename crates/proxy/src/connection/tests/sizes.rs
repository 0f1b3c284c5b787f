//! What a connection holds while it waits: the futures of its stages, each of which has a box of its own.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::super::io::Transport;
use super::super::{Start, http2};
use crate::connection::Pipeline;

/// Bytes of what the beginning of a connection returns.
fn beginning<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

/// Bytes of what serves a protocol.
fn protocol<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn the_futures_of_a_connection_are_small() {
    let plain = beginning(Start::<Pipeline>::open_plain::<TcpStream>);
    let tls = beginning(Start::<Pipeline>::open_tls::<TcpStream>);
    type Tls = Box<TlsStream<Transport<TcpStream>>>;
    let http2 = protocol(http2::serve::<Tls, Pipeline>);
    let sizes = [
        ("plain", plain, 1200),
        ("TLS", tls, 3500),
        ("HTTP/2", http2, 2500),
    ];
    for (name, size, most) in sizes {
        assert!(size <= most, "{name}: {size} bytes: box what is rare");
    }
}
