//! The socket of a UDP port. It responds from the address that a client sent to, also where it is bound to all addresses.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket for datagrams of clients.
pub(super) struct PortSocket {
    socket: UdpSocket,
    pub(super) address: SocketAddr,
}

/// The sender of a datagram, and the address that it was sent to; `None`: the one that the socket is bound to.
pub(super) type Addresses = (SocketAddr, Option<IpAddr>);

impl PortSocket {
    /// A socket at `address`, which the sockets of other workers may share.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        if address.ip().is_unspecified() {
            match address {
                SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
                SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            }
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, address })
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Receives a datagram: its length and its addresses.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Addresses)> {
        self.socket
            .try_io(Interest::READABLE, || self.receive_now(buffer))
    }

    /// As [`Self::try_receive`], also if the runtime does not know yet that there is a datagram.
    pub(super) fn receive_now(&self, buffer: &mut [u8]) -> io::Result<(usize, Addresses)> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::empty(),
        )?;
        let from = message.address.as_ref().and_then(socket_address);
        let from = from.ok_or(io::ErrorKind::InvalidData)?;
        let local = message.cmsgs()?.find_map(destination);
        Ok((message.bytes, (from, local)))
    }

    /// Sends a datagram to `client` from `local`.
    pub(super) fn try_send(&self, bytes: &[u8], (client, local): Addresses) -> io::Result<usize> {
        self.socket.try_io(Interest::WRITABLE, || {
            let to = SockaddrStorage::from(client);
            let parts = [IoSlice::new(bytes)];
            let send = |control: &[ControlMessage<'_>]| {
                let socket = self.socket.as_raw_fd();
                sendmsg(socket, &parts, control, MsgFlags::empty(), Some(&to))
            };
            let sent = match local {
                None => send(&[]),
                Some(IpAddr::V4(local)) => {
                    let info = libc::in_pktinfo {
                        ipi_ifindex: 0,
                        ipi_spec_dst: libc::in_addr {
                            s_addr: u32::from_ne_bytes(local.octets()),
                        },
                        ipi_addr: libc::in_addr { s_addr: 0 },
                    };
                    send(&[ControlMessage::Ipv4PacketInfo(&info)])
                }
                Some(IpAddr::V6(local)) => {
                    let info = libc::in6_pktinfo {
                        ipi6_addr: libc::in6_addr {
                            s6_addr: local.octets(),
                        },
                        ipi6_ifindex: 0,
                    };
                    send(&[ControlMessage::Ipv6PacketInfo(&info)])
                }
            };
            Ok(sent?)
        })
    }
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in();
    let v4 = v4.map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| {
        let v6 = storage.as_sockaddr_in6()?;
        Some(std::net::SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
    })
}

fn destination(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(info.ipi_addr.s_addr.to_ne_bytes().into()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(info.ipi6_addr.s6_addr.into()))
        }
        _ => None,
    }
}
