//! Shared by the tests of Gateways.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Issued, Program, Request, Response, Scenario, wait};
use serde_json::{Value, json};

use crate::traffic::setup::BINARY;

/// Port of the listeners of most tests.
pub(super) const PORT: u16 = 8080;

/// Makes addresses unique in this process.
static COUNT: AtomicU8 = AtomicU8::new(1);

/// Objects of a cluster, with Gateways at a loopback address that no other test uses, so that their ports are free.
#[derive(Clone)]
pub(super) struct Cluster {
    scenario: Scenario,
    address: Ipv4Addr,
    /// Ports for connections.
    ports: Vec<u16>,
}

/// The program that serves a cluster.
pub(super) struct Running {
    pub(super) program: Program,
    address: Ipv4Addr,
}

impl Cluster {
    /// The class of the Gateways.
    pub(super) fn new() -> Self {
        let [.., high, low] = process::id().to_be_bytes();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "headgate" },
            "spec": { "controllerName": "headgate.dev/gateway-controller" },
        });
        Self {
            scenario: Scenario::new().object(class),
            // 127.0.x.y is for everything else.
            address: Ipv4Addr::new(127, high | 0x80, low, number),
            ports: Vec::new(),
        }
    }

    /// With Gateway `gw`, one HTTP listener, and a Service for each of the backends.
    pub(super) fn simple(backends: &[&Echo]) -> Self {
        let cluster = Self::new().gateway("gw", &[http("http", PORT, None)]);
        backends
            .iter()
            .fold(cluster, |cluster, echo| cluster.backend(echo))
    }

    /// Adds a Gateway.
    pub(super) fn gateway(mut self, name: &str, listeners: &[Value]) -> Self {
        let connections = listeners
            .iter()
            .filter(|listener| listener["protocol"] != "UDP");
        let ports =
            connections.filter_map(|listener| u16::try_from(listener["port"].as_u64()?).ok());
        self.ports.extend(ports);
        let address = self.address.to_string();
        let spec = json!({
            "gatewayClassName": "headgate",
            "addresses": [{ "type": "IPAddress", "value": address }],
            "allowedListeners": { "namespaces": { "from": "Same" } },
            "listeners": listeners,
        });
        self.object("Gateway", name, spec)
    }

    /// Adds the Service of a backend, with the name of the backend.
    pub(super) fn backend(self, echo: &Echo) -> Self {
        self.service(echo.name(), &[echo.address()])
    }

    /// Adds a Service.
    pub(super) fn service(self, name: &str, addresses: &[SocketAddr]) -> Self {
        let scenario = self.scenario.service(name, addresses);
        Self { scenario, ..self }
    }

    /// Adds an HTTPRoute of Gateway `gw`.
    pub(super) fn route(self, name: &str, rules: Value) -> Self {
        self.object(
            "HTTPRoute",
            name,
            json!({ "parentRefs": [{ "name": "gw" }], "rules": rules }),
        )
    }

    /// Adds an HTTPRoute of Gateway `gw` for some hosts.
    pub(super) fn route_of(self, name: &str, hosts: &[&str], rules: Value) -> Self {
        let spec = json!({ "parentRefs": [{ "name": "gw" }], "hostnames": hosts, "rules": rules });
        self.object("HTTPRoute", name, spec)
    }

    /// Adds an object of the Gateway API.
    pub(super) fn object(self, kind: &str, name: &str, spec: Value) -> Self {
        self.object_in("shop", kind, name, spec)
    }

    /// Adds an object of the Gateway API in another namespace.
    pub(super) fn object_in(self, namespace: &str, kind: &str, name: &str, spec: Value) -> Self {
        self.any(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": { "name": name, "namespace": namespace },
            "spec": spec,
        }))
    }

    /// Adds any object.
    pub(super) fn any(self, object: Value) -> Self {
        let scenario = self.scenario.object(object);
        Self { scenario, ..self }
    }

    /// Adds a Secret with a certificate.
    pub(super) fn secret(self, name: &str, issued: &Issued) -> Self {
        let scenario = self.scenario.secret(name, issued);
        Self { scenario, ..self }
    }

    /// Adds an Ingress.
    pub(super) fn ingress(self, ingress: Ingress) -> Self {
        let scenario = self.scenario.ingress(ingress);
        Self { scenario, ..self }
    }

    /// Sets keys of the ConfigMap.
    pub(super) fn settings(self, data: &[(&str, &str)]) -> Self {
        let scenario = self.scenario.settings(data);
        Self { scenario, ..self }
    }

    /// Adds a flag of the program.
    pub(super) fn argument(self, argument: &str) -> Self {
        let scenario = self.scenario.argument(argument);
        Self { scenario, ..self }
    }

    /// Starts the program, and waits until its ports are open.
    pub(super) fn start(&self) -> Running {
        let running = Running {
            program: self.scenario.start(BINARY),
            address: self.address,
        };
        for port in &self.ports {
            wait::until("an open port", || {
                TcpStream::connect(running.at(*port)).ok()
            });
        }
        running
    }

    /// Serves these objects instead.
    pub(super) fn replace(&self, running: &Running) {
        self.scenario.replace(&running.program);
    }
}

impl Running {
    /// The address of a listener.
    pub(super) fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    /// Sends a request to the listener of most tests.
    pub(super) fn send(&self, request: &str) -> Response {
        parse(request).send(self.at(PORT))
    }

    /// What requests to the listener of most tests get: the name of a backend, or a status.
    #[track_caller]
    pub(super) fn check(&self, cases: &[(&str, &str)]) {
        self.check_at(PORT, cases);
    }

    /// What requests to a listener get.
    #[track_caller]
    pub(super) fn check_at(&self, port: u16, cases: &[(&str, &str)]) {
        for (request, expected) in cases {
            let response = parse(request).send(self.at(port));
            assert_eq!(outcome(&response), *expected, "{request}\n{response:?}");
        }
    }
}

/// The name of the backend that responded, or the status.
pub(super) fn outcome(response: &Response) -> String {
    match response.status {
        200 => response.echo().name().to_owned(),
        status => status.to_string(),
    }
}

/// `POST /path host=a.test name=value`; without a method, GET.
pub(super) fn parse(text: &str) -> Request {
    let mut words = text.split(' ').peekable();
    let method = words.next_if(|word| !word.starts_with('/'));
    let target = words.next().unwrap_or("/");
    let request = Request::new(method.unwrap_or("GET"), target);
    words.fold(request, |request, field| {
        let (name, value) = field.split_once('=').unwrap();
        request.field(name, value)
    })
}

/// An HTTP listener.
pub(super) fn http(name: &str, port: u16, hostname: Option<&str>) -> Value {
    json!({ "name": name, "port": port, "protocol": "HTTP", "hostname": hostname })
}

/// An HTTPS listener with the certificate of Secret `cert`.
pub(super) fn https(name: &str, port: u16, hostname: Option<&str>) -> Value {
    json!({
        "name": name, "port": port, "protocol": "HTTPS", "hostname": hostname,
        "tls": { "certificateRefs": [{ "name": "cert" }] },
    })
}

/// A reference to a Service.
pub(super) fn to(service: &str) -> Value {
    json!({ "name": service, "port": 80 })
}

/// A reference to a Service with a weight.
pub(super) fn weighted(service: &str, weight: u32) -> Value {
    json!({ "name": service, "port": 80, "weight": weight })
}

/// A match of a path prefix.
pub(super) fn prefix(path: &str) -> Value {
    json!({ "path": { "type": "PathPrefix", "value": path } })
}

/// A match of a path.
pub(super) fn exact(path: &str) -> Value {
    json!({ "path": { "type": "Exact", "value": path } })
}

/// A match of header fields.
pub(super) fn headers(fields: &[(&str, &str)]) -> Value {
    json!({ "headers": pairs(fields) })
}

/// Names with values.
pub(super) fn pairs(list: &[(&str, &str)]) -> Value {
    let pairs = list.iter();
    let pairs = pairs.map(|(name, value)| json!({ "name": name, "value": value }));
    pairs.collect()
}

/// A rule: requests that match one of `matches` go to a Service.
pub(super) fn rule(matches: &[Value], service: &str) -> Value {
    json!({ "matches": matches, "backendRefs": [to(service)] })
}

/// A rule with one path prefix, filters and a Service.
pub(super) fn filtered(path: &str, filters: Value, service: &str) -> Value {
    json!({ "matches": [prefix(path)], "filters": filters, "backendRefs": [to(service)] })
}
