//! The route of a request is the first, in the order of the API, of all that match it (gateway-api.md 2.5, 2.6 and 3.3).

use std::borrow::Cow;
use std::cmp::Reverse;

use headgate_compile::{GatewayOptions, Kind, Object, Options};
use headgate_table::{ConditionInput, HostBehaviour, PathMatch, RoutingTable};
use http::{HeaderName, Method};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use regex::Regex;
use serde_json::{Value, json};

use super::compiled_with;
use super::gateways::delivered;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_route_of_a_request_is_the_first_of_all_that_match(
        listeners in subsequence(HOSTNAMES.to_vec(), 1..=HOSTNAMES.len()),
        routes in prop::collection::vec(route(), 1..6),
        requests in prop::collection::vec(request(), 1..24),
    ) {
        let mut objects: Vec<Object> = routes.iter().enumerate().map(|(n, route)| route.object(n)).collect();
        objects.extend(gateway(&listeners));
        let options = Options { gateway: Some(GatewayOptions::default()), ..Options::default() };
        let compiled = compiled_with(objects, &options);
        for request in &requests {
            let found = found(compiled.table(), request);
            prop_assert_eq!(found, first(&listeners, &routes, request), "{:?}", request);
        }
    }
}

/// Of listeners and routes; empty for all names.
const HOSTNAMES: [&str; 5] = ["", "*.test", "*.b.test", "a.b.test", "c.test"];
const NAMES: [&str; 6] = [
    "a.b.test",
    "x.b.test",
    "x.y.b.test",
    "c.test",
    "b.test",
    "a.other",
];
const PATHS: [(&str, &str); 10] = [
    ("Exact", "/a"),
    ("Exact", "/a/"),
    ("Exact", "/a/b"),
    ("PathPrefix", "/"),
    ("PathPrefix", "/a"),
    ("PathPrefix", "/a/"),
    ("PathPrefix", "/a/b"),
    ("RegularExpression", "/a.*"),
    ("RegularExpression", "/[ab]/?"),
    ("RegularExpression", "/a/b/c"),
];
const REQUESTED: [&str; 8] = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/b/c", "/b"];

#[derive(Clone, Debug)]
struct Route {
    namespace: &'static str,
    year: u32,
    hostnames: Vec<&'static str>,
    rules: Vec<Vec<Match>>,
}

#[derive(Clone, Debug)]
struct Match {
    path: (&'static str, &'static str),
    method: Option<&'static str>,
    headers: Vec<&'static str>,
    query: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Request {
    host: &'static str,
    path: &'static str,
    method: Method,
    headers: Vec<&'static str>,
    query: Vec<&'static str>,
}

impl Route {
    fn name(&self, number: usize) -> String {
        format!("route-{number}")
    }

    /// The port of a backend is the number of its rule, from 1.
    fn object(&self, number: usize) -> Object {
        let hostnames: Vec<&str> = self
            .hostnames
            .iter()
            .copied()
            .filter(|name| !name.is_empty())
            .collect();
        let rules = self.rules.iter().enumerate().map(|(rule, matches)| {
            let matches: Vec<Value> = matches.iter().map(Match::spec).collect();
            json!({ "matches": matches, "backendRefs": [{ "name": "web", "port": rule + 1 }] })
        });
        let value = json!({
            "metadata": {
                "namespace": self.namespace, "name": self.name(number),
                "creationTimestamp": format!("{}-01-01T00:00:00Z", self.year),
            },
            "spec": {
                "parentRefs": [{ "name": "gate", "namespace": "s" }],
                "hostnames": hostnames, "rules": rules.collect::<Value>(),
            },
        });
        delivered(Kind::HttpRoute, value).unwrap()
    }
}

impl Match {
    fn spec(&self) -> Value {
        let values = |names: &[&str]| -> Vec<Value> {
            names
                .iter()
                .map(|name| json!({ "name": name, "value": "1" }))
                .collect()
        };
        json!({
            "path": { "type": self.path.0, "value": self.path.1 }, "method": self.method,
            "headers": values(&self.headers), "queryParams": values(&self.query),
        })
    }

    fn matches(&self, request: &Request) -> bool {
        let (kind, value) = self.path;
        let path = request.path;
        let by_path = match kind {
            "Exact" => path == value,
            "PathPrefix" => {
                let prefix = value.trim_end_matches('/');
                path == prefix || path.starts_with(&format!("{prefix}/"))
            }
            _ => Regex::new(&format!("^(?:{value})$"))
                .unwrap()
                .is_match(path),
        };
        by_path
            && self
                .method
                .is_none_or(|method| method == request.method.as_str())
            && self
                .headers
                .iter()
                .all(|name| request.headers.contains(name))
            && self.query.iter().all(|name| request.query.contains(name))
    }
}

impl ConditionInput for Request {
    fn method(&self) -> &Method {
        &self.method
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        self.headers
            .contains(&name.as_str())
            .then_some(Cow::Borrowed(b"1"))
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query.contains(&name).then_some(Cow::Borrowed("1"))
    }
}

/// The class, and Gateway `s/gate` with a listener for each hostname.
fn gateway(listeners: &[&str]) -> [Object; 2] {
    let class = json!({
        "metadata": { "name": "headgate" },
        "spec": { "controllerName": "headgate.dev/gateway-controller" },
    });
    let listeners = listeners.iter().enumerate().map(|(number, hostname)| {
        json!({
            "name": format!("listener-{number}"), "hostname": hostname, "port": PORT, "protocol": "HTTP",
            "allowedRoutes": { "namespaces": { "from": "All" } },
        })
    });
    let gateway = json!({
        "metadata": { "namespace": "s", "name": "gate" },
        "spec": { "gatewayClassName": "headgate", "listeners": listeners.collect::<Value>() },
    });
    [
        delivered(Kind::GatewayClass, class).unwrap(),
        delivered(Kind::Gateway, gateway).unwrap(),
    ]
}

const PORT: u16 = 8000;

/// The object and rule that serve a request by the table.
fn found(table: &RoutingTable, request: &Request) -> Option<String> {
    let mut listeners = table.listeners().iter();
    let listener = listeners
        .find(|listener| listener.address.port() == PORT)
        .unwrap();
    let hosts = listener.hosts(None, request.host).unwrap();
    let mut host = Some(hosts.find(request.host));
    while let Some(current) = host {
        let HostBehaviour::Routes { paths, .. } = &current.behaviour else {
            panic!("the host only redirects");
        };
        match paths.find(request.path.as_bytes(), request) {
            PathMatch::Route(route) if !route.is_built_in() => {
                let origin = &route.origin;
                return Some(format!(
                    "{}/{} {}",
                    origin.namespace, origin.name, origin.port
                ));
            }
            PathMatch::Route(_) => host = hosts.wider(current, request.host),
            other => panic!("{other:?}"),
        }
    }
    None
}

/// The same by trying everything.
fn first(listeners: &[&str], routes: &[Route], request: &Request) -> Option<String> {
    let listener = listeners
        .iter()
        .filter(|listener| covers(listener, request.host))
        .min_by_key(|listener| width(listener))?;
    let mut all = Vec::new();
    for (number, route) in routes.iter().enumerate() {
        let own = if route.hostnames.is_empty() {
            &[""][..]
        } else {
            &route.hostnames
        };
        let effective = own.iter().filter_map(|name| {
            if covers(listener, name) {
                Some(*name)
            } else {
                covers(name, listener).then_some(*listener)
            }
        });
        for hostname in effective.filter(|name| covers(name, request.host)) {
            for (rule, matches) in route.rules.iter().enumerate() {
                let whole = [Match {
                    path: ("PathPrefix", "/"),
                    method: None,
                    headers: vec![],
                    query: vec![],
                }];
                let matches = if matches.is_empty() {
                    &whole[..]
                } else {
                    matches
                };
                for (index, one) in matches
                    .iter()
                    .enumerate()
                    .filter(|(_, one)| one.matches(request))
                {
                    let id = format!("{}/{}", route.namespace, route.name(number));
                    let found = format!("{id} {}", rule + 1);
                    let (kind, value) = one.path;
                    let path = match kind {
                        "Exact" => (0, Reverse(0)),
                        "RegularExpression" => (1, Reverse(value.len())),
                        _ => (2, Reverse(value.trim_end_matches('/').len())),
                    };
                    let demands = (
                        Reverse(one.method.is_some()),
                        Reverse(one.headers.len()),
                        Reverse(one.query.len()),
                    );
                    all.push((
                        width(hostname),
                        path,
                        demands,
                        route.year,
                        id,
                        rule,
                        index,
                        found,
                    ));
                }
            }
        }
    }
    all.into_iter().min().map(|(.., found)| found)
}

/// Whether all names of `narrower`, a name or hostname, are names of `hostname`.
fn covers(hostname: &str, narrower: &str) -> bool {
    match hostname.strip_prefix('*') {
        _ if hostname.is_empty() => true,
        Some(suffix) => {
            hostname == narrower
                || narrower.trim_start_matches('*').len() > suffix.len()
                    && narrower.ends_with(suffix)
        }
        None => hostname == narrower,
    }
}

/// Precise names come before wildcards, and the longer wildcard before the shorter.
fn width(hostname: &str) -> (u8, Reverse<usize>) {
    let kind = match hostname {
        "" => 2,
        name if name.starts_with('*') => 1,
        _ => 0,
    };
    (kind, Reverse(hostname.len()))
}

// === strategies ===

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![2 => Just(vec![]), 1 => subsequence(vec!["x-a", "x-b"], 0..=2)]
}

fn route() -> impl Strategy<Value = Route> {
    let method = prop::option::weighted(0.3, select(vec!["GET", "PUT"]));
    let one = (select(PATHS.to_vec()), method, names(), names()).prop_map(
        |(path, method, headers, query)| Match {
            path,
            method,
            headers,
            query,
        },
    );
    let rules = prop::collection::vec(prop::collection::vec(one, 0..4), 1..4);
    let hostnames = subsequence(HOSTNAMES[1..].to_vec(), 0..3);
    (
        select(vec!["s", "s-t", "t"]),
        2020..2022_u32,
        hostnames,
        rules,
    )
        .prop_map(|(namespace, year, hostnames, rules)| Route {
            namespace,
            year,
            hostnames,
            rules,
        })
}

fn request() -> impl Strategy<Value = Request> {
    let method = select(vec![Method::GET, Method::PUT, Method::HEAD]);
    let host = select(NAMES.to_vec());
    (host, select(REQUESTED.to_vec()), method, names(), names()).prop_map(
        |(host, path, method, headers, query)| Request {
            host,
            path,
            method,
            headers,
            query,
        },
    )
}
