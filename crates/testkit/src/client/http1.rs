//! HTTP/1 client connections that send exactly the given bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::framing::Buffer;
use super::request::Request;
use super::response::Response;
use super::tls::{Negotiated, Tls};
use crate::wait::PATIENCE;

/// A socket, or TLS over it.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A client connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    buffer: Buffer,
    sent: String,
    tls: Option<Negotiated>,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Panics
    /// When the connection is refused.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address)
            .unwrap_or_else(|error| panic!("connecting to {address} failed: {error}"))
    }

    /// Opens a connection from another address of this machine.
    ///
    /// # Panics
    /// When the connection is refused.
    pub fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        connect_from(source, address)
            .and_then(Self::of)
            .unwrap_or_else(|error| panic!("{source}: connecting to {address} failed: {error}"))
    }

    /// Opens a connection, which may fail.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        connect(address).and_then(Self::of)
    }

    fn of(socket: TcpStream) -> io::Result<Self> {
        Ok(Self {
            stream: Box::new(socket.try_clone()?),
            socket,
            buffer: Buffer::default(),
            sent: String::new(),
            tls: None,
        })
    }

    /// Opens a connection, writes `preamble` in the clear (a PROXY protocol header), then starts TLS.
    pub fn try_open_tls(address: SocketAddr, tls: &Tls, preamble: &[u8]) -> io::Result<Self> {
        let socket = connect(address)?;
        (&socket).write_all(preamble)?;
        let (stream, negotiated) = tls.handshake(socket.try_clone()?)?;
        Ok(Self {
            stream: Box::new(stream),
            socket,
            buffer: Buffer::default(),
            sent: String::new(),
            tls: Some(negotiated),
        })
    }

    /// Opens a TLS connection.
    ///
    /// # Panics
    /// When the handshake fails.
    pub fn open_tls(address: SocketAddr, tls: &Tls) -> Self {
        Self::try_open_tls(address, tls, &[])
            .unwrap_or_else(|error| panic!("TLS with {address} as {tls:?} failed: {error}"))
    }

    /// The outcome of the handshake.
    ///
    /// # Panics
    /// On a connection without TLS.
    pub fn tls(&self) -> &Negotiated {
        self.tls.as_ref().expect("this connection has TLS")
    }

    /// The local address.
    ///
    /// # Panics
    /// When the socket is gone.
    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a socket has an address")
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.try_send(bytes)
            .unwrap_or_else(|error| panic!("sending {} failed: {error}", bytes.escape_ascii()));
        self
    }

    /// Writes bytes, which may fail.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sent.push_str(&String::from_utf8_lossy(bytes));
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads the next response.
    ///
    /// # Panics
    /// When none comes.
    pub fn response(&mut self) -> Response {
        self.try_response(false)
            .unwrap_or_else(|error| panic!("sent:\n{}\nno response: {error}", self.sent))
    }

    /// Reads the response to a HEAD request.
    ///
    /// # Panics
    /// When none comes.
    pub fn response_to_head(&mut self) -> Response {
        self.try_response(true)
            .unwrap_or_else(|error| panic!("sent:\n{}\nno response: {error}", self.sent))
    }

    /// Reads the next response, which may fail. `bodiless`: it is for HEAD.
    pub fn try_response(&mut self, bodiless: bool) -> io::Result<Response> {
        let framed = self.buffer.response(&mut self.stream, bodiless)?;
        Response::from_framed(framed, &self.sent)
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// When none comes.
    pub fn exchange(&mut self, request: &Request) -> Response {
        self.sent.clear();
        self.send(request.bytes());
        self.try_response(request.is_head())
            .unwrap_or_else(|error| panic!("sent:\n{}\nno response: {error}", self.sent))
    }

    /// Clears the record of sent bytes, so that messages quote only what is sent later.
    pub fn clear_sent(&mut self) {
        self.sent.clear();
    }

    /// Reads the next head alone, interim or final.
    pub fn try_head(&mut self) -> io::Result<String> {
        self.buffer.head(&mut self.stream)
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        self.try_exactly(length)
            .unwrap_or_else(|error| panic!("sent:\n{}\n{error}", self.sent))
    }

    /// Reads exactly `length` bytes, which may fail.
    pub fn try_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.buffer.exactly(&mut self.stream, length)
    }

    /// Reads until the peer closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.buffer.rest(&mut self.stream)
    }

    /// Whether the peer closes within [`PATIENCE`] and sends nothing before.
    pub fn is_closed(&mut self) -> bool {
        match self.rest() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Closes the sending side.
    pub fn half_close(&mut self) {
        // Fails if the peer is gone, with the same effect.
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    configured(TcpStream::connect_timeout(&address, PATIENCE)?)
}

fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    configured(socket.into())
}

fn configured(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
