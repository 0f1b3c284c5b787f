//! HTTP/1: deadlines, the ends of connections, tunnels.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_slow_head_gets_408() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let begin = Instant::now();
        let text = fixture.exchange(HTTP, "GET / HTTP/1.1\r\nHost: a.ex").await;
        assert_eq!(statuses(&text), [408]);
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
        assert_eq!(begin.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_head_does_not_move_with_its_bytes() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect(HTTP);
        let begin = Instant::now();
        for byte in get("/").bytes().take(29) {
            client.write_u8(byte).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(statuses(&rest(&mut client).await), [408]);
        assert_eq!(begin.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_without_a_response() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let begin = Instant::now();
        assert_eq!(fixture.exchange(HTTP, "").await, "");
        assert_eq!(begin.elapsed().as_secs(), 10, "nothing at all");

        let mut client = fixture.connect(HTTP);
        client.write_all(get("/one").as_bytes()).await.unwrap();
        until(&mut client, "path /one").await;
        tokio::time::sleep(Duration::from_secs(70)).await;
        client.write_all(get("/two").as_bytes()).await.unwrap();
        until(&mut client, "path /two").await;
        let begin = Instant::now();
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(begin.elapsed().as_secs(), 75, "after a request");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_does_not_shorten_the_deadline_of_the_next() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect(HTTP);
        let begin = Instant::now();
        client
            .write_all(format!("{}GET / HT", get("/slow")).as_bytes())
            .await
            .unwrap();
        until(&mut client, "slow").await;
        assert_eq!(begin.elapsed().as_secs(), 200);
        assert_eq!(statuses(&rest(&mut client).await), [408]);
        assert_eq!(
            begin.elapsed().as_secs(),
            230,
            "the partial head has its own deadline"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing_is_closed() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.head_timeout = Duration::from_secs(7);
        let fixture = Fixture::new(settings);
        let mut client = fixture.connect(HTTP);
        let begin = Instant::now();
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(begin.elapsed().as_secs(), 7, "without a response");

        let mut client = fixture.connect(HTTP);
        client.write_all(get("/x").as_bytes()).await.unwrap();
        until(&mut client, "path /x").await;
        let begin = Instant::now();
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(
            begin.elapsed().as_secs(),
            75,
            "between requests: keep-alive"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_and_age_of_a_connection_are_bounded() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = 3;
        let text = Fixture::new(settings)
            .exchange(HTTP, get("/x").repeat(5))
            .await;
        assert_eq!(statuses(&text), [200, 200, 200]);
        assert_eq!(text.matches("Connection: close").count(), 1);

        let mut settings = Settings::default();
        settings.client.connection_age = Duration::from_secs(60);
        let fixture = Fixture::new(settings);
        let mut client = fixture.connect(HTTP);
        for _ in 0..2 {
            client.write_all(get("/x").as_bytes()).await.unwrap();
            assert!(!until(&mut client, "path /x").await.contains("close"));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.write_all(get("/x").as_bytes()).await.unwrap();
        assert!(
            rest(&mut client)
                .await
                .contains("\r\nConnection: close\r\n")
        );

        let mut settings = Settings::default();
        settings.client.keep_alive = Duration::ZERO;
        let text = Fixture::new(settings)
            .exchange(HTTP, get("/x").repeat(2))
            .await;
        assert_eq!(
            (
                statuses(&text).len(),
                text.matches("Connection: close").count()
            ),
            (1, 1)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect_with(HTTP, 1000);
        client.write_all(get("/big").as_bytes()).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'H');
        let begin = Instant::now();
        fixture.context.connections.until_empty().await;
        assert_eq!(begin.elapsed().as_secs(), 60);
        assert!(rest(&mut client).await.len() <= 1000);

        let mut slow = fixture.connect_with(HTTP, 64 << 10);
        slow.write_all(get("/big").as_bytes()).await.unwrap();
        let (mut read, mut buffer) = (0, vec![0; 64 << 10]);
        while read < 1 << 20 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            read += slow.read(&mut buffer).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_no_other_request() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut other = fixture.connect(HTTP);
        other.write_all(get("/slow").as_bytes()).await.unwrap();
        let text = fixture.exchange(HTTP, get("/panic")).await;
        assert_eq!(statuses(&text), [500]);
        assert!(text.contains("\r\nConnection: close\r\n"));
        until(&mut other, "slow").await;
        let registry = prometheus::Registry::new();
        let telemetry = &fixture.context.worker.shared.telemetry;
        telemetry.register(&registry).unwrap();
        let metrics = prometheus::TextEncoder::new();
        let metrics = metrics.encode_to_string(&registry.gather()).unwrap();
        let is_counted =
            |line: &str| line.starts_with("headgate_panics_total{") && line.ends_with(" 1");
        assert!(metrics.lines().any(is_counted), "{metrics}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_receives_every_byte_and_counts_as_a_connection() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect(HTTP);
        let request = "GET /upgrade HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        // Early bytes that would be a faulty head.
        client.write_all(format!("{request}GET / HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let head = until(&mut client, "\r\n\r\n").await;
        assert_eq!(statuses(&head), [101]);
        assert!(!head.contains("close"), "{head}");
        until(&mut client, "GET / HTTP/1.1\r\n\r\n").await;
        tokio::time::sleep(Duration::from_secs(1000)).await;
        client.write_all(b"late").await.unwrap();
        until(&mut client, "late").await;
        let still = tokio::time::timeout(Duration::from_secs(1), fixture.context.connections.until_empty()).await;
        assert!(still.is_err(), "still a connection");
        drop(client);
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_response_before_the_body_is_read_is_not_lost() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect_with(HTTP, 4096);
        client
            .write_all(
                b"POST /early HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n",
            )
            .await
            .unwrap();
        let mut text = until(&mut client, "path /early").await;
        client.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        text += &rest(&mut client).await;
        assert_eq!(statuses(&text), [200], "the body is not a request");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_quiet_connections_and_lets_others_finish() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let [mut idle, mut quick, mut busy, mut half] =
            std::array::from_fn(|_| fixture.connect(HTTP));
        for client in [&mut idle, &mut quick] {
            client.write_all(get("/x").as_bytes()).await.unwrap();
            until(client, "path /x").await;
        }
        busy.write_all(get("/slow").as_bytes()).await.unwrap();
        half.write_all(b"GET /y HTTP/1.1\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;

        let begin = Instant::now();
        fixture.context.connections.drain();
        tokio::time::sleep(Duration::from_secs(2)).await;
        quick.write_all(get("/x").as_bytes()).await.unwrap();
        assert!(rest(&mut quick).await.contains("\r\nConnection: close\r\n"));
        assert_eq!(rest(&mut idle).await, "");
        let closed = begin.elapsed().as_secs_f64();
        assert!((3.0..=3.51).contains(&closed), "{closed}");
        half.write_all(b"Host: a.example\r\n\r\n").await.unwrap();
        let text = rest(&mut half).await;
        assert!(
            text.contains("\r\nConnection: close\r\n") && text.ends_with("path /y"),
            "{text}"
        );
        let text = rest(&mut busy).await;
        assert!(
            text.contains("\r\nConnection: close\r\n") && text.ends_with("slow"),
            "{text}"
        );
        drop((idle, quick, busy, half));
        fixture.context.connections.until_empty().await;
        assert_eq!(begin.elapsed().as_secs(), 199);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dozing_connection_goes_on() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = 5;
        let fixture = Fixture::new(settings);
        let [mut whole, mut pieces, mut closed] = std::array::from_fn(|_| fixture.connect(HTTP));
        for client in [&mut whole, &mut pieces, &mut closed] {
            client.write_all(get("/x").as_bytes()).await.unwrap();
            until(client, "path /x").await;
        }
        for path in ["/a", "/b"] {
            tokio::time::sleep(Duration::from_secs(30)).await;
            let long = format!("X: {}\r\nHost: a.example", "y".repeat(3000));
            let request = get(path).replace("Host: a.example", &long);
            whole.write_all(request.as_bytes()).await.unwrap();
            until(&mut whole, &format!("path {path}")).await;
            for byte in get(path).as_bytes() {
                pieces.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            until(&mut pieces, &format!("path {path}")).await;
        }
        drop(closed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        whole.write_all(b"broken\r\n\r\n").await.unwrap();
        assert_eq!(statuses(&rest(&mut whole).await), [400]);
        let begin = Instant::now();
        pieces.write_all(b"\r\n").await.unwrap();
        assert_eq!(rest(&mut pieces).await, "");
        assert_eq!(begin.elapsed().as_secs(), 70, "since its last response");
        drop((whole, pieces));
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_announced_stop_closes_connections_after_a_response_only() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut old, mut idle) = (fixture.connect(HTTP), fixture.connect(HTTP));
        for client in [&mut old, &mut idle] {
            client.write_all(get("/x").as_bytes()).await.unwrap();
            until(client, "path /x").await;
        }
        fixture.context.connections.announce();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut new = fixture.connect(HTTP);
        for client in [&mut old, &mut new] {
            client.write_all(get("/x").as_bytes()).await.unwrap();
            assert!(rest(client).await.contains("\r\nConnection: close\r\n"));
        }
        let begin = Instant::now();
        fixture.context.connections.drain();
        assert_eq!(
            rest(&mut idle).await,
            "",
            "idle since before the announcement"
        );
        assert!(begin.elapsed() <= Duration::from_millis(510));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_during_the_last_response_does_not_reset_it() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = 1;
        let fixture = Fixture::new(settings);
        let mut client = fixture.connect(HTTP);
        client.write_all(get("/x").as_bytes()).await.unwrap();
        assert_eq!(statuses(&rest(&mut client).await), [200]);
        for _ in 0..5 {
            client.write_all(get("/y").as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        client.write_all(b"x").await.unwrap_err();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_refused_tunnel_is_not_read() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let connect = "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let text = fixture
            .exchange(HTTP, format!("{connect}{}", get("/inside")))
            .await;
        assert_eq!(statuses(&text), [405]);
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bare_line_feed_does_not_end_trailers() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let post = "POST /echo HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        for end in ["\n", "T: v\n\r\n", "T: v\r\n\n"] {
            let text = format!("{}{post}3\r\nabc\r\n0\r\n{end}{}", get("/one"), get("/two"));
            let text = fixture.exchange(HTTP, text).await;
            assert_eq!(statuses(&text), [200, 400], "{end:?}");
            assert!(text.contains("path /one") && !text.contains("path /two"));
        }
    })
    .await;
}
