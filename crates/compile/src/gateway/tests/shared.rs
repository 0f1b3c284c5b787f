//! The Gateway on the ports of Ingresses.

use std::collections::BTreeMap;

use headgate_table::{HostBehaviour, Listener, NoHosts, PathMatch};
use http::Method;

use super::*;
use crate::gateway::ConditionKind;
use crate::{Address, PublishedAddresses};

fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.options.class.without_class = true;
    cluster.options.gateway = Some(GatewayOptions {
        ports: Some(Name::new("system", "headgate-leader-gateway-ports")),
        published: Some(PublishedAddresses::Fixed(vec![Address::Ip(
            "192.0.2.1".parse().unwrap(),
        )])),
        on_ingress_ports: Some(Name::new("infra", "edge")),
        ..GatewayOptions::default()
    });
    cluster
}

fn http(hostname: Option<&str>) -> Value {
    json!({ "name": "http", "port": 80, "protocol": "HTTP", "hostname": hostname })
}

fn https(name: &str, hostname: Option<&str>, secret: &str) -> Value {
    json!({
        "name": name, "port": 443, "protocol": "HTTPS", "hostname": hostname,
        "tls": { "certificateRefs": [{ "name": secret }] },
    })
}

impl Cluster {
    fn edge(&mut self, listeners: &[Value]) {
        self.gateway("edge", json!({ "listeners": listeners }));
    }

    /// An Ingress with Service `v1` for these hosts; of those in `tls`, the first is the Secret.
    fn ingress(&mut self, name: &str, hosts: &[&str], tls: &[&str]) {
        let backend = json!({ "service": { "name": "v1", "port": { "number": 8080 } } });
        let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
        let rules = hosts
            .iter()
            .map(|host| json!({ "host": host, "http": { "paths": [path] } }));
        let tls = tls
            .split_first()
            .map(|(secret, hosts)| json!([{ "secretName": secret, "hosts": hosts }]));
        self.apply(json!({
            "kind": "Ingress", "metadata": { "name": name, "namespace": "infra" },
            "spec": { "rules": rules.collect::<Value>(), "tls": tls },
        }));
    }

    fn moved(&mut self, name: &str, hosts: &[&str], path: &str) {
        self.route(
            name,
            json!({
                "parentRefs": [{ "name": "edge" }], "hostnames": hosts,
                "rules": [{ "matches": [{ "path": { "value": path } }], "backendRefs": [backend("v2")] }],
            }),
        );
    }

    fn at(&self, port: u16) -> &Listener {
        let table = self.compiled.as_ref().unwrap().table();
        let mut listeners = table.listeners().iter();
        listeners.find(|one| one.address.port() == port).unwrap()
    }

    /// The object whose route serves a request.
    fn served(&self, port: u16, server_name: Option<&str>, host: &str, path: &str) -> String {
        let hosts = match self.at(port).hosts(server_name, host) {
            Ok(hosts) => hosts,
            Err(NoHosts::Misdirected) => return "misdirected".to_owned(),
            Err(NoHosts::NotHttp) => return "no requests".to_owned(),
        };
        let universes = [Some(hosts), hosts.beneath()];
        for hosts in universes.into_iter().flatten() {
            let mut host_of = Some(hosts.find(host));
            while let Some(of) = host_of {
                let HostBehaviour::Routes { paths, .. } = &of.behaviour else {
                    unreachable!()
                };
                let PathMatch::Route(route) = paths.find(path.as_bytes(), &Method::GET) else {
                    unreachable!()
                };
                if !route.is_built_in() {
                    return format!("{}/{}", route.origin.kind, route.origin.name);
                }
                host_of = hosts.wider(of, host);
            }
        }
        "none".to_owned()
    }

    fn certificate_of(&self, name: Option<&str>) -> Option<String> {
        let terminate = self.at(443).terminate(name).unwrap();
        let chosen = terminate.certificate(name);
        chosen.map(|chosen| chosen.source.to_string())
    }

    /// What is said of Ingresses, as in a compilation of everything.
    fn said(&self) -> Vec<String> {
        let full = compile(
            &self.snapshot,
            &Changes::default(),
            None,
            &self.options,
            &self.fallback,
        );
        let findings = self.compiled.as_ref().unwrap().findings();
        assert_eq!(findings, full.findings());
        let said = findings.iter().map(ToString::to_string);
        said.filter(|one| one.contains(" Ingress ")).collect()
    }
}

#[test]
fn its_listeners_are_on_the_ports_of_ingresses_and_nowhere_else() {
    let mut cluster = cluster();
    cluster.certificate("cert", &["a.example"]);
    cluster.edge(&[
        http(None),
        https("https", None, "cert"),
        json!({ "name": "other", "port": 8080, "protocol": "HTTP" }),
        json!({ "name": "tls", "port": 443, "protocol": "TLS", "hostname": "tls.example", "tls": { "mode": "Passthrough" } }),
        json!({ "name": "tcp", "port": 9000, "protocol": "TCP" }),
    ]);
    cluster.compile_all();
    let good = "Accepted Programmed ResolvedRefs";
    let taken = "Accepted=PortUnavailable Programmed=Invalid ResolvedRefs";
    assert_eq!(
        cluster.gateway_status("infra/edge"),
        format!(
            "Accepted:ListenersNotValid Programmed ResolvedRefs sets=0\nhttp 0 {good}\nhttps 0 {good}\n\
             other 0 {taken}\ntls 0 {taken}\ntcp 0 {taken}"
        )
    );
    let status = cluster.status(Kind::Gateway, "infra/edge");
    let StatusBody::Gateway {
        addresses,
        listeners,
        ..
    } = &status.body
    else {
        unreachable!()
    };
    assert_eq!(addresses[0].value, "192.0.2.1");
    assert_eq!(
        *listeners[2].conditions[0].message,
        *"a Gateway on the ports of Ingresses has HTTP on port 80 and HTTPS on port 443, and no other listeners; \
          a second Gateway can have this one"
    );
    let compiled = cluster.compiled.as_ref().unwrap();
    assert_eq!(compiled.gateway_services(), []);
    assert_eq!(compiled.table().listeners().len(), 2);
    // Connections are for Ingresses too.
    cluster.apply(json!({
        "kind": "ConfigMap", "metadata": { "name": "ca", "namespace": "infra" },
        "data": { "ca.crt": backend_tls::authority() },
    }));
    let authorities = json!([{ "group": "", "kind": "ConfigMap", "name": "ca" }]);
    cluster.gateway(
        "edge",
        json!({
            "listeners": [http(None), https("https", None, "cert")],
            "tls": { "frontend": { "default": { "validation": { "caCertificateRefs": authorities } } } },
        }),
    );
    cluster.compile_all();
    assert!(
        cluster
            .gateway_status("infra/edge")
            .ends_with(&format!("https 0 {taken}"))
    );
}

#[test]
fn without_published_addresses_it_has_none() {
    let mut cluster = cluster();
    cluster.options.gateway.as_mut().unwrap().published = None;
    cluster.edge(&[http(None)]);
    cluster.compile_all();
    let status = cluster.status(Kind::Gateway, "infra/edge");
    let StatusBody::Gateway { conditions, .. } = &status.body else {
        unreachable!()
    };
    let mut conditions = conditions.iter();
    let programmed = conditions
        .find(|one| one.kind == ConditionKind::Programmed)
        .unwrap();
    assert_eq!(programmed.reason, "AddressNotAssigned");
    assert!(programmed.message.contains("--publish-service"));
}

#[test]
fn a_route_that_matches_wins_over_ingresses_and_they_serve_the_rest() {
    let mut cluster = cluster();
    cluster.certificate("cert", &["a.example"]);
    cluster.ingress("shop", &["a.example", "b.example"], &[]);
    cluster.compile_all();
    let served = |cluster: &Cluster, host: &str, path: &str| {
        let plain = cluster.served(80, None, host, path);
        assert_eq!(
            cluster.served(443, Some(host), host, path),
            plain,
            "{host}{path}"
        );
        plain
    };
    for (hostname, others) in [
        (None, "Ingress/shop"),
        (Some("a.example"), "Ingress/shop"),
        (Some("*.example"), "Ingress/shop"),
    ] {
        cluster.edge(&[http(hostname), https("https", hostname, "cert")]);
        cluster.moved("moved", &["a.example"], "/new");
        cluster.compile_all();
        assert_eq!(
            served(&cluster, "a.example", "/new/x"),
            "HTTPRoute/moved",
            "{hostname:?}"
        );
        assert_eq!(served(&cluster, "a.example", "/old"), others);
        assert_eq!(served(&cluster, "b.example", "/new"), others);
        assert_eq!(served(&cluster, "c.example", "/new"), "none");
        // Whatever the server name, the host of the request decides.
        for name in [
            None,
            Some("a.example"),
            Some("b.example"),
            Some("c.example"),
        ] {
            assert_eq!(
                cluster.served(443, name, "a.example", "/new"),
                "HTTPRoute/moved",
                "{name:?}"
            );
            assert_eq!(cluster.served(443, name, "a.example", "/"), others);
            assert_eq!(cluster.served(443, name, "b.example", "/"), others);
        }
        cluster.delete(Kind::Ingress, "infra/shop");
        cluster.compile_all();
        assert_eq!(served(&cluster, "a.example", "/old"), "none");
        cluster.ingress("shop", &["a.example", "b.example"], &[]);
        cluster.delete(Kind::HttpRoute, "infra/moved");
        cluster.compile_all();
        assert_eq!(served(&cluster, "a.example", "/new"), "Ingress/shop");
    }
    cluster.delete(Kind::Gateway, "infra/edge");
    let text = cluster.compile_all();
    assert!(!text.contains("listeners"), "one universe: {text}");
}

#[test]
fn findings_name_the_ingresses_whose_hosts_routes_serve_too() {
    let mut cluster = cluster();
    let said = |name: &str, host: &str, routes: &str| {
        format!(
            "info Ingress infra/{name}: spec.rules: host {host} is also served by {routes} of Gateway infra/edge; \
             this Ingress serves the requests that none of their rules matches"
        )
    };
    cluster.ingress("one", &["a.example"], &[]);
    cluster.ingress("two", &["a.b.example", "other.test"], &[]);
    cluster.ingress("wild", &["*.wild.test"], &[]);
    cluster.compile_all();
    assert!(cluster.said().is_empty());
    cluster.edge(&[http(None)]);
    cluster.compile_all();
    assert!(cluster.said().is_empty());
    cluster.moved("a", &["a.example"], "/");
    cluster.compile_all();
    assert_eq!(
        cluster.said(),
        [said("one", "a.example", "HTTPRoute infra/a")]
    );
    cluster.moved("wide", &["*.example"], "/");
    cluster.moved("low", &["x.wild.test"], "/");
    cluster.compile_all();
    let expected = [
        said(
            "one",
            "a.example",
            "HTTPRoute infra/a, HTTPRoute infra/wide",
        ),
        said("two", "a.b.example", "HTTPRoute infra/wide"),
        said("wild", "*.wild.test", "HTTPRoute infra/low"),
    ];
    assert_eq!(cluster.said(), expected);
    cluster.delete(Kind::HttpRoute, "infra/wide");
    cluster.delete(Kind::HttpRoute, "infra/low");
    cluster.delete(Kind::Ingress, "infra/one");
    cluster.compile_all();
    assert!(cluster.said().is_empty());
    // One for all names is for the host of all other names too.
    cluster.moved("a", &[], "/");
    cluster.delete(Kind::Ingress, "infra/wild");
    cluster.compile_all();
    assert_eq!(cluster.said().len(), 2);
    // It is not there any more.
    cluster.edge(&[json!({ "name": "http", "port": 81, "protocol": "HTTP" })]);
    cluster.compile_all();
    assert!(cluster.said().is_empty());
}

#[test]
fn each_name_has_a_certificate_of_those_who_serve_it() {
    let mut cluster = cluster();
    for (secret, names) in [
        ("edge", &["*.example"][..]),
        ("a", &["a.example"]),
        ("deep", &["x.y.example"]),
        ("b", &["b.test"]),
    ] {
        cluster.certificate(secret, names);
    }
    cluster.ingress("a", &["a.example"], &["a", "a.example"]);
    cluster.ingress("deep", &["x.y.example"], &["deep", "x.y.example"]);
    cluster.ingress("b", &["b.test"], &["b", "b.test"]);
    cluster.ingress("plain", &["plain.example"], &[]);
    cluster.compile_all();
    let names = [
        Some("a.example"),
        Some("x.y.example"),
        Some("b.test"),
        Some("plain.example"),
        Some("moved.example"),
        Some("unknown.test"),
        None,
    ];
    let all = |cluster: &Cluster| {
        let all = names.map(|name| {
            let chosen = cluster.certificate_of(name);
            let chosen =
                chosen.map_or_else(|| "refused".to_owned(), |one| one.replace("infra/", ""));
            (name.unwrap_or("none"), chosen)
        });
        let all: BTreeMap<_, _> = all.into_iter().collect();
        names
            .map(|name| all.get(name.unwrap_or("none")).unwrap().clone())
            .join(" ")
    };
    assert_eq!(all(&cluster), "a deep b default default default default");
    for reject in [false, true] {
        cluster.options.settings = Some(Name::new("infra", "settings"));
        cluster.apply(json!({
            "kind": "ConfigMap", "metadata": { "name": "settings", "namespace": "infra" },
            "data": { "ssl-reject-handshake": reject.to_string() },
        }));
        let unknown = if reject { "refused" } else { "default" };
        // With a hostname, its certificates come first if they are valid.
        cluster.edge(&[https("https", Some("*.example"), "edge")]);
        cluster.moved("moved", &["moved.example"], "/");
        cluster.compile_all();
        assert_eq!(
            all(&cluster),
            format!("edge deep b edge edge {unknown} {unknown}")
        );
        // Without one, those of Ingresses; and its own for the names that its routes have.
        cluster.edge(&[https("https", None, "edge")]);
        cluster.compile_all();
        assert_eq!(
            all(&cluster),
            format!("a deep b default edge {unknown} {unknown}")
        );
        cluster.moved("moved", &[], "/");
        cluster.compile_all();
        assert_eq!(all(&cluster), "a deep b edge edge edge edge");
        cluster.delete(Kind::Gateway, "infra/edge");
        cluster.compile_all();
        assert_eq!(
            all(&cluster),
            format!("a deep b default {unknown} {unknown} {unknown}")
        );
    }
}

#[test]
fn names_that_an_ingress_passes_through_stay_so() {
    let mut cluster = cluster();
    cluster.options.ssl_passthrough = true;
    cluster.certificate("cert", &["a.example"]);
    cluster.ingress("a", &["a.example"], &[]);
    let mut annotated = json!({
        "kind": "Ingress", "metadata": { "name": "a", "namespace": "infra",
            "annotations": { "nginx.ingress.kubernetes.io/ssl-passthrough": "true" } },
    });
    let backend = json!({ "service": { "name": "v1", "port": { "number": 8080 } } });
    annotated["spec"] = json!({ "rules": [{ "host": "a.example", "http": {
        "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }] });
    cluster.apply(annotated);
    cluster.edge(&[
        https("own", Some("a.example"), "cert"),
        https("all", None, "cert"),
    ]);
    cluster.moved("moved", &["a.example"], "/");
    cluster.compile_all();
    let tls = cluster.at(443).socket.tls().unwrap();
    assert!(tls.passes_through());
    assert!(tls.route(Some("a.example")).passthrough().is_some());
    assert!(tls.route(Some("b.example")).terminate().is_some());
    cluster.ingress("a", &["a.example"], &[]);
    cluster.compile_all();
    assert_eq!(
        cluster.served(443, Some("a.example"), "a.example", "/"),
        "HTTPRoute/moved"
    );
}
