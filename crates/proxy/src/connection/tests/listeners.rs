//! Connections whose listener is removed.

use futures_util::FutureExt;
use tokio::net::TcpStream;

use super::*;
use crate::accept::Acceptor;
use crate::listen::listen;
use crate::sockets::tests::{connect, refused};

/// A fixture whose worker opens the sockets of its table.
fn following() -> Fixture {
    let fixture = Fixture::new(Settings::default());
    fixture.publish(&[]);
    let mut sockets = fixture.sockets();
    spawn_local(async move { sockets.follow().await });
    fixture
}

async fn read(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_connection_outlives_its_listener_for_one_response() {
    locally(async {
        let [kept, gone] = free_addresses();
        let fixture = following();
        fixture.publish(&[kept, gone]);
        let mut other = connect(kept).await;
        write(&mut other, &get("/facts")).await;
        read(&mut other, "#1").await;
        let mut idle = connect(gone).await;
        write(&mut idle, &get("/facts")).await;
        read(&mut idle, "#1").await;
        let mut busy = connect(gone).await;
        let post = "POST /echo HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        write(&mut busy, post).await;
        read(&mut busy, "HTTP/1.1 100 Continue\r\n\r\n").await;

        fixture.publish(&[kept]);
        refused(gone).await;
        drop(std::net::TcpListener::bind(gone).unwrap());

        write(&mut busy, "body").await;
        write(&mut idle, &get("/facts")).await;
        for (mut stream, end) in [(busy, "body"), (idle, "#2")] {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with(end), "{text}");
            assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
        }
        write(&mut other, &get("/facts")).await;
        let text = read(&mut other, "#2").await;
        assert!(!text.contains("Connection:"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn http2_connections_get_goaway() {
    locally(async {
        let [gone] = free_addresses();
        let fixture = following();
        fixture.publish(&[gone]);
        let (mut sender, connection) = h2::client::handshake(connect(gone).await).await.unwrap();
        let connection = spawn_local(connection);
        http2::ok(&mut sender).await;
        fixture.publish(&[]);
        refused(gone).await;
        http2::ok(&mut sender).await;
        // Much less than an idle connection would last.
        let ended = tokio::time::timeout(Duration::from_secs(30), connection).await;
        ended.unwrap().unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_last_table_with_a_listener_serves_its_connections() {
    locally(async {
        let [address] = free_addresses();
        let fixture = following();
        fixture.publish(&[address]);
        let worker = &fixture.context.worker;
        let (with, listener) = (worker.table(), fixture.listener(address));
        fixture.publish(&[]);
        assert!(Rc::ptr_eq(&listener.table(worker), &with));
        fixture.publish(&[address]);
        assert!(Rc::ptr_eq(&listener.table(worker), &worker.table()));
    })
    .await;
}

#[tokio::test]
async fn a_backlog_is_served_when_its_socket_closes() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let [address] = free_addresses();
        let socket = listen(address).unwrap();
        let clients: Vec<_> = (0..50)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let socket = tokio::net::TcpListener::from_std(socket).unwrap();
        let acceptor = Acceptor::start(fixture.context.clone(), fixture.listener(HTTP), socket);
        acceptor.stop().await.unwrap();
        for client in clients {
            client.set_nonblocking(true).unwrap();
            let mut client = TcpStream::from_std(client).unwrap();
            write(&mut client, &get("/facts")).await;
            read(&mut client, "#1").await;
        }
        assert!(TcpStream::connect(address).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_drain_waits_for_a_connection_whose_task_has_not_run() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let _client = fixture.connect(HTTP);
        let drained = fixture.context.connections.until_empty().now_or_never();
        assert!(drained.is_none());
    })
    .await;
}
