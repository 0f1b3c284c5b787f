//! An upstream that runs a script for each connection, byte by byte, and records what it received.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::framing::Buffer;
use crate::gate::lock;
use crate::wait::PATIENCE;

/// A peer that accepts nothing for so long is not reading.
const BLOCKED: Duration = Duration::from_millis(200);

/// An upstream that runs a script for each connection.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    requests: Mutex<Vec<String>>,
    arrived: Condvar,
}

/// One connection to a scripted upstream.
#[derive(Debug)]
pub struct ScriptedConnection {
    /// How many connections came before this one.
    pub number: usize,
    stream: TcpStream,
    resets: bool,
    buffer: Buffer,
    shared: Arc<Shared>,
}

impl Scripted {
    /// Starts an upstream that runs `script` for each connection, on a new thread; the connection closes when the script
    /// returns.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(script: impl Fn(&mut ScriptedConnection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::<Shared>::default();
        let acceptor = {
            let (shared, script) = (shared.clone(), Arc::new(script));
            std::thread::spawn(move || accept(&listener, &shared, &script))
        };
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Responds to every request with these bytes, on connections that stay open.
    pub fn responding(response: &str) -> Self {
        let response = response.to_owned();
        Self::start(move |connection| {
            while connection.request().is_some() {
                connection.send(&response);
            }
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Requests that scripts read so far, byte for byte.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }

    /// Waits for this many requests in total, and returns them.
    ///
    /// # Panics
    /// When they do not arrive.
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        let (requests, waited) = self
            .shared
            .arrived
            .wait_timeout_while(lock(&self.shared.requests), PATIENCE, |requests| {
                requests.len() < count
            })
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "the upstream waited for {count} requests and received {requests:?}"
        );
        requests.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        for stream in lock(&self.shared.open).drain(..) {
            // Fails if it is already closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept<F>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<F>)
where
    F: Fn(&mut ScriptedConnection) + Send + Sync + 'static,
{
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(handle) = stream.try_clone() else {
            return;
        };
        lock(&shared.open).push(handle);
        let mut connection = ScriptedConnection {
            number: shared.connections.fetch_add(1, Ordering::AcqRel),
            stream,
            resets: false,
            buffer: Buffer::default(),
            shared: shared.clone(),
        };
        let script = script.clone();
        std::thread::spawn(move || {
            script(&mut connection);
            if !connection.resets {
                let _ = connection.stream.shutdown(Shutdown::Both);
            }
        });
    }
}

impl ScriptedConnection {
    /// Reads and records a request with its body, by its framing; `None` when the peer has closed.
    pub fn request(&mut self) -> Option<String> {
        let text = self.read_request().ok()?;
        self.record(&text);
        Some(text)
    }

    /// Reads and records a head, without the body.
    pub fn head(&mut self) -> Option<String> {
        let head = self.buffer.head(&mut self.stream).ok()?;
        self.record(&head);
        Some(head)
    }

    /// Reads exactly `length` bytes.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.buffer.exactly(&mut self.stream, length)
    }

    /// Writes; `false` when that failed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Writes what the peer accepts without reading for [`BLOCKED`]; returns how many bytes that are.
    pub fn send_until_blocked(&mut self, bytes: &[u8]) -> usize {
        let _ = self.stream.set_write_timeout(Some(BLOCKED));
        let mut accepted = 0;
        while let Ok(written @ 1..) = self.stream.write(&bytes[accepted..]) {
            accepted += written;
        }
        let _ = self.stream.set_write_timeout(None);
        accepted
    }

    /// Waits until the peer closes; `false` when it sent something before.
    pub fn wait_for_close(&mut self) -> bool {
        matches!(self.buffer.rest(&mut self.stream), Ok(rest) if rest.is_empty())
    }

    /// Closes the sending side.
    pub fn half_close(&self) {
        // Fails if the peer is gone, with the same effect.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Makes the connection end with a reset instead of a close when the script returns.
    pub fn reset(&mut self) {
        // Zero linger turns the close into a reset, once the clone in `open` is closed too.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        let peer = self.stream.peer_addr().ok();
        lock(&self.shared.open).retain(|other| other.peer_addr().ok() != peer);
        self.resets = true;
    }

    fn read_request(&mut self) -> io::Result<String> {
        let mut text = self.buffer.head(&mut self.stream)?;
        let lower = text.to_ascii_lowercase();
        let field = |name: &str| {
            lower
                .split("\r\n")
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        if field("transfer-encoding:").is_some() {
            loop {
                let line = self.buffer.line(&mut self.stream)?;
                text.push_str(&line);
                text.push_str("\r\n");
                let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                if size == 0 {
                    break;
                }
                let chunk = self.buffer.exactly(&mut self.stream, size + 2)?;
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
            loop {
                let line = self.buffer.line(&mut self.stream)?;
                text.push_str(&line);
                text.push_str("\r\n");
                if line.is_empty() {
                    break;
                }
            }
        } else if let Some(length) = field("content-length:") {
            let length = length.parse().map_err(io::Error::other)?;
            let body = self.buffer.exactly(&mut self.stream, length)?;
            text.push_str(&String::from_utf8_lossy(&body));
        }
        Ok(text)
    }

    /// Adds to the requests.
    pub fn record(&self, text: &str) {
        lock(&self.shared.requests).push(text.to_owned());
        self.shared.arrived.notify_all();
    }
}

impl Read for ScriptedConnection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}
