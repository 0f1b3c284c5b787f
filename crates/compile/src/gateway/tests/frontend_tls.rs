//! TLS towards clients: certificates of listeners, and those demanded of clients.

use headgate_table::{ListenerClients, TlsRoute};

use super::backend_tls::authority;
use super::*;

/// Listeners for HTTPS on these ports, and one for HTTP on 8080.
fn listeners(ports: &[u16]) -> Value {
    let mut all = vec![json!({ "name": "http", "port": 8080, "protocol": "HTTP" })];
    all.extend(
        ports
            .iter()
            .map(|port| https(&format!("p{port}"), *port, json!({}), &["cert"])),
    );
    json!(all)
}

fn https(name: &str, port: u16, with: Value, secrets: &[&str]) -> Value {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({ "name": name })).collect();
    let mut listener = json!({
        "name": name, "port": port, "protocol": "HTTPS", "tls": { "certificateRefs": secrets },
    });
    for (key, value) in with.as_object().unwrap() {
        listener[key] = value.clone();
    }
    listener
}

fn map(name: &str) -> Value {
    json!({ "group": "", "kind": "ConfigMap", "name": name })
}

fn validation(reference: Value, mode: Option<&str>) -> Value {
    let mut validation = json!({ "validation": { "caCertificateRefs": [reference] } });
    if let Some(mode) = mode {
        validation["validation"]["mode"] = json!(mode);
    }
    validation
}

impl Cluster {
    /// With certificate `cert`, and authorities `ca` and `other`.
    fn with_certificates() -> Self {
        let mut cluster = Self::new();
        cluster.certificate("cert", &["a.example"]);
        cluster.authorities("ca", &authority());
        cluster.authorities("other", &authority());
        cluster
    }

    /// What a port demands of clients.
    fn clients(&self, port: u16) -> Option<Arc<ListenerClients>> {
        let table = self.compiled.as_ref().unwrap().table();
        let mut listeners = table.listeners().iter();
        let listener = listeners
            .find(|listener| listener.address.port() == port)
            .unwrap();
        let terminate = listener.terminate(None).unwrap();
        terminate.clients.clone()
    }

    fn serves(&self, port: u16) -> bool {
        let table = self.compiled.as_ref().unwrap().table();
        let mut listeners = table.listeners().iter();
        listeners.any(|listener| listener.address.port() == port)
    }
}

const GOOD: &str = "Accepted Programmed ResolvedRefs";

#[test]
fn clients_of_a_port_need_a_certificate_of_its_authorities() {
    let mut cluster = Cluster::with_certificates();
    let spec = |default: Value, per_port: Value| {
        json!({
            "listeners": listeners(&[4443, 8443, 9443]),
            "tls": { "frontend": { "default": default, "perPort": [
                { "port": 8443, "tls": per_port }, { "port": 9443, "tls": {} },
            ] } },
        })
    };
    cluster.gateway(
        "same",
        spec(validation(map("ca"), None), validation(map("other"), None)),
    );
    cluster.compile_all();
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{GOOD} sets=0\nhttp 0 {GOOD}\np4443 0 {GOOD}\np8443 0 {GOOD}\np9443 0 {GOOD}")
    );
    let (default, own) = (
        cluster.clients(4443).unwrap(),
        cluster.clients(8443).unwrap(),
    );
    assert!(default.required && own.required);
    assert_ne!(default.trust.id, own.trust.id);
    assert!(
        cluster.clients(9443).is_none(),
        "its entry replaces the default"
    );
    // Another change leaves them, with their sessions.
    cluster.certificate("cert", &["b.example"]);
    cluster.compile_all();
    assert!(Arc::ptr_eq(&default, &cluster.clients(4443).unwrap()));
    // Other authorities or another mode do not, so that no session is resumed.
    cluster.authorities("ca", &authority());
    cluster.compile_all();
    let changed = cluster.clients(4443).unwrap();
    assert_ne!(default.trust.id, changed.trust.id);
    assert!(Arc::ptr_eq(&own, &cluster.clients(8443).unwrap()));
    let insecure = validation(map("ca"), Some("AllowInsecureFallback"));
    cluster.gateway("same", spec(insecure, validation(map("other"), None)));
    cluster.compile_all();
    let insecure = cluster.clients(4443).unwrap();
    assert!(!insecure.required && insecure.trust.id != changed.trust.id);
    let status = cluster.gateway_status("infra/same");
    let condition = "InsecureFrontendValidationMode:ConfigurationChanged";
    assert!(
        status.starts_with(&format!("{GOOD} {condition} sets=0\n")),
        "{status}"
    );
    cluster.gateway("same", json!({ "listeners": listeners(&[4443]) }));
    cluster.compile_all();
    assert!(cluster.clients(4443).is_none());
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{GOOD} sets=0\nhttp 0 {GOOD}\np4443 0 {GOOD}")
    );
}

#[test]
fn a_port_whose_authorities_are_unknown_is_not_served() {
    let mut cluster = Cluster::with_certificates();
    let elsewhere = json!({ "group": "", "kind": "ConfigMap", "name": "ca", "namespace": "web" });
    for (reference, mode, accepted, resolved) in [
        (
            map("absent"),
            None,
            "NoValidCACertificate",
            "=InvalidCACertificateRef",
        ),
        (
            json!({ "group": "", "kind": "Service", "name": "ca" }),
            None,
            "NoValidCACertificate",
            "=InvalidCACertificateKind",
        ),
        (elsewhere, None, "NoValidCACertificate", "=RefNotPermitted"),
        (
            map("absent"),
            Some("AllowInsecureFallback"),
            "NoValidCACertificate",
            "=InvalidCACertificateRef",
        ),
        (map("ca"), Some("AllowSome"), "UnsupportedValue", ""),
    ] {
        let tls = json!({ "frontend": {
            "default": validation(map("ca"), None),
            "perPort": [{ "port": 8443, "tls": validation(reference, mode) }],
        } });
        cluster.gateway(
            "same",
            json!({ "listeners": listeners(&[4443, 8443]), "tls": tls }),
        );
        cluster.compile_all();
        assert_eq!(
            cluster.gateway_status("infra/same"),
            format!(
                "Accepted:ListenersNotValid Programmed ResolvedRefs sets=0\nhttp 0 {GOOD}\np4443 0 {GOOD}\n\
                 p8443 0 Accepted={accepted} Programmed=Invalid ResolvedRefs{resolved}"
            )
        );
        assert!(!cluster.serves(8443) && cluster.serves(4443) && cluster.serves(8080));
    }
    // Once there are some, it is.
    cluster.gateway(
        "same",
        json!({ "listeners": listeners(&[4443]), "tls": { "frontend": { "default": validation(map("late"), None) } } }),
    );
    cluster.compile_all();
    assert!(!cluster.serves(4443) && cluster.serves(8080));
    cluster.authorities("late", &authority());
    cluster.compile_all();
    assert!(cluster.clients(4443).is_some());
}

#[test]
fn of_several_certificates_the_valid_ones_are_served() {
    let mut cluster = Cluster::with_certificates();
    cluster.certificate("two", &["b.example"]);
    cluster.gateway(
        "same",
        json!({ "listeners": [
            https("some", 4443, json!({}), &["absent", "cert", "two"]),
            https("none", 8443, json!({}), &["absent"]),
        ] }),
    );
    cluster.compile_all();
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!(
            "{GOOD} sets=0\nsome 0 Accepted Programmed ResolvedRefs=InvalidCertificateRef\n\
             none 0 Accepted Programmed=Invalid ResolvedRefs=InvalidCertificateRef"
        )
    );
    assert!(!cluster.serves(8443));
    let table = cluster.compiled.as_ref().unwrap().table();
    let mut listeners = table.listeners().iter();
    let listener = listeners.find(|one| one.address.port() == 4443).unwrap();
    let served = |name: Option<&str>| {
        let terminate = listener.terminate(name).unwrap();
        terminate.certificate(name).unwrap().source.to_string()
    };
    assert_eq!(served(None), "infra/cert");
    assert_eq!(served(Some("b.example")), "infra/two");
    cluster.certificate("absent", &["c.example"]);
    cluster.compile_all();
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{GOOD} sets=0\nsome 0 {GOOD}\nnone 0 {GOOD}")
    );
}

#[test]
fn tls_is_terminated_or_passed_through_by_the_server_name() {
    let mut cluster = Cluster::with_certificates();
    let tls = |name: &str, hostname: &str, mode: &str| {
        json!({ "name": name, "port": 8883, "protocol": "TLS", "hostname": hostname,
            "tls": { "mode": mode, "certificateRefs": [{ "name": "cert" }] } })
    };
    cluster.gateway(
        "same",
        json!({ "listeners": [
            tls("end", "*.end.example", "Terminate"), tls("pass", "*.pass.example", "Passthrough"),
        ] }),
    );
    let route = |section: &str, host: &str, name: &str| {
        json!({ "parentRefs": [{ "name": "same", "sectionName": section }], "hostnames": [host],
            "rules": [{ "backendRefs": [backend(name)] }] })
    };
    cluster.route_of("TLSRoute", "ended", route("end", "a.end.example", "v1"));
    cluster.route_of("TLSRoute", "passed", route("pass", "a.pass.example", "v2"));
    let shown = cluster.compile_all();
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("tls "))
        .collect();
    assert_eq!(
        lines,
        [
            "tls * -> 503",
            "tls *.end.example -> 503",
            "tls *.pass.example -> 503",
            "tls a.end.example -> infra/v1/8080 10.0.0.1:3000 [terminated]",
            "tls a.pass.example -> infra/v2/8080 10.0.0.2:3000",
        ]
    );
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{GOOD} sets=0\nend 1 {GOOD}\npass 1 {GOOD}")
    );
    let table = cluster.compiled.as_ref().unwrap().table();
    let listener = table
        .listeners()
        .iter()
        .find(|one| one.address.port() == 8883)
        .unwrap();
    let socket = listener.socket.tls().unwrap();
    assert!(matches!(
        socket.route(Some("a.end.example")),
        TlsRoute::Stream { .. }
    ));
    // Connections for names without a route, and for none, are closed.
    for name in [
        Some("b.end.example"),
        Some("b.pass.example"),
        Some("other.example"),
        None,
    ] {
        let backends = socket.route(name).passthrough().unwrap();
        assert!(backends.upstreams().next().is_none(), "{name:?}");
    }
    cluster.delete(Kind::TlsRoute, "infra/ended");
    let shown = cluster.compile_all();
    assert!(!shown.contains("terminated"), "{shown}");
}

#[test]
fn listeners_that_clients_may_take_for_each_other_say_so() {
    let mut cluster = Cluster::with_certificates();
    cluster.certificate("wild", &["*.wild.example"]);
    let hostname = |name: &str| json!({ "hostname": name });
    cluster.gateway(
        "same",
        json!({ "listeners": [
            https("wide", 4443, hostname("*.a.example"), &["cert"]),
            https("narrow", 4443, hostname("b.a.example"), &["cert"]),
            https("shares", 4443, hostname("c.wild.example"), &["wild"]),
            https("shared", 4443, hostname("d.wild.example"), &["wild"]),
            https("apart", 4443, hostname("other.example"), &["cert"]),
            https("port", 8443, hostname("*.a.example"), &["cert"]),
        ] }),
    );
    cluster.compile_all();
    let (names, certificates) = (
        format!("{GOOD} OverlappingTLSConfig:OverlappingHostnames"),
        format!("{GOOD} OverlappingTLSConfig:OverlappingCertificates"),
    );
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!(
            "{GOOD} sets=0\nwide 0 {names}\nnarrow 0 {names}\nshares 0 {certificates}\n\
             shared 0 {certificates}\napart 0 {GOOD}\nport 0 {GOOD}"
        )
    );
}
