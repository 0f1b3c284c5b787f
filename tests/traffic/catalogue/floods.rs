//! Frames of HTTP/2 that cost the proxy more than the client.

use headgate_testkit::{Connection, Program, Request, Scenario, Scripted};

use super::super::setup::BINARY;
use super::http2::{AUTHORITY, METHOD, PATH, POST, SCHEME};
use super::http2_frames::{
    CONTINUATION, DATA, END_STREAM, HEADERS, Outcome, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, field, frame, headers, outcome, preface,
};
use super::{OK, scenario};

/// Sends the same frames again and again; the connection must end. What the proxy reads after that is not seen from here.
fn flood(program: &Program, what: &str, start: &[u8], next: impl FnMut(u32) -> Vec<u8>) {
    const COUNT: u32 = 20_000;
    let mut connection = Connection::open(program.http());
    let frames: Vec<u8> = (0..COUNT).flat_map(next).collect();
    // Fails when the connection ends before all is sent.
    let _ = connection.try_send(&[preface(), start.to_vec(), frames].concat());
    let outcome = outcome(&mut connection, u32::MAX);
    assert_eq!(outcome, Outcome::Ended, "{what}");
    Request::get("/other").send(program.http()).is(200);
}

#[test]
fn s1_to_s6_floods() {
    let (scenario, upstream) = scenario();
    let program = scenario.start(BINARY);
    let get = |stream| headers(END_STREAM, stream, &[METHOD, SCHEME, AUTHORITY, PATH]);
    let open = |stream| headers(0, stream, &[POST, SCHEME, AUTHORITY, PATH]);
    let window = |stream, size: u32| frame(WINDOW_UPDATE, 0, stream, &size.to_be_bytes());
    let reset = |stream| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    flood(&program, "S1 resets", &[], |n| {
        [get(2 * n + 1), reset(2 * n + 1)].concat()
    });
    assert!(
        upstream.requests().len() < 1000,
        "{} requests were forwarded",
        upstream.requests().len()
    );
    flood(
        &program,
        "S2 resets by the proxy, of window updates",
        &[],
        |n| [open(2 * n + 1), window(2 * n + 1, 0)].concat(),
    );
    flood(
        &program,
        "S2 resets by the proxy, of overflowing windows",
        &[],
        |n| [open(2 * n + 1), window(2 * n + 1, 0x7fff_ffff)].concat(),
    );
    flood(&program, "S2 resets by the proxy, of lengths", &[], |n| {
        [
            headers(
                0,
                2 * n + 1,
                &[POST, SCHEME, AUTHORITY, PATH, ("content-length", "1")],
            ),
            frame(DATA, 0, 2 * n + 1, b"xx"),
        ]
        .concat()
    });
    let start = frame(HEADERS, END_STREAM, 1, &field(":method", "GET"));
    flood(&program, "S3 continuations", &start, |_| {
        frame(CONTINUATION, 0, 1, &field("x", "1"))
    });
    flood(&program, "S3 empty continuations", &start, |_| {
        frame(CONTINUATION, 0, 1, &[])
    });
    flood(&program, "S5 empty data", &open(1), |_| {
        frame(DATA, 0, 1, &[])
    });
    flood(&program, "S6 pings", &[], |_| {
        frame(PING, 0, 0, b"12345678")
    });
    flood(&program, "S6 settings", &[], |_| frame(SETTINGS, 0, 0, &[]));
    flood(&program, "S6 priorities", &[], |_| {
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])
    });
    flood(&program, "S6 window updates", &open(1), |_| window(1, 1));
    flood(&program, "S6 window updates of the connection", &[], |_| {
        window(0, 1)
    });
    flood(&program, "S6 unknown frames", &[], |_| {
        frame(0xee, 0, 0, b"x")
    });
}

/// A client of streams of small messages is none of these.
#[test]
fn s5_small_messages() {
    let message = "x".repeat(100);
    let upstream = Scripted::responding(OK);
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    let messages = frame(DATA, 0, 1, message.as_bytes()).repeat(500);
    connection.send(
        [
            preface(),
            headers(0, 1, &[POST, SCHEME, AUTHORITY, PATH]),
            messages,
        ]
        .concat(),
    );
    connection.send(frame(DATA, END_STREAM, 1, b""));
    assert_eq!(outcome(&mut connection, 1), Outcome::Served);
    assert!(upstream.wait_for(1)[0].ends_with(&message.repeat(500)));
}
