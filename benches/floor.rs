//! The floor of `benches/compare`: a relay of TCP on one thread, which reads and writes every request and every response once.
//! That is four system calls a request, beside `epoll_wait`, which many share. What a proxy needs above it is its own.
//!
//! ```text
//! cargo build --release --example floor
//! target/release/examples/floor PORT UPSTREAM-PORT
//! ```
//!
//! Assumptions: both sides read what they are sent, so a write may block; the program lives for a run, so slots are not reused.

use std::env;
use std::io::{Error, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const LISTENER: u64 = u64::MAX;

fn main() -> Result<()> {
    let ports: Vec<u16> = env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let [port, upstream] = ports[..] else {
        return Err(Error::other("usage: floor PORT UPSTREAM-PORT"));
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    // The two ends of a connection are neighbours: 2n and 2n + 1.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let token = event.data;
            if token.u64() != LISTENER {
                relay(&mut streams, token.u64() as usize, &mut buffer);
                continue;
            }
            for stream in [
                listener.accept()?.0,
                TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?,
            ] {
                stream.set_nodelay(true)?;
                epoll::add(
                    &epoll,
                    &stream,
                    EventData::new_u64(streams.len() as u64),
                    EventFlags::IN,
                )?;
                streams.push(Some(stream));
            }
        }
    }
}

/// Moves once what has arrived at one end to the other. An end, or an error, closes both.
fn relay(streams: &mut [Option<TcpStream>], from: usize, buffer: &mut [u8]) {
    let (Some(mut source), Some(mut target)) = (streams[from].as_ref(), streams[from ^ 1].as_ref())
    else {
        return; // closed by an earlier event of the same wait
    };
    let moved = source
        .read(buffer)
        .and_then(|length| target.write_all(&buffer[..length]).map(|()| length));
    if !matches!(moved, Ok(1..)) {
        streams[from] = None;
        streams[from ^ 1] = None;
    }
}
