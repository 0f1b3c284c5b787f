//! A rolling restart of two replicas behind one address, in network namespaces: no request fails, and no write of an
//! Ingress fails because the webhook is unreachable.
//!
//! The cluster, the clients and the balancer are in one network namespace, and each replica in another, with its own ports
//! 80 and 10254.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headgate_apiserver::Options;
use headgate_testkit::{
    Balancer, Http2, Load, NetworkNamespace, Program, Request, Tls, manifest, wait,
};
use http_body_util::Full;

use super::admission;
use super::support::{assert_no_failures, ingress, slice};
use super::testenv::TestEnv;

/// Address of the API server and of the backend.
const CENTRE: &str = "10.77.0.1";
/// Duration of a slow request.
const LONG: Duration = Duration::from_secs(3);

/// Network namespaces for two replicas, and for everything else.
struct Networks {
    centre: NetworkNamespace,
    replicas: [NetworkNamespace; 2],
}

impl Networks {
    fn new() -> Option<Self> {
        let net = Self {
            centre: NetworkNamespace::new()?,
            replicas: [NetworkNamespace::new()?, NetworkNamespace::new()?],
        };
        net.centre.add_address(&format!("{CENTRE}/32"));
        for (number, replica) in net.replicas.iter().enumerate() {
            let gateway = format!("10.77.{}.1", number + 1);
            let remote = format!("{}/24", address(number));
            net.centre.link(&format!("{gateway}/24"), replica, &remote);
            replica.route(CENTRE, &gateway);
        }
        Some(net)
    }

    /// Starts replica `number` in its namespace, with the ports it has in a Pod.
    fn start(&self, number: usize, env: &TestEnv, pod: &str) -> Program {
        let mut arguments = vec![
            format!("--bind-address={}", address(number)),
            format!("--healthz-host={}", address(number)),
            "--http-port=80".to_owned(),
            "--https-port=443".to_owned(),
            "--healthz-port=10254".to_owned(),
            "--shutdown-grace-period=1".to_owned(),
            "--election-ttl=3s".to_owned(),
        ];
        arguments.extend(admission::managed(env));
        arguments.push(format!("--validating-webhook={}:8443", address(number)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let kubeconfig = env.kubeconfig("headgate", &arguments);
        self.replicas[number].run(|| env.replica_with_kubeconfig(&kubeconfig, pod, &arguments))
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
    let Some(net) = Networks::new() else {
        println!("skipped: network namespaces need root");
        return;
    };
    let options = Options {
        listen: at(CENTRE, 0),
        ..Options::default()
    };
    if super::testenv::real_cluster().is_none() {
        return net
            .centre
            .run(|| roll(&net, &TestEnv::with(options), "127.0.0.1"));
    }
    // A real cluster is outside the network namespaces, and reaches the webhooks by a virtual cable.
    let env = TestEnv::with(Options {
        network_namespace: Some(net.centre.clone()),
        ..options
    });
    let network = super::testenv::network();
    net.centre
        .attach(&format!("{network}.1/24"), &format!("{network}.2/24"));
    let balanced = format!("{network}.2");
    net.centre.run(|| roll(&net, &env, &balanced));
}

/// Replaces both replicas; the webhooks are behind address `balanced`.
fn roll(net: &Networks, env: &TestEnv, balanced: &str) {
    let backend = TcpListener::bind(at(CENTRE, 0)).unwrap();
    env.load([
        manifest::service("web"),
        slice("web", backend.local_addr().unwrap()),
        ingress("web", "a.test", "web"),
        admission::configuration(env),
    ]);
    std::thread::spawn(move || serve(&backend));
    let mut replicas = [0, 1].map(|number| net.start(number, env, &format!("old-{number}")));
    let addresses = [0, 1].map(|number| (at(&address(number), 80), at(&address(number), 10254)));
    let balancer = Balancer::start(at("127.0.0.1", 0), &addresses);
    for number in [0, 1] {
        balancer.until_ready(number, true);
    }

    let start = |connections, request: Request| {
        Load::start(balancer.address(), connections, &request, |_| Ok(()))
    };
    let loads = [
        start(4, Request::get("/kept")),
        start(2, Request::get("/new").field("Connection", "close")),
        start(4, Request::get("/long")),
    ];
    let secure = addresses.map(|(traffic, admin)| (SocketAddr::new(traffic.ip(), 443), admin));
    let secure = Balancer::start(at("127.0.0.1", 0), &secure);
    for number in [0, 1] {
        secure.until_ready(number, true);
    }
    let webhooks = addresses.map(|(traffic, admin)| (SocketAddr::new(traffic.ip(), 8443), admin));
    let webhooks = Balancer::start(at(balanced, 0), &webhooks);
    for number in [0, 1] {
        webhooks.until_ready(number, true);
    }
    admission::until_bundle(env);
    for number in [0, 1] {
        wait::until("a certificate", || {
            admission::served_certificate(env, at(&address(number), 8443))
        });
    }
    admission::route(env, webhooks.address());
    let dry_run = env.request(
        "POST",
        "?dryRun=All",
        &ingress("dry-run", "dry-run.test", "web"),
    );
    let server = env.api.address();
    let writes = Repeated::start(move || {
        let response = dry_run.send(server);
        assert_eq!(response.status, 201, "{response:?}");
    });
    let streams = ["/quick", "/quick", "/long", "/long"];
    let streams = streams.map(|path| self::streams(secure.address(), path));
    for load in &loads {
        load.wait_for(4);
    }
    for (number, replica) in replicas.iter_mut().enumerate() {
        let before = balancer.connections(number);
        replica.terminate();
        balancer.until_ready(number, false);
        let status = replica.wait();
        assert!(status.success(), "{status}");
        *replica = net.start(number, env, &format!("new-{number}"));
        balancer.until_ready(number, true);
        loads[1].wait_for(50);
        assert!(
            balancer.connections(number) > before,
            "the new replica gets connections"
        );
    }
    for load in loads {
        assert_no_failures(load);
    }
    for streams in streams {
        assert!(streams.stop() > 2);
    }
    assert!(writes.stop() > 20);
}

/// An action, repeated on a thread.
struct Repeated {
    stopping: Arc<AtomicBool>,
    worker: JoinHandle<usize>,
}

impl Repeated {
    fn start(mut action: impl FnMut() + Send + 'static) -> Self {
        let stopping = Arc::<AtomicBool>::default();
        let until = stopping.clone();
        let worker = std::thread::spawn(move || {
            let mut count = 0;
            while !until.load(Ordering::Acquire) {
                action();
                count += 1;
            }
            count
        });
        Self { stopping, worker }
    }

    /// Stops it and returns the number of repetitions.
    fn stop(self) -> usize {
        self.stopping.store(true, Ordering::Release);
        self.worker.join().unwrap()
    }
}

/// Requests one after the other over HTTP/2 and TLS, on one connection until the server closes it.
fn streams(address: SocketAddr, path: &'static str) -> Repeated {
    let mut connection = None;
    Repeated::start(move || {
        loop {
            let client =
                connection.get_or_insert_with(|| Http2::tls(address, &Tls::name("a.test")));
            let request = http::Request::get(format!("https://a.test{path}"));
            match client.try_send(request.body(Full::default()).unwrap()) {
                Ok(response) => {
                    assert_eq!(response.head.status(), 200, "{response:?}");
                    return;
                }
                Err(error) if was_not_processed(&error) => connection = None,
                Err(error) => panic!("{path} failed: {error}"),
            }
        }
    })
}

/// Whether the server refused the request with GOAWAY (RFC 9113 6.8), or the client received GOAWAY before it sent the
/// request. Every client retries then.
fn was_not_processed(error: &str) -> bool {
    let goaway = error.contains("GoAway(") && error.contains("NO_ERROR");
    goaway || error.contains("ChannelClosed") || error.contains("Canceled")
}

/// A backend that responds to `/long` slowly.
fn serve(listener: &TcpListener) {
    for connection in listener.incoming().flatten() {
        std::thread::spawn(move || serve_connection(connection));
    }
}

fn serve_connection(mut connection: TcpStream) {
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
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if connection.write_all(response).is_err() {
            return;
        }
    }
}
