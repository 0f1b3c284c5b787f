//! Explanations say what the proxy does, also of Gateways: for random Gateways, routes and requests, the explanation names the
//! response or the backend of the request itself.

use std::cell::RefCell;
use std::net::SocketAddr;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Echo, Http2, Request};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::grpc;
use super::setup::{Cluster, PORT, Running, http};
use crate::traffic::explain;

/// Backends of the random rules; there is no Service `gone`, and `empty` has no endpoints.
const SERVICES: [&str; 5] = ["one", "two", "three", "gone", "empty"];
/// Listeners of the random routes by parent, and by kind of parent.
const PARENTS: [(&str, &str, Option<&str>); 8] = [
    ("Gateway", "gw", None),
    ("Gateway", "gw", Some("any")),
    ("Gateway", "gw", Some("wild")),
    ("Gateway", "gw", Some("name")),
    ("Gateway", "gw", Some("other-port")),
    ("ListenerSet", "set", None),
    ("Gateway", "edge", None),
    ("Gateway", "edge", Some("wild")),
];
const OTHER_PORT: u16 = 8081;
const HOSTS: [&str; 5] = ["a.test", "*.a.test", "www.a.test", "x.www.a.test", "b.test"];
const REQUEST_HOSTS: [&str; 6] = [
    "a.test",
    "www.a.test",
    "x.www.a.test",
    "y.a.test",
    "b.test",
    "c.test",
];
const PATHS: [&str; 10] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/A",
    "/a.b",
    "/(.*)",
    "/a/(b|c)",
    "/x%20y",
    "/pkg.Api/Get",
];
const REQUEST_PATHS: [&str; 11] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c?q=1",
    "/A/B?q=2&q=1",
    "/axb?Q=1",
    "/a/../b",
    "//a",
    "/x%20y",
    "/pkg.Api/Get",
];
const KINDS: [&str; 3] = ["PathPrefix", "Exact", "RegularExpression"];
const FIELDS: &[(&str, &str)] = &[("x-env", "canary"), ("x-env", "blue"), ("x-other", "1")];

/// What a match demands besides its path.
fn demands() -> [Value; 8] {
    [
        json!({}),
        json!({}),
        json!({ "method": "POST" }),
        json!({ "headers": [{ "name": "X-Env", "value": "canary" }] }),
        json!({ "headers": [{ "name": "x-env", "value": "b.*", "type": "RegularExpression" }] }),
        json!({ "queryParams": [{ "name": "q", "value": "1" }] }),
        json!({ "queryParams": [{ "name": "q", "value": "[12]", "type": "RegularExpression" }] }),
        json!({ "method": "GET", "headers": [{ "name": "x-other", "value": "1" }] }),
    ]
}

/// What a rule does besides forwarding. The last ones are refused.
fn filters() -> [Value; 11] {
    let redirect = |of: Value| json!([{ "type": "RequestRedirect", "requestRedirect": of }]);
    let rewrite = |of: Value| json!([{ "type": "URLRewrite", "urlRewrite": of }]);
    [
        json!([]),
        json!([]),
        json!([]),
        redirect(json!({ "scheme": "https", "statusCode": 301 })),
        redirect(json!({ "hostname": "elsewhere.test", "port": 8443 })),
        redirect(json!({ "path": { "type": "ReplaceFullPath", "replaceFullPath": "/full" } })),
        redirect(json!({ "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/p" } })),
        rewrite(json!({ "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/p/" } })),
        rewrite(
            json!({ "hostname": "inner.test", "path": { "type": "ReplaceFullPath", "replaceFullPath": "/full" } }),
        ),
        json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": { "set": [{ "name": "x-new", "value": "1" }] } }]),
        json!([{ "type": "ExtensionRef", "extensionRef": { "group": "g", "kind": "K", "name": "n" } }]),
    ]
}

/// A rule: its matches (path, type, demands), its filters, and its backends with weights.
#[derive(Clone, Debug)]
struct Rule {
    matches: Vec<(usize, usize, usize)>,
    filters: usize,
    backends: Vec<(usize, u32)>,
}

/// A route of a parent: of HTTP, or of gRPC.
#[derive(Clone, Debug)]
struct Route {
    parent: usize,
    is_grpc: bool,
    hosts: Vec<usize>,
    rules: Vec<Rule>,
}

/// A request: to which socket, method, and indices of its host, path and fields.
#[derive(Clone, Debug)]
struct Asked {
    socket: usize,
    method: &'static str,
    host: usize,
    path: usize,
    fields: Vec<usize>,
    is_call: bool,
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let one = (0..PATHS.len(), 0..KINDS.len(), 0..demands().len());
    let rule = (
        prop::collection::vec(one, 0..4),
        0..filters().len(),
        prop::collection::vec((0..SERVICES.len(), 0..4u32), 0..4),
    );
    let rule = rule.prop_map(|(matches, filters, backends)| Rule {
        matches,
        filters,
        backends,
    });
    let route = (
        0..PARENTS.len(),
        prop::bool::weighted(0.2),
        prop::collection::vec(0..HOSTS.len(), 0..3),
        prop::collection::vec(rule, 1..4),
    );
    let route = route.prop_map(|(parent, is_grpc, hosts, rules)| Route {
        parent,
        is_grpc,
        hosts,
        rules,
    });
    prop::collection::vec(route, 1..7)
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    let request = (
        0..3usize,
        prop::sample::select(&["GET", "POST"][..]),
        0..REQUEST_HOSTS.len(),
        0..REQUEST_PATHS.len(),
        prop::collection::vec(0..FIELDS.len(), 0..3),
        prop::bool::weighted(0.2),
    );
    let request = request.prop_map(|(socket, method, host, path, fields, is_call)| Asked {
        socket,
        method,
        host,
        path,
        fields,
        is_call,
    });
    prop::collection::vec(request, 24)
}

impl Rule {
    fn backends(&self) -> Vec<Value> {
        let backends = self.backends.iter();
        let backends = backends.map(
            |(service, weight)| json!({ "name": SERVICES[*service], "port": 80, "weight": weight }),
        );
        backends.collect()
    }

    fn of_http(&self, name: &str) -> Value {
        let matches = self.matches.iter().map(|(path, kind, other)| {
            let mut one = demands()[*other].clone();
            one["path"] = json!({ "type": KINDS[*kind], "value": PATHS[*path] });
            one
        });
        let filters = &filters()[self.filters];
        let is_redirect = filters[0]["type"] == "RequestRedirect";
        json!({
            "name": name,
            "matches": matches.collect::<Vec<_>>(),
            "filters": filters,
            "backendRefs": if is_redirect { Vec::new() } else { self.backends() },
        })
    }

    fn of_grpc(&self, name: &str) -> Value {
        let matches = self
            .matches
            .iter()
            .map(|(path, kind, _)| match (path % 2, kind) {
                (0, 2) => json!({ "method": { "type": "RegularExpression", "method": "G.*" } }),
                (0, _) => json!({ "method": { "service": "pkg.Api" } }),
                _ => json!({ "method": { "service": "pkg.Api", "method": "Get" } }),
            });
        json!({
            "name": name,
            "matches": matches.collect::<Vec<_>>(),
            "backendRefs": self.backends(),
        })
    }
}

impl Route {
    fn object(&self, at: usize) -> Value {
        let (kind, parent, section) = PARENTS[self.parent];
        let hosts: Vec<&str> = self.hosts.iter().map(|host| HOSTS[*host]).collect();
        let rules = self.rules.iter().enumerate().map(|(index, rule)| {
            let name = format!("rule-{index}");
            match self.is_grpc {
                true => rule.of_grpc(&name),
                false => rule.of_http(&name),
            }
        });
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": if self.is_grpc { "GRPCRoute" } else { "HTTPRoute" },
            "metadata": {
                "name": format!("drawn-{at}"), "namespace": manifest::NAMESPACE,
                "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", at + 1),
            },
            "spec": {
                "parentRefs": [{ "kind": kind, "name": parent, "sectionName": section }],
                "hostnames": hosts,
                "rules": rules.collect::<Vec<_>>(),
            },
        })
    }
}

/// Gateway `gw` with a ListenerSet at an address of its own, and two Ingresses.
fn base(echoes: &[Echo]) -> Cluster {
    let set =
        json!({ "parentRef": { "name": "gw" }, "listeners": [http("set", PORT, Some("b.test"))] });
    let listeners = [
        http("any", PORT, None),
        http("wild", PORT, Some("*.a.test")),
        http("name", PORT, Some("www.a.test")),
        http("other-port", OTHER_PORT, None),
    ];
    let cluster = Cluster::new()
        .argument("--gateway-on-ingress-ports=shop/edge")
        .gateway("gw", &listeners)
        .object("ListenerSet", "set", set)
        .service("empty", &[])
        .ingress(Ingress::new("old").host("a.test").path("/a", "one"))
        .ingress(Ingress::new("older").host("*.a.test").exact("/a/b", "two"));
    echoes.iter().fold(cluster, Cluster::backend)
}

/// Gateway `edge`, which is on the port of Ingresses.
fn edge(port: u16) -> Value {
    json!({
        "gatewayClassName": "headgate",
        "listeners": [http("any", port, None), http("wild", port, Some("*.a.test"))],
    })
}

/// What happens to a request.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The name of a backend, and the target that it gets.
    Backend(String, String),
    /// A status, and `Location`.
    Response(u16, Option<String>),
    /// `grpc-status` of a call that failed.
    Failed(String),
}

impl Asked {
    fn address(&self, running: &Running) -> SocketAddr {
        match self.socket {
            0 => running.at(PORT),
            1 => running.at(OTHER_PORT),
            _ => running.program.http(),
        }
    }

    fn fields(&self) -> Vec<(&'static str, &'static str)> {
        self.fields.iter().map(|index| FIELDS[*index]).collect()
    }

    fn send(&self, running: &Running) -> Outcome {
        let (host, path) = (REQUEST_HOSTS[self.host], REQUEST_PATHS[self.path]);
        let address = self.address(running);
        if self.is_call {
            return self.call(address, host, path);
        }
        let request = Request::new(self.method, path).host(host);
        let fields = self.fields().into_iter();
        let request = fields.fold(request, |request, (name, value)| request.field(name, value));
        let response = request.send(address);
        match response.status {
            200 => {
                let echo = response.echo();
                Outcome::Backend(echo.name().to_owned(), echo.target().to_owned())
            }
            status => Outcome::Response(status, response.field("location").map(str::to_owned)),
        }
    }

    /// A gRPC call. Its backend does not tell the target.
    fn call(&self, address: SocketAddr, host: &str, path: &str) -> Outcome {
        let response = Http2::clear(address).send(grpc::call(host, path, &self.fields()));
        match (response.field("x-name"), response.field("grpc-status")) {
            (Some(name), _) => Outcome::Backend(name.to_owned(), String::new()),
            (None, Some(status)) => Outcome::Failed(status.to_owned()),
            (None, None) => {
                let location = response.field("location").map(str::to_owned);
                Outcome::Response(response.head.status().as_u16(), location)
            }
        }
    }

    fn explain(&self, running: &Running) -> Value {
        let port = self.address(running).port();
        let (host, path) = (REQUEST_HOSTS[self.host], REQUEST_PATHS[self.path]);
        let url = format!("http://{host}:{port}{path}");
        let mut fields = self.fields();
        let mut method = self.method;
        if self.is_call {
            fields.push(("content-type", "application/grpc+proto"));
            method = "POST";
        }
        explain::of(&running.program, &url, method, &fields)
    }
}

/// Whether an explanation admits what happened.
fn admits(explained: &Value, happened: &Outcome) -> bool {
    let outcome = &explained["outcome"];
    // A share of the requests may get no backend.
    let has_share_of = |status: &str| {
        let mut steps = explained["steps"].as_array().unwrap().iter();
        steps.any(|step| {
            let detail = step["detail"].as_str().unwrap();
            step["name"] == "backend" && detail.contains(&format!(": {status}, "))
        })
    };
    match (outcome["kind"].as_str(), happened) {
        (Some("forwarded"), Outcome::Backend(name, target)) => {
            let mut backends = explained["backends"].as_array().unwrap().iter();
            let is_named = |backend: &Value| {
                let service = backend["name"].as_str().unwrap().split('/').nth(1);
                service == Some(name) && !backend["endpoints"].as_array().unwrap().is_empty()
            };
            backends.any(is_named) && (target.is_empty() || outcome["target"] == **target)
        }
        (Some("forwarded"), Outcome::Response(status, None)) => {
            has_share_of(&format!("status {status}"))
        }
        (Some("forwarded"), Outcome::Failed(status)) => {
            has_share_of(&format!("grpc-status {status}"))
        }
        (Some("response"), Outcome::Response(status, location)) => {
            let is_outcome =
                outcome["status"] == *status && outcome["location"].as_str() == location.as_deref();
            is_outcome || has_share_of(&format!("status {status}"))
        }
        (Some("response"), Outcome::Failed(status)) => {
            outcome["grpcStatus"] == **status || has_share_of(&format!("grpc-status {status}"))
        }
        _ => false,
    }
}

/// What is false in what an explanation says of hosts and rules that were not chosen.
fn false_loser(explained: &Value) -> Option<&Value> {
    let host = explained["host"]["name"].as_str()?;
    let losers = explained["losers"].as_array().unwrap();
    losers.iter().find(|loser| {
        let because = loser["because"].as_str().unwrap();
        because
            .strip_suffix(" comes first")
            .is_some_and(|first| first != host)
    })
}

#[test]
fn explanations_name_what_gateways_do() {
    let echoes = ["one", "two", "three"].map(Echo::start);
    let cluster = base(&echoes);
    let running = cluster.start();
    let served = cluster.object("Gateway", "edge", edge(running.program.http().port()));
    let outcomes = RefCell::new([0, 0]);
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&(routes(), requests()), |(drawn, asked)| {
        let objects = drawn.iter().enumerate().map(|(at, route)| route.object(at));
        let cluster = objects.fold(served.clone(), Cluster::any);
        // The name of a Service without endpoints makes every table a new one.
        let mark = format!("mark-{}", running.program.generation());
        cluster.service(&mark, &[]).replace(&running);
        for one in &asked {
            let explained = one.explain(&running);
            let happened = one.send(&running);
            if !admits(&explained, &happened) || false_loser(&explained).is_some() {
                let text = format!("{one:?}\n{happened:?}\n{explained:#}\n{drawn:#?}");
                return Err(TestCaseError::fail(text));
            }
            let is_forwarded = matches!(happened, Outcome::Backend(..));
            outcomes.borrow_mut()[usize::from(is_forwarded)] += 1;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Most of the random requests match no rule, and how many do varies much.
    let [responses, forwarded] = outcomes.into_inner();
    assert!(
        responses > 0 && forwarded > 0,
        "{responses} responses, {forwarded} forwarded"
    );
}
