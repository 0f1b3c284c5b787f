//! A rolling restart of two replicas behind one address, in network namespaces: no request fails, and no write of an
//! Ingress is refused for want of the webhook.
//!
//! The cluster, the clients and the balancer are in one namespace, each replica in another with ports 80 and 10254 of its
//! own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headgate_apiserver::Options;
use headgate_testkit::{Balancer, Http2, Load, Namespace, Program, Request, Tls, manifest, wait};
use http_body_util::Full;

use super::admission;
use super::place::Place;
use super::support::{all_good, ingress, slice};

/// Where the API server and the backend are.
const CENTRE: &str = "10.77.0.1";
/// How long some requests take.
const LONG: Duration = Duration::from_secs(3);

/// Two replicas and the place they are reached from.
struct Net {
    centre: Namespace,
    replicas: [Namespace; 2],
}

impl Net {
    fn new() -> Option<Self> {
        let net = Self {
            centre: Namespace::new()?,
            replicas: [Namespace::new()?, Namespace::new()?],
        };
        net.centre.add_address(&format!("{CENTRE}/32"));
        for (number, replica) in net.replicas.iter().enumerate() {
            let here = format!("10.77.{}.1", number + 1);
            let there = format!("{}/24", address(number));
            net.centre.link(&format!("{here}/24"), replica, &there);
            replica.route(CENTRE, &here);
        }
        Some(net)
    }

    /// Starts replica `number` in its namespace, with the ports it has in a Pod.
    fn start(&self, number: usize, place: &Place, pod: &str) -> Program {
        let mut arguments = vec![
            format!("--bind-address={}", address(number)),
            format!("--healthz-host={}", address(number)),
            "--http-port=80".to_owned(),
            "--https-port=443".to_owned(),
            "--healthz-port=10254".to_owned(),
            "--shutdown-grace-period=1".to_owned(),
            "--election-ttl=3s".to_owned(),
        ];
        arguments.extend(admission::managed(place));
        arguments.push(format!("--validating-webhook={}:8443", address(number)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let kubeconfig = place.account("headgate", &arguments);
        self.replicas[number].run(|| place.replica_with(&kubeconfig, pod, &arguments))
    }
}

fn address(replica: usize) -> String {
    format!("10.77.{}.2", replica + 1)
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

#[test]
fn no_request_fails_while_both_replicas_are_replaced() {
    let Some(net) = Net::new() else {
        println!("skipped: network namespaces cannot be made here");
        return;
    };
    let options = Options {
        listen: at(CENTRE, 0),
        ..Options::default()
    };
    if super::place::given().is_none() {
        return net
            .centre
            .run(|| roll(&net, &Place::with(options), "127.0.0.1"));
    }
    // A given cluster is asked from here, where it is reached, and reaches the webhooks by a cable.
    let place = Place::with(Options {
        within: Some(net.centre.clone()),
        ..options
    });
    let network = super::place::network();
    net.centre
        .attach(&format!("{network}.1/24"), &format!("{network}.2/24"));
    let balanced = format!("{network}.2");
    net.centre.run(|| roll(&net, &place, &balanced));
}

/// Replaces both; the webhooks are behind `balanced`.
fn roll(net: &Net, place: &Place, balanced: &str) {
    let backend = TcpListener::bind(at(CENTRE, 0)).unwrap();
    place.load([
        manifest::service("web"),
        slice("web", backend.local_addr().unwrap()),
        ingress("web", "a.test", "web"),
        admission::configuration(place),
    ]);
    std::thread::spawn(move || serve(&backend));
    let mut replicas = [0, 1].map(|number| net.start(number, place, &format!("old-{number}")));
    let places = [0, 1].map(|number| (at(&address(number), 80), at(&address(number), 10254)));
    let balancer = Balancer::start(at("127.0.0.1", 0), &places);
    for number in [0, 1] {
        balancer.until(number, true);
    }

    let start = |connections, request: Request| {
        Load::start(balancer.address(), connections, &request, |_| Ok(()))
    };
    let loads = [
        start(4, Request::get("/kept")),
        start(2, Request::get("/new").field("Connection", "close")),
        start(4, Request::get("/long")),
    ];
    let secure = places.map(|(traffic, admin)| (SocketAddr::new(traffic.ip(), 443), admin));
    let secure = Balancer::start(at("127.0.0.1", 0), &secure);
    for number in [0, 1] {
        secure.until(number, true);
    }
    let webhooks = places.map(|(traffic, admin)| (SocketAddr::new(traffic.ip(), 8443), admin));
    let webhooks = Balancer::start(at(balanced, 0), &webhooks);
    for number in [0, 1] {
        webhooks.until(number, true);
    }
    admission::until_bundle(place);
    for number in [0, 1] {
        wait::until("a certificate", || {
            admission::shown(place, at(&address(number), 8443))
        });
    }
    admission::route(place, webhooks.address());
    let tried = place.request(
        "POST",
        "?dryRun=All",
        &ingress("tried", "tried.test", "web"),
    );
    let server = place.api.address();
    let writes = Repeated::start(move || {
        let answer = tried.send(server);
        assert_eq!(answer.status, 201, "{answer:?}");
    });
    let streams = ["/quick", "/quick", "/long", "/long"];
    let streams = streams.map(|path| self::streams(secure.address(), path));
    for load in &loads {
        load.wait_for(4);
    }
    for (number, replica) in replicas.iter_mut().enumerate() {
        let before = balancer.connections(number);
        replica.terminate();
        balancer.until(number, false);
        let status = replica.wait();
        assert!(status.success(), "{status}");
        *replica = net.start(number, place, &format!("new-{number}"));
        balancer.until(number, true);
        loads[1].wait_for(50);
        assert!(
            balancer.connections(number) > before,
            "the new one gets its share"
        );
    }
    for load in loads {
        all_good(load);
    }
    for streams in streams {
        assert!(streams.stop() > 2);
    }
    assert!(writes.stop() > 20);
}

/// Something done over and over on a thread of its own.
struct Repeated {
    stopping: Arc<AtomicBool>,
    worker: JoinHandle<usize>,
}

impl Repeated {
    fn start(mut act: impl FnMut() + Send + 'static) -> Self {
        let stopping = Arc::<AtomicBool>::default();
        let until = stopping.clone();
        let worker = std::thread::spawn(move || {
            let mut count = 0;
            while !until.load(Ordering::Acquire) {
                act();
                count += 1;
            }
            count
        });
        Self { stopping, worker }
    }

    /// Ends it; how often it was done.
    fn stop(self) -> usize {
        self.stopping.store(true, Ordering::Release);
        self.worker.join().unwrap()
    }
}

/// Requests one after the other over HTTP/2 and TLS, on a connection for as long as the server wants it.
fn streams(address: SocketAddr, path: &'static str) -> Repeated {
    let mut connection = None;
    Repeated::start(move || {
        loop {
            let client =
                connection.get_or_insert_with(|| Http2::tls(address, &Tls::name("a.test")));
            let request = http::Request::get(format!("https://a.test{path}"));
            match client.try_send(request.body(Full::default()).unwrap()) {
                Ok(answer) => {
                    assert_eq!(answer.head.status(), 200, "{answer:?}");
                    return;
                }
                Err(error) if was_not_taken(&error) => connection = None,
                Err(error) => panic!("{path} failed: {error}"),
            }
        }
    })
}

/// Whether the server, which is going away, has said that it does not take the request (RFC 9113 6.8), or the client saw
/// that before it sent it. Every client asks again elsewhere then.
fn was_not_taken(error: &str) -> bool {
    let went = error.contains("GoAway(") && error.contains("NO_ERROR");
    went || error.contains("ChannelClosed") || error.contains("Canceled")
}

/// A backend that answers `/long` late.
fn serve(listener: &TcpListener) {
    for connection in listener.incoming().flatten() {
        std::thread::spawn(move || converse(connection));
    }
}

fn converse(mut connection: TcpStream) {
    let (mut buffer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = connection.read(&mut part) {
        buffer.extend(&part[..count]);
        if !buffer.ends_with(b"\r\n\r\n") {
            continue;
        }
        if buffer.starts_with(b"GET /long") {
            std::thread::sleep(LONG);
        }
        buffer.clear();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if connection.write_all(answer).is_err() {
            return;
        }
    }
}
