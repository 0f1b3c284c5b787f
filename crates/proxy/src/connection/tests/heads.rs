//! Heads that are refused, and what follows them on their connections.

use proptest::prelude::*;

use super::*;

/// Sends `request` followed by a valid request; returns the statuses and whether the connection was closed at once.
async fn outcome(settings: Settings, request: &str) -> (Vec<u16>, bool) {
    let fixture = Fixture::new(settings);
    let begin = tokio::time::Instant::now();
    let text = fixture
        .exchange(HTTP, format!("{request}{}", get("/next")))
        .await;
    // On the paused clock only an idle connection lets time pass; lingering ends when the client closes, or after 5 s.
    (statuses(&text), begin.elapsed() < Duration::from_secs(10))
}

#[tokio::test(start_paused = true)]
async fn framing_faults_get_an_error_and_end_the_connection() {
    let cases = [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        ("Content-Length: +1\r\n\r\nx", 400),
        ("Host: b.example\r\n\r\n", 400),
        ("X : y\r\n\r\n", 400),
        ("X: y\r\n folded\r\n\r\n", 400),
    ];
    for (fields, status) in cases {
        let request = format!("POST /echo HTTP/1.1\r\nHost: a.example\r\n{fields}");
        let outcome = locally(outcome(Settings::default(), &request)).await;
        assert_eq!(outcome, (vec![status], true), "{fields:?}");
    }
    let old = "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(
        locally(outcome(Settings::default(), old)).await,
        (vec![400], true)
    );
    let hostless = "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(
        locally(outcome(Settings::default(), hostless)).await,
        (vec![400], true)
    );
    let preceded = format!("{}GET / HTTP/1.1\r\n\r\n", get("/first"));
    assert_eq!(
        locally(outcome(Settings::default(), &preceded)).await,
        (vec![200, 400], true)
    );
}

#[tokio::test(start_paused = true)]
async fn valid_framing_leaves_the_connection_open() {
    let cases = [
        "POST /echo HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0003\r\n\r\nabc",
        "GET /echo HTTP/1.1\nHost: a.example\n\n",
        "\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ];
    for request in cases {
        assert_eq!(
            locally(outcome(Settings::default(), request)).await,
            (vec![200, 200], false),
            "{request:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bounds_on_heads() {
    let mut settings = Settings::default();
    settings.client.request_line = 100;
    settings.client.header_field = 120;
    settings.client.head = 400;
    settings.client.header_count = 5;
    let long = "x".repeat(200);
    let cases = [
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            414,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
                "X: y\r\n".repeat(5)
            ),
            431,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
                format!("X: {}\r\n", "x".repeat(110)).repeat(4)
            ),
            431,
        ),
    ];
    for (request, status) in cases {
        let outcome = locally(outcome(settings.clone(), &request)).await;
        assert_eq!(outcome, (vec![status], true), "{request:?}");
    }
    // Also before the line has ended.
    let begin = tokio::time::Instant::now();
    let cases = [
        (format!("GET /{long}"), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}"),
            431,
        ),
    ];
    for (request, status) in cases {
        let text = locally(Fixture::new(settings.clone()).exchange(HTTP, &request)).await;
        assert_eq!(statuses(&text), [status], "{request:?}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "not for being slow"
    );
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_broken_body_is_not_a_request() {
    let broken = "POST /echo HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n";
    let (statuses, closed) = locally(outcome(Settings::default(), broken)).await;
    assert_eq!((statuses, closed), (vec![400], true));
}

/// Requests with and without faults, without a body or with one in either framing.
fn pieces() -> impl Strategy<Value = String> {
    let request = prop_oneof![
        4 => Just("GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        1 => Just("\r\nGET /x HTTP/1.1\nHost: a\n\n".to_owned()),
        1 => Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
        3 => "[a-z\r\n]{0,20}".prop_map(|body| {
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }),
        3 => proptest::collection::vec("[a-z\r\n]{1,20}", 0..4).prop_map(|chunks| {
            let chunks: String = chunks.iter().map(|chunk| format!("{:X};e\r\n{chunk}\r\n", chunk.len())).collect();
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\nT: v\r\n\r\n")
        }),
        1 => Just("GET /x HTTP/1.1\r\n\r\n".to_owned()),
        1 => Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        1 => "[A-Z :/a-z0-9\r\n]{0,40}",
    ];
    proptest::collection::vec(request, 1..8).prop_map(|requests| requests.concat())
}

/// The statuses of the responses to `bytes`, which arrive in pieces of this size.
fn served(bytes: &[u8], size: usize) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect(HTTP);
        for piece in bytes.chunks(size) {
            // It fails once a fault has ended the connection.
            if client.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        statuses(&rest(&mut client).await)
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_served_does_not_depend_on_where_reads_end(text in pieces(), size in 1usize..200) {
        let good = |statuses: &[u16]| statuses.iter().filter(|status| **status == 200).count();
        let (whole, parts) = (served(text.as_bytes(), text.len().max(1)), served(text.as_bytes(), size));
        prop_assert_eq!(good(&whole), good(&parts), "{:?} {:?}", &whole, &parts);
        prop_assert_eq!(whole.len(), parts.len(), "{:?} {:?}", &whole, &parts);
        // At most the last is refused.
        prop_assert!(good(&whole) + 1 >= whole.len(), "{:?}", &whole);
    }
}
