//! TCP services whose connections begin with a PROXY header.

use headgate_table::{Arm, Backend, Split, StreamRoute};
use tokio::time::Instant;

use super::*;

/// A TCP service at [`HTTP`].
fn service() -> Fixture {
    let fixture = Fixture::new(Settings::default());
    let backend = Backend {
        arm: Arm::Status(StatusCode::BAD_GATEWAY),
        edits: None,
    };
    let mut route = StreamRoute::plain(Arc::new(Split::new(backend)));
    route.accepts_proxy = true;
    let mut table = RoutingTable::new(Arc::new(Settings::default()));
    table.set_listeners(vec![Listener {
        address: HTTP,
        ports: PublicPorts { own: 0, https: 0 },
        socket: Socket::Plain(Plain::Stream(route)),
    }]);
    fixture.publisher.borrow_mut().publish(Arc::new(table));
    fixture
}

/// The sessions that ended with this status.
fn sessions(fixture: &Fixture, status: u16) -> usize {
    let metrics = fixture.metrics();
    let status = format!("status=\"{status}\"");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("headgate_stream_sessions_total{") && line.contains(&status));
    let count = line.and_then(|line| line.rsplit(' ').next());
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_is_waited_for_as_in_nginx() {
    locally(async {
        let fixture = service();
        let begin = Instant::now();
        assert_eq!(fixture.exchange(HTTP, "PROXY TCP4 ").await, "");
        assert_eq!(begin.elapsed().as_secs(), 30);
        assert_eq!((sessions(&fixture, 200), sessions(&fixture, 400)), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_header_failed() {
    locally(async {
        let fixture = service();
        assert_eq!(fixture.exchange(HTTP, get("/")).await, "");
        assert_eq!(sessions(&fixture, 400), 1);
        let mut client = fixture.connect(HTTP);
        client.write_all(b"PROXY TCP4 ").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
        assert_eq!((sessions(&fixture, 200), sessions(&fixture, 400)), (0, 2));
    })
    .await;
}
