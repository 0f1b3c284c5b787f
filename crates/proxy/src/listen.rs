//! Listening sockets: for each worker its own on every address, so that the kernel spreads connections over the workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;

/// Connections that may wait to be accepted; the system's own bound (`net.core.somaxconn`) is often lower.
pub(crate) const BACKLOG: i32 = 4096;

/// Attempts to find a free port, each of which fails if the chosen port is in use on another address.
const PORT_ATTEMPTS: usize = 8;

/// Sockets of one worker by address.
pub(crate) type WorkerSockets = Vec<(SocketAddr, TcpListener)>;

/// All sockets, bound and listening.
pub(crate) struct Listeners {
    /// One set for each worker.
    pub(crate) workers: Vec<WorkerSockets>,
    /// The addresses for plain HTTP.
    pub(crate) http: Vec<SocketAddr>,
    /// The addresses for HTTPS.
    pub(crate) https: Vec<SocketAddr>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(crate) struct BindError {
    /// That address.
    pub(crate) address: SocketAddr,
    /// Why.
    pub(crate) source: io::Error,
}

/// Binds all addresses of `config` for every worker.
pub(crate) fn bind(config: &Config) -> Result<Listeners, BindError> {
    let addresses = Addresses::of(config);
    let workers = config.workers.max(1);
    let (http_addresses, http_sockets) = bind_port(&addresses, config.http_port, workers)?;
    let (https_addresses, https_sockets) = bind_port(&addresses, config.https_port, workers)?;
    let workers = http_sockets.into_iter().zip(https_sockets);
    let workers = workers.map(|(http, https)| {
        let addresses = [&http_addresses[..], &https_addresses].concat();
        addresses
            .into_iter()
            .zip([http, https].into_iter().flatten())
            .collect()
    });
    Ok(Listeners {
        workers: workers.collect(),
        http: http_addresses,
        https: https_addresses,
    })
}

/// The addresses to listen on.
struct Addresses {
    required: Vec<IpAddr>,
    /// Omitted where the system does not have it: IPv6 by default.
    optional: Option<IpAddr>,
}

impl Addresses {
    fn of(config: &Config) -> Self {
        if config.bind.is_empty() {
            let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
            return Self {
                required: vec![v4],
                optional: Some(v6),
            };
        }
        Self {
            required: config.bind.clone(),
            optional: None,
        }
    }
}

/// One port on all addresses: the addresses with the actual port, and the sockets by worker.
type BoundPort = (Vec<SocketAddr>, Vec<Vec<TcpListener>>);

fn bind_port(addresses: &Addresses, port: u16, workers: usize) -> Result<BoundPort, BindError> {
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_addresses(addresses, port, workers) {
            Err(error) if attempts > 0 && error.source.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
    }
}

fn bind_addresses(
    addresses: &Addresses,
    mut port: u16,
    workers: usize,
) -> Result<BoundPort, BindError> {
    let mut bound = Vec::new();
    let mut sockets: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let required = addresses.required.iter().map(|ip| (*ip, true));
    for (ip, required) in required.chain(addresses.optional.map(|ip| (ip, false))) {
        let first = match listen(SocketAddr::new(ip, port)) {
            Ok(first) => first,
            Err(error) if !required && unavailable(&error.source) => continue,
            Err(error) => return Err(error),
        };
        let address = first.local_addr().map_err(|source| BindError {
            address: SocketAddr::new(ip, port),
            source,
        })?;
        port = address.port();
        bound.push(address);
        let mut first = Some(first);
        for worker in &mut sockets {
            worker.push(first.take().map_or_else(|| listen(address), Ok)?);
        }
    }
    Ok((bound, sockets))
}

fn unavailable(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Opens a listening socket that shares its address with those of other workers.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| BindError { address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // IPv4 has its own socket, so that clients have no mapped addresses
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?; // accepted sockets inherit it: one system call less for each
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn sockets(addresses: &Addresses, port: u16) -> BoundPort {
        bind_port(addresses, port, 3).unwrap()
    }

    #[test]
    fn the_first_socket_decides_the_port_of_all() {
        let addresses = Addresses {
            required: vec![Ipv4Addr::LOCALHOST.into()],
            optional: None,
        };
        let (bound, workers) = sockets(&addresses, 0);
        assert_eq!((bound.len(), workers.len()), (1, 3));
        assert_ne!(bound[0].port(), 0);
        for worker in &workers {
            let ports: Vec<SocketAddr> = worker
                .iter()
                .map(|socket| socket.local_addr().unwrap())
                .collect();
            assert_eq!(ports, bound);
        }
    }

    #[test]
    fn the_error_names_the_address_in_use() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let addresses = Addresses {
            required: vec![address.ip()],
            optional: None,
        };
        let error = bind_port(&addresses, address.port(), 1).err().unwrap();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    }

    #[test]
    fn an_optional_address_may_be_missing() {
        // A documentation address is never local (RFC 3849).
        let addresses = Addresses {
            required: vec![Ipv4Addr::LOCALHOST.into()],
            optional: Some("2001:db8::1".parse().unwrap()),
        };
        assert_eq!(sockets(&addresses, 0).0.len(), 1);
    }
}
