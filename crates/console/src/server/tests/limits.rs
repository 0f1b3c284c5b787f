//! What clients may hold.

use super::*;

fn with(change: impl FnOnce(&mut Limits)) -> SocketAddr {
    let mut limits = Limits::default();
    change(&mut limits);
    console(Access::default(), limits)
}

#[test]
fn a_thousand_streams_are_bounded() {
    let address = with(|limits| (limits.streams, limits.connections) = (50, 2_000));
    let streams: Vec<TcpStream> = (0..1_000)
        .map(|at| {
            let mut stream = connect(address);
            let path = if at % 2 == 0 { "/" } else { "/live" };
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let statuses = streams.iter().map(|mut stream| {
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    });
    let statuses: Vec<String> = statuses.collect();
    let open = statuses
        .iter()
        .filter(|line| *line == "HTTP/1.1 200")
        .count();
    let refused = statuses
        .iter()
        .filter(|line| *line == "HTTP/1.1 503")
        .count();
    assert_eq!((open, refused), (50, 950));
    // Pages are served beside them, and a place that becomes free is given again.
    assert_eq!(status(&get(address, "/routes", &[])), 200);
    drop(streams);
    loop {
        let (_, received) = follow(address, "/", "\r\n\r\n");
        if status(&received) == 200 {
            break;
        }
    }
}

#[test]
fn more_connections_wait() {
    let address = with(|limits| limits.connections = 1);
    let (mut first, _) = follow(address, "/live", "event: row");
    // The second is accepted by the system. While the first gets its events, it is not read.
    let mut second = connect(address);
    let request = b"GET /check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    second.write_all(request).unwrap();
    read_until(&mut first, "event: lost");
    second.set_nonblocking(true).unwrap();
    let early = second.read(&mut [0; 1]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    second.set_nonblocking(false).unwrap();
    let mut response = String::new();
    second.read_to_string(&mut response).unwrap();
    assert_eq!(status(&response), 200);
}

#[test]
fn heads_are_small_and_come_in_time() {
    let address = with(|limits| limits.head_time = Duration::from_millis(100));
    let long = format!("X: {}", "a".repeat(20_000));
    let response = exchange(address, &["GET / HTTP/1.1", "Host: localhost", &long]);
    assert_eq!(status(&response), 431);
    let mut slow = connect(address);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    let mut rest = Vec::new();
    // The connection ends, with or without a word.
    let _ = slow.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn a_quiet_stream_shows_that_it_is_alive() {
    let address = with(|limits| {
        limits.tick = Duration::from_millis(5);
        limits.heartbeat = Duration::from_millis(20);
    });
    // The canaries of a process without any do not change.
    let (_stream, received) = follow(address, "/canaries?q=nothing-has-this", "\n:\n\n");
    assert_eq!(received.matches("event: page").count(), 1, "{received}");
}

#[test]
fn a_stream_ends_so_that_the_session_is_asked_for_again() {
    let address = with(|limits| {
        limits.stream_life = Duration::from_millis(30);
        limits.tick = Duration::from_millis(10);
    });
    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n").unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).unwrap();
    assert!(received.contains("retry: 2000"));
}
