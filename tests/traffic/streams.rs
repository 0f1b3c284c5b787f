//! TCP and UDP services.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use headgate_testkit::{Connection, Echo, Program, Request, Scenario, wait};
use serde_json::{Value, json};

use super::setup::BINARY;

/// The ConfigMaps of TCP and UDP services.
const TCP: &str = "ops/tcp";
const UDP: &str = "ops/udp";

/// A scenario with these TCP and UDP services.
pub(super) fn scenario(tcp: &[(u16, &str)], udp: &[(u16, &str)]) -> Scenario {
    Scenario::new()
        .object(ports(TCP, tcp))
        .object(ports(UDP, udp))
        .argument(&format!("--tcp-services-configmap={TCP}"))
        .argument(&format!("--udp-services-configmap={UDP}"))
}

fn ports(map: &str, ports: &[(u16, &str)]) -> Value {
    let (namespace, name) = map.split_once('/').unwrap();
    let data: serde_json::Map<String, Value> = ports
        .iter()
        .map(|(port, service)| (port.to_string(), json!(service)))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "namespace": namespace, "name": name },
        "data": data,
    })
}

/// A UDP Service `name` with port 53 at this endpoint.
pub(super) fn udp_service(scenario: Scenario, name: &str, address: SocketAddr) -> Scenario {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "ports": [{ "name": "dns", "port": 53, "protocol": "UDP" }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": name, "namespace": "shop", "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "ports": [{ "name": "dns", "port": address.port(), "protocol": "UDP" }],
        "endpoints": [{ "addresses": [address.ip().to_string()] }],
    });
    scenario.object(service).object(slice)
}

/// Ports that are free now, for TCP and UDP.
pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listeners: [TcpListener; N] = std::array::from_fn(listen);
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(super) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A connection to a port as soon as it is open.
fn connect(port: u16) -> TcpStream {
    let stream = wait::until("an open port", || TcpStream::connect(at(port)).ok());
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn is_refused(port: u16) -> bool {
    TcpStream::connect(at(port)).is_err()
}

fn log_line(program: &Program, matches: impl Fn(&str) -> bool) -> String {
    program.until_access_log("the line of a session", matches)
}

#[test]
fn bytes_pass_both_ways_and_either_side_closes_first() {
    let (endpoint, address) = listen();
    let [port] = free_ports();
    let program = scenario(&[(port, "shop/db:80")], &[])
        .service("db", &[address])
        .start(BINARY);
    let mut client = connect(port);
    client.write_all(b"request\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut served = accept(&endpoint);
    assert_eq!(rest(&mut served), "request\n");
    served.write_all(b"a response").unwrap();
    drop(served);
    assert_eq!(rest(&mut client), "a response");
    let line = log_line(&program, |line| line.contains("] TCP 200 10 8 "));
    assert!(line.starts_with("[127.0.0.1] ["), "{line}");
    let label = format!("port=\"{port}\"");
    let metric = |name, more: &str| program.metric(name, &["protocol=\"TCP\"", &label, more]);
    assert_eq!(
        metric("headgate_stream_sessions_total", "status=\"200\""),
        1.0
    );
    assert_eq!(metric("headgate_stream_sessions", &label), 0.0);
    assert_eq!(
        metric("headgate_stream_bytes_total", "direction=\"received\""),
        8.0
    );
    assert_eq!(
        metric("headgate_stream_bytes_total", "direction=\"sent\""),
        10.0
    );
}

#[test]
fn a_reset_of_the_endpoint_reaches_the_client_as_one() {
    let (endpoint, address) = listen();
    let [port] = free_ports();
    let _program = scenario(&[(port, "shop/db:80")], &[])
        .service("db", &[address])
        .start(BINARY);
    let mut client = connect(port);
    client.write_all(b"unread").unwrap();
    let served = accept(&endpoint);
    let mut peeked = [0];
    served.peek(&mut peeked).unwrap();
    drop(served); // with unread bytes: a reset
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn ports_open_and_close_live_and_leave_others_alone() {
    let ((one, one_address), (two, two_address)) = (listen(), listen());
    let web = Echo::start("web");
    let [kept, changed] = free_ports();
    let with = |ports: &[(u16, &str)]| {
        scenario(ports, &[])
            .service("one", &[one_address])
            .service("two", &[two_address])
            .service("web", &[web.address()])
    };
    let program = with(&[(kept, "shop/one:http")]).start(BINARY);
    let mut client = connect(kept);
    client.write_all(b"a").unwrap();
    let mut served = accept(&one);
    assert_eq!(read(&mut served, 1), "a");
    assert!(is_refused(changed));

    with(&[(kept, "shop/one:http"), (changed, "shop/two:80")]).replace(&program);
    let mut other = connect(changed);
    let mut other_served = accept(&two);
    other.write_all(b"b").unwrap();
    assert_eq!(read(&mut other_served, 1), "b");

    // Now to the other Service: the open connection stays where it is.
    with(&[(kept, "shop/one:http"), (changed, "shop/one:80")]).replace(&program);
    let _moved = connect(changed);
    let _moved_served = accept(&one);
    with(&[(kept, "shop/one:http")]).replace(&program);
    wait::until("the closed port", || is_refused(changed).then_some(()));
    for (client, served) in [(&mut client, &mut served), (&mut other, &mut other_served)] {
        served.write_all(b"still here").unwrap();
        assert_eq!(read(client, 10), "still here");
    }
    // A Service without endpoints closes its port.
    scenario(&[(kept, "shop/one:http")], &[])
        .service("one", &[])
        .replace(&program);
    wait::until("the closed port", || is_refused(kept).then_some(()));
    let findings = program.admin_get("/debug/findings").text();
    let expected =
        format!("Service shop/one has no ready endpoint for port http; port {kept} is closed");
    assert!(findings.contains(&expected), "{findings}");
}

#[test]
fn proxy_headers_are_read_and_sent() {
    let (endpoint, address) = listen();
    let [both, inward, outward] = free_ports();
    let ports = [
        (both, "shop/db:80:PROXY:PROXY"),
        (inward, "shop/db:80:PROXY"),
        (outward, "shop/db:80::proxy"),
    ];
    let with = |settings: &[(&str, &str)]| {
        scenario(&ports, &[])
            .service("db", &[address])
            .settings(settings)
    };
    let format =
        "$remote_addr via $realip_remote_addr said $proxy_protocol_addr:$proxy_protocol_port";
    let trusting = [("enable-real-ip", "true"), ("log-format-stream", format)];
    let program = with(&trusting).start(BINARY);
    let sent = "PROXY TCP4 192.0.2.7 192.0.2.1 4000 5432\r\nhello";
    for (port, expected) in [
        (
            both,
            format!("PROXY TCP4 192.0.2.7 127.0.0.1 4000 {both}\r\nhello"),
        ),
        (inward, "hello".to_owned()),
    ] {
        let mut client = connect(port);
        client.write_all(sent.as_bytes()).unwrap();
        let mut served = accept(&endpoint);
        assert_eq!(read(&mut served, expected.len()), expected);
        drop((client, served));
        log_line(&program, |line| {
            line == "192.0.2.7 via 127.0.0.1 said 192.0.2.7:4000"
        });
    }
    let mut client = connect(outward);
    client.write_all(b"hello").unwrap();
    let mut served = accept(&endpoint);
    let source = client.local_addr().unwrap().port();
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {source} {outward}\r\nhello");
    assert_eq!(read(&mut served, expected.len()), expected);
    // Without the header that is required, no endpoint is connected.
    let mut client = connect(inward);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);

    // An untrusted header is read, and not believed.
    with(&[("log-format-stream", format)]).replace(&program);
    let mut client = connect(both);
    client.write_all(sent.as_bytes()).unwrap();
    let mut served = accept(&endpoint);
    let source = client.local_addr().unwrap().port();
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {source} {both}\r\nhello");
    assert_eq!(read(&mut served, expected.len()), expected);
    drop((client, served));
    log_line(&program, |line| {
        line == "127.0.0.1 via 127.0.0.1 said 192.0.2.7:4000"
    });
}

#[test]
fn other_endpoints_are_tried_and_clients_stay_with_theirs() {
    let ((one, one_address), (two, two_address)) = (listen(), listen());
    let dead = super::setup::closed_port();
    let [retried, sticky] = free_ports();
    let mut service = headgate_testkit::manifest::service("sticky");
    service["spec"]["sessionAffinity"] = json!("ClientIP");
    let both = [one_address, two_address];
    let slices = headgate_testkit::manifest::endpoint_slices("sticky", &both);
    let with = |settings: &[(&str, &str)]| {
        let base = scenario(&[(retried, "shop/db:80"), (sticky, "shop/sticky:80")], &[])
            .service("db", &[dead, one_address])
            .object(service.clone())
            .settings(settings);
        slices.iter().cloned().fold(base, Scenario::object)
    };
    let format = (
        "log-format-stream",
        "$status [$proxy_upstream_name] $upstream_addr",
    );
    let program = with(&[format]).start(BINARY);
    for _ in 0..4 {
        drop((connect(retried), accept(&one)));
    }
    let expected = format!("200 [tcp-shop-db-80] {dead}, {one_address}");
    log_line(&program, |line| line == expected);

    let mut clients = vec![connect(sticky)];
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    let first = wait::until("the endpoint", || match (one.accept(), two.accept()) {
        (Ok(_), _) => Some(&one),
        (_, Ok(_)) => Some(&two),
        _ => None,
    });
    for _ in 0..5 {
        clients.push(connect(sticky));
        wait::until("the same endpoint", || first.accept().ok());
    }

    with(&[format, ("proxy-stream-next-upstream", "false")]).replace(&program);
    // Once the dead endpoint is no longer left out for its last refusal, a connection begins with it, and goes no further.
    let expected = format!("502 [tcp-shop-db-80] {dead}");
    wait::until("a session that goes no further", || {
        drop(connect(retried));
        program.stdout().contains(&expected).then_some(())
    });
}

#[test]
fn a_silent_session_ends() {
    let (endpoint, address) = listen();
    let [port] = free_ports();
    let _program = scenario(&[(port, "shop/db:80")], &[])
        .service("db", &[address])
        .settings(&[("proxy-stream-timeout", "1s")])
        .start(BINARY);
    let mut client = connect(port);
    let mut served = accept(&endpoint);
    assert_eq!(rest(&mut client), "");
    assert_eq!(rest(&mut served), "");
}

#[test]
fn sessions_end_before_the_program_does() {
    let (endpoint, address) = listen();
    let [port] = free_ports();
    let program = scenario(&[(port, "shop/db:80")], &[])
        .service("db", &[address])
        .start(BINARY);
    let mut client = connect(port);
    let mut served = accept(&endpoint);
    program.terminate();
    wait::until("the drain", || (!program.is_ready()).then_some(()));
    served.write_all(b"last words").unwrap();
    drop(served);
    assert_eq!(rest(&mut client), "last words");
    drop(client);
    assert!(program.wait().success());
}

#[test]
fn ports_of_the_program_are_not_for_services() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[]).start(BINARY);
    let (http, admin) = (program.http().port(), program.admin().port());
    drop(program);
    let ports = [(http, "shop/web:80"), (admin, "shop/web:80")];
    let program = scenario(&ports, &[])
        .service("web", &[web.address()])
        .argument(&format!("--http-port={http}"))
        .argument(&format!("--healthz-port={admin}"))
        .start(BINARY);
    Request::get("/").send(program.http()).is(404);
    let findings = program.admin_get("/debug/findings").text();
    for expected in [
        format!("port {http} is the port for HTTP; ignored"),
        format!("port {admin} is the port for the admin port; ignored"),
    ] {
        assert!(findings.contains(&expected), "{findings}");
    }
}

#[test]
fn the_log_has_a_path_of_its_own() {
    let (endpoint, address) = listen();
    let web = Echo::start("web");
    let [port] = free_ports();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("streams.log");
    let with = |more: &[(&str, &str)]| {
        let path = path.to_str().unwrap();
        let settings = [&[("stream-access-log-path", path)], more].concat();
        let base = scenario(&[(port, "shop/db:80")], &[]).service("db", &[address]);
        base.service("web", &[web.address()])
            .ingress(headgate_testkit::manifest::Ingress::new("web").path("/", "web"))
            .settings(&settings)
    };
    let session = |bytes: &[u8]| {
        let mut client = connect(port);
        client.write_all(bytes).unwrap();
        drop(client);
        rest(&mut accept(&endpoint));
    };
    let program = with(&[]).start(BINARY);
    session(b"a");
    wait::until("the line in the file", || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.contains("] TCP 200 0 1 ").then_some(())
    });
    with(&[("disable-stream-access-log", "true")]).replace(&program);
    session(b"bb");
    Request::get("/logged").send(program.http()).is(200);
    program.until_access_log("the line of the request", |line| line.contains("/logged"));
    with(&[("log-format-stream", "$bytes_received bytes")]).replace(&program);
    session(b"ccc");
    wait::until("the line in the file", || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.ends_with("3 bytes\n").then_some(())
    });
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!program.stdout().iter().any(|line| line.contains(" TCP ")));
}

fn udp() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Sends a datagram until the endpoint receives it, as the port may not be open yet. The sender that the endpoint sees.
pub(super) fn send_until_received(
    client: &UdpSocket,
    port: u16,
    endpoint: &UdpSocket,
    text: &str,
) -> SocketAddr {
    endpoint
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut buffer = [0; 100];
    wait::until("a datagram", || {
        client.send_to(text.as_bytes(), at(port)).unwrap();
        let (length, from) = endpoint.recv_from(&mut buffer).ok()?;
        assert_eq!(&buffer[..length], text.as_bytes());
        Some(from)
    })
}

fn expect_response(client: &UdpSocket, text: &str) -> SocketAddr {
    let mut buffer = [0; 100];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], text.as_bytes());
    from
}

#[test]
fn datagrams_have_responses_and_are_counted() {
    let ((endpoint, address), (client, _)) = (udp(), udp());
    let [port] = free_ports();
    let base = scenario(&[], &[(port, "shop/dns:dns")]);
    let program = udp_service(base, "dns", address)
        .settings(&[(
            "log-format-stream",
            "$protocol $status $bytes_sent $proxy_upstream_name",
        )])
        .start(BINARY);
    // Responds to every request, as a session ends when each has its response.
    let server = endpoint.try_clone().unwrap();
    std::thread::spawn(move || {
        while let Ok((_, sender)) = server.recv_from(&mut [0; 100]) {
            server.send_to(b"a response", sender).unwrap();
        }
    });
    client
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let from = wait::until("a response", || {
        client.send_to(b"request\n", at(port)).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer).ok()?;
        assert_eq!(&buffer[..length], b"a response");
        Some(from)
    });
    assert_eq!(from, at(port));
    log_line(&program, |line| {
        line.starts_with("UDP 200 ") && line.ends_with("0 udp-shop-dns-dns")
    });
    let label = format!("port=\"{port}\"");
    let ended = ["protocol=\"UDP\"", &label, "status=\"200\""];
    assert!(program.metric("headgate_stream_sessions_total", &ended) >= 1.0);
}

#[test]
fn a_session_lasts_for_the_responses_that_are_expected() {
    let ((endpoint, address), (client, _)) = (udp(), udp());
    let [port] = free_ports();
    let base = scenario(&[], &[(port, "shop/dns:53")]);
    let program = udp_service(base, "dns", address)
        .settings(&[
            ("proxy-stream-responses", "50"),
            ("proxy-stream-timeout", "1s"),
        ])
        .start(BINARY);
    let sender = send_until_received(&client, port, &endpoint, "one");
    assert_eq!(send_until_received(&client, port, &endpoint, "two"), sender);
    for text in ["a", "b", "c"] {
        endpoint.send_to(text.as_bytes(), sender).unwrap();
        expect_response(&client, text);
    }
    // It ends with silence, and says that responses are missing.
    log_line(&program, |line| line.contains("] UDP 502 3 "));
}

#[test]
fn a_udp_port_moves_to_another_service_and_closes() {
    let ((one, one_address), (two, two_address), (client, _)) = (udp(), udp(), udp());
    let [port] = free_ports();
    let with = |services: &[(u16, &str)]| {
        let base = udp_service(scenario(&[], services), "one", one_address);
        udp_service(base, "two", two_address)
    };
    let program = with(&[(port, "shop/one:53")]).start(BINARY);
    send_until_received(&client, port, &one, "a");
    with(&[(port, "shop/two:53")]).replace(&program);
    send_until_received(&client, port, &two, "b");
    with(&[]).replace(&program);
    // The client learns that nothing listens (ICMP) once the sessions have ended.
    let (late, _) = udp();
    late.connect(at(port)).unwrap();
    late.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    wait::until("the closed port", || {
        let sent = late.send(b"c").and_then(|_| late.recv(&mut [0; 9]));
        let error = sent.err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
}

#[test]
fn a_port_is_for_tcp_and_udp_at_once() {
    let ((stream, stream_address), (datagrams, datagram_address)) = (listen(), udp());
    let [port] = free_ports();
    let base = scenario(&[(port, "shop/db:80")], &[(port, "shop/dns:53")]);
    let _program = udp_service(
        base.service("db", &[stream_address]),
        "dns",
        datagram_address,
    )
    .start(BINARY);
    let (client, _) = udp();
    send_until_received(&client, port, &datagrams, "datagram");
    let mut client = connect(port);
    client.write_all(b"stream").unwrap();
    assert_eq!(read(&mut accept(&stream), 6), "stream");
    assert!(Connection::try_open(at(port)).is_ok());
}
