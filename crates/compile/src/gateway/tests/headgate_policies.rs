//! HeadgatePolicies of Gateways, listeners, routes, rules and Ingresses.

use super::*;

impl Cluster {
    fn headgate(&mut self, name: &str, targets: Value, fields: Value) {
        self.headgate_at(name, targets, fields, 0);
    }

    /// Created in this second.
    fn headgate_at(&mut self, name: &str, targets: Value, fields: Value, second: u32) {
        let mut spec = fields;
        spec["targetRefs"] = targets;
        self.apply(json!({
            "kind": "HeadgatePolicy",
            "metadata": {
                "name": name, "namespace": "infra", "generation": 7,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
            },
            "spec": spec,
        }));
    }

    /// `Gateway infra/same Accepted`, a line for each ancestor.
    fn headgate_status(&self, name: &str) -> String {
        let statuses = self.compiled.as_ref().unwrap().gateway_statuses();
        let object = ObjectRef {
            kind: Kind::HeadgatePolicy,
            name: Name::new("infra", name),
        };
        let Some(status) = statuses.get(&object) else {
            return "none".to_owned();
        };
        let StatusBody::Policy { ancestors } = &status.body else {
            unreachable!("{status:?}");
        };
        let lines = ancestors.iter().map(|ancestor| {
            let of = &ancestor.parent;
            let kind = of.kind.as_deref().unwrap_or_default();
            format!("{kind} {} {}", of.name, shown(&ancestor.conditions))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Two listeners, and a route with two rules on both.
    fn with_two_rules() -> Self {
        let mut cluster = Self::new();
        cluster.gateway(
            "same",
            json!({ "listeners": [
                { "name": "http", "port": 8080, "protocol": "HTTP" },
                { "name": "other", "port": 8081, "protocol": "HTTP" },
            ] }),
        );
        let path = |value: &str| json!([{ "path": { "type": "PathPrefix", "value": value } }]);
        cluster.route(
            "r",
            json!({ "parentRefs": [{ "name": "same" }], "rules": [
                { "name": "a", "matches": path("/a"), "backendRefs": [backend("v1")] },
                { "name": "b", "matches": path("/b"), "backendRefs": [backend("v2")] },
            ] }),
        );
        cluster
    }

    /// The routes of a port, without what all routes have.
    fn routes_of(&mut self, port: u16) -> Vec<String> {
        let shown = self.compile_all();
        let start = format!("listeners 0.0.0.0:{port}");
        let lines = shown.lines().skip_while(|line| !line.starts_with(&start));
        let lines = lines
            .skip(1)
            .take_while(|line| !line.starts_with("listeners"));
        let lines =
            lines.filter(|line| line.starts_with("  prefix /") || line.starts_with("  regex"));
        let lines = lines.filter(|line| !line.ends_with("prefix / -> 404"));
        lines
            .map(|line| {
                line.trim()
                    .replace(&format!(" [{DEFAULTS}]"), "")
                    .replace(&format!("; {DEFAULTS}"), "")
            })
            .collect()
    }
}

fn to(kind: &str, name: &str, section: Option<&str>) -> Value {
    let group = match kind {
        "Ingress" => "networking.k8s.io",
        _ => "gateway.networking.k8s.io",
    };
    let mut target = json!({ "group": group, "kind": kind, "name": name });
    if let Some(section) = section {
        target["sectionName"] = json!(section);
    }
    json!([target])
}

/// What all routes have, as it is shown beside more.
const ALL: &str = "unbuffered-request; response-head-limit 32768";

#[test]
fn a_policy_of_a_gateway_is_the_default_of_its_routes_and_they_override_it_field_by_field() {
    let mut cluster = Cluster::with_two_rules();
    let (v1, v2) = ("infra/v1/8080 10.0.0.1:3000", "infra/v2/8080 10.0.0.2:3000");
    let plain = [format!("prefix /a -> {v1}"), format!("prefix /b -> {v2}")];
    assert_eq!(cluster.routes_of(8080), plain);
    let fields = json!({ "proxyBodySize": "2k", "proxyReadTimeout": 7, "enableAccessLog": false });
    cluster.headgate("all", to("Gateway", "same", None), fields);
    let of_gateway = format!("[read-timeout 7s; body-limit 2048; {ALL}; no-access-log; no-hsts]");
    let defaults = plain.clone().map(|line| format!("{line} {of_gateway}"));
    assert_eq!(cluster.routes_of(8080), defaults);
    assert_eq!(cluster.routes_of(8081), defaults);
    let listener = to("Gateway", "same", Some("other"));
    cluster.headgate("listener", listener, json!({ "proxyReadTimeout": 8 }));
    let route = to("HTTPRoute", "r", None);
    cluster.headgate("route", route, json!({ "proxyBodySize": 3000 }));
    let rule = to("HTTPRoute", "r", Some("b"));
    let fields = json!({ "enableAccessLog": true, "limitRps": 5 });
    cluster.headgate("rule", rule, fields);
    for (port, seconds) in [(8080, 7), (8081, 8)] {
        let policy = format!("read-timeout {seconds}s; body-limit 3000; {ALL}");
        let lines = [
            format!("prefix /a -> {v1} [{policy}; no-access-log; no-hsts]"),
            format!("prefix /b -> {v2} [rps 5 r/s burst 25; {policy}; no-hsts]"),
        ];
        assert_eq!(cluster.routes_of(port), lines);
    }
    for name in ["all", "listener", "route", "rule"] {
        assert_eq!(
            cluster.headgate_status(name),
            "Gateway same Accepted",
            "{name}"
        );
    }
    assert!(cluster.findings().is_empty());
    for name in ["infra/all", "infra/listener", "infra/route", "infra/rule"] {
        cluster.delete(Kind::HeadgatePolicy, name);
    }
    assert_eq!(cluster.routes_of(8081), plain);
    assert_eq!(cluster.headgate_status("all"), "none");
}

#[test]
fn of_policies_with_the_same_target_the_most_senior_has_effect_as_a_whole() {
    let mut cluster = Cluster::with_two_rules();
    let target = || to("HTTPRoute", "r", None);
    cluster.headgate_at("a", target(), json!({ "proxyReadTimeout": 1 }), 2);
    cluster.headgate_at("b", target(), json!({ "proxySendTimeout": 2 }), 1);
    let shown = cluster.routes_of(8080);
    assert!(shown[0].contains("[send-timeout 2s]"), "{shown:?}");
    assert_eq!(cluster.headgate_status("b"), "Gateway same Accepted");
    assert_eq!(
        cluster.headgate_status("a"),
        "Gateway same Accepted=Conflicted"
    );
    assert_eq!(
        cluster.findings(),
        [
            "warning HeadgatePolicy infra/a: spec.targetRefs[0]: HeadgatePolicy infra/b has the same target and takes \
          precedence; the policy has no effect there"
        ]
    );
    // A section is another target.
    let rule = to("HTTPRoute", "r", Some("a"));
    cluster.headgate_at("c", rule, json!({ "proxyReadTimeout": 3 }), 3);
    let shown = cluster.routes_of(8080);
    assert!(
        shown[0].contains("[send-timeout 2s; read-timeout 3s]"),
        "{shown:?}"
    );
    cluster.delete(Kind::HeadgatePolicy, "infra/b");
    let shown = cluster.routes_of(8080);
    assert!(shown[1].contains("[read-timeout 1s]"), "{shown:?}");
    assert_eq!(cluster.headgate_status("a"), "Gateway same Accepted");
}

#[test]
fn targets_that_do_not_exist_are_said_until_they_do() {
    let mut cluster = Cluster::with_two_rules();
    let missing = json!([
        to("Gateway", "none", None)[0],
        to("Gateway", "same", Some("none"))[0],
        to("HTTPRoute", "r", Some("none"))[0],
        to("GRPCRoute", "calls", None)[0],
        to("Ingress", "none", None)[0],
        { "group": "", "kind": "Service", "name": "v1" },
    ]);
    cluster.headgate("p", missing, json!({ "limitRps": 1 }));
    cluster.compile_all();
    let gone = "Accepted=TargetNotFound";
    assert_eq!(
        cluster.headgate_status("p"),
        format!(
            "Gateway none {gone}\nGateway same {gone}\nHTTPRoute r {gone}\nGRPCRoute calls {gone}\nIngress none {gone}\n\
             Service v1 {gone}"
        )
    );
    assert_eq!(cluster.findings().len(), 6);
    cluster.headgate(
        "p",
        to("GRPCRoute", "calls", None),
        json!({ "limitRps": 1 }),
    );
    cluster.compile_all();
    assert_eq!(
        cluster.headgate_status("p"),
        format!("GRPCRoute calls {gone}")
    );
    let spec = json!({ "parentRefs": [{ "name": "same" }], "rules": [{ "backendRefs": [backend("v3")] }] });
    cluster.route_of("GRPCRoute", "calls", spec);
    let shown = cluster.compile();
    assert!(shown.contains("10.0.0.3:3000 (GRPC) [rps 1 r/s"), "{shown}");
    assert_eq!(cluster.headgate_status("p"), "Gateway same Accepted");
    cluster.delete(Kind::GrpcRoute, "infra/calls");
    cluster.compile_all();
    assert_eq!(
        cluster.headgate_status("p"),
        format!("GRPCRoute calls {gone}")
    );
}

#[test]
fn what_cannot_be_honoured_closes_the_rule_with_500() {
    let mut cluster = Cluster::with_two_rules();
    for (fields, field, closes) in [
        (json!({ "limitRps": "many" }), "limitRps", true),
        (
            json!({ "allowlistSourceRange": ["10.0.0.0/33"] }),
            "allowlistSourceRange",
            true,
        ),
        (
            json!({ "allowlistSourceRange": [] }),
            "allowlistSourceRange",
            true,
        ),
        (json!({ "authUrl": "auth" }), "authUrl", true),
        (json!({ "authUrl": "http://$host/" }), "authUrl", true),
        (
            json!({ "authType": "basic", "authSecret": "none" }),
            "authSecret",
            true,
        ),
        (json!({ "authType": "basic" }), "authType", true),
        // It protects, and only for Ingresses.
        (
            json!({ "authTlsSecret": "infra/ca" }),
            "authTlsSecret",
            true,
        ),
        (
            json!({ "configurationSnippet": "deny all;" }),
            "configurationSnippet",
            true,
        ),
        (
            json!({ "proxyReadTimeout": "soon" }),
            "proxyReadTimeout",
            false,
        ),
        (json!({ "sslRedirect": true }), "sslRedirect", false),
        (json!({ "limitRpss": 1 }), "limitRpss", false),
    ] {
        cluster.headgate("p", to("HTTPRoute", "r", Some("a")), fields.clone());
        let shown = cluster.routes_of(8080);
        let (closed, open) = (
            shown[0].contains("-> closed: "),
            !shown[1].contains("closed"),
        );
        assert_eq!((closed, open), (closes, true), "{fields} {shown:?}");
        assert_eq!(
            cluster.headgate_status("p"),
            "Gateway same Accepted=Invalid",
            "{fields}"
        );
        assert_eq!(
            cluster.route_status("infra/r"),
            "Accepted ResolvedRefs",
            "{fields}"
        );
        let findings = cluster.findings();
        let named = format!(" HeadgatePolicy infra/p: spec.{field}: ");
        assert!(
            findings.iter().any(|finding| finding.contains(&named)),
            "{findings:?}"
        );
        let with_status = |finding: &String| finding.contains("respond with 500");
        assert_eq!(findings.iter().any(with_status), closes, "{findings:?}");
    }
}

#[test]
fn secrets_of_policies_are_followed() {
    let mut cluster = Cluster::with_two_rules();
    let fields = json!({ "authType": "basic", "authSecret": "users", "authRealm": "shop" });
    cluster.headgate("p", to("Gateway", "same", None), fields);
    assert!(cluster.routes_of(8080)[0].contains("closed"));
    assert_eq!(
        cluster.headgate_status("p"),
        "Gateway same Accepted=Invalid"
    );
    cluster.apply(json!({
        "kind": "Secret", "metadata": { "name": "users", "namespace": "infra" },
        "data": { "auth": "YTp7U0hBfW5VNGVJNzFiY25CR3FlT3QwOXRYdk4xdTV2UT0=" },
    }));
    let shown = cluster.routes_of(8080);
    assert!(
        shown[0].contains("-> infra/v1/8080 10.0.0.1:3000 [auth basic \"shop\" users 1]"),
        "{shown:?}"
    );
    assert_eq!(cluster.headgate_status("p"), "Gateway same Accepted");
    cluster.delete(Kind::Secret, "infra/users");
    assert!(cluster.routes_of(8080)[1].contains("closed"));
}

#[test]
fn the_filters_of_a_rule_come_before_policies() {
    let mut cluster = Cluster::with_two_rules();
    let path = |kind: &str, value: &str| json!([{ "path": { "type": kind, "value": value } }]);
    let rewrite = json!([{ "type": "URLRewrite", "urlRewrite": {
        "hostname": "own.test", "path": { "type": "ReplaceFullPath", "replaceFullPath": "/own" },
    } }]);
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            { "matches": path("PathPrefix", "/a"), "filters": rewrite, "backendRefs": [backend("v1")] },
            { "matches": path("RegularExpression", "/b(/|$)(.*)"), "backendRefs": [backend("v2")] },
            { "matches": path("PathPrefix", "/c"), "backendRefs": [backend("v3")] },
        ] }),
    );
    let fields = json!({ "rewriteTarget": "/$2", "upstreamVhost": "policy.test" });
    cluster.headgate("p", to("HTTPRoute", "r", None), fields);
    let shown = cluster.routes_of(8080);
    assert!(shown[0].contains("regex  ^(?:/b(/|$)(.*))$"), "{shown:?}");
    assert!(shown[0].contains("[rewrite /$2"), "{shown:?}");
    assert!(shown[0].contains("policy.test"), "{shown:?}");
    assert!(shown[1].contains("/own"), "{shown:?}");
    assert!(shown[1].contains("own.test"), "{shown:?}");
    cluster.headgate(
        "p",
        to("HTTPRoute", "r", None),
        json!({ "rewriteTarget": "/$id" }),
    );
    let shown = cluster.routes_of(8080);
    assert!(
        shown[0].contains("closed") && shown[2].contains("closed"),
        "{shown:?}"
    );
    assert_eq!(
        cluster.headgate_status("p"),
        "Gateway same Accepted=Invalid"
    );
}

#[test]
fn what_a_rule_says_itself_stays_with_a_policy() {
    let mut cluster = Cluster::with_two_rules();
    let authorized = json!([{ "type": "ExternalAuth", "externalAuth": {
        "protocol": "HTTP", "backendRef": backend("v3"), "http": {},
    } }]);
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [{
            "filters": authorized, "backendRefs": [backend("v1")],
            "timeouts": { "request": "7s" }, "retry": { "codes": [503], "attempts": 4 },
            "sessionPersistence": { "sessionName": "own" },
        }] }),
    );
    let alone = cluster.routes_of(8080);
    let fields = json!({ "proxyReadTimeout": 3, "affinity": "cookie" });
    cluster.headgate("p", to("HTTPRoute", "r", None), fields);
    let with_policy = cluster.routes_of(8080);
    assert!(
        with_policy[0].contains("read-timeout 3s"),
        "{with_policy:?}"
    );
    for own in [
        "asks infra/v3/8080 gateway",
        "session by cookie own",
        "request-timeout 7s",
        "retry-on error,timeout,invalid_header,503",
        "tries 5",
    ] {
        assert!(alone[0].contains(own), "{own}: {alone:?}");
        assert!(with_policy[0].contains(own), "{own}: {with_policy:?}");
    }
}

#[test]
fn what_policies_say_of_upstreams_is_for_the_routes_that_have_them() {
    let mut cluster = Cluster::with_two_rules();
    let fields =
        json!({ "affinity": "cookie", "upstreamMaxConnections": 9, "backendProtocol": "HTTPS" });
    cluster.headgate("p", to("HTTPRoute", "r", Some("a")), fields);
    let shown = cluster.routes_of(8080);
    assert!(
        shown[0].contains("(HTTPS, cookie") && !shown[1].contains("(HTTPS"),
        "{shown:?}"
    );
    let table = cluster.compiled.as_ref().unwrap().table().clone();
    let upstreams = |service: &str| {
        let all = table.upstreams();
        let of_service = all.filter(|upstream| *upstream.name == *format!("infra/{service}/8080"));
        let found = of_service.map(|upstream| {
            let most = upstream.resilience.max_connections.map(u32::from);
            (upstream.affinity.is_some(), most)
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(upstreams("v1"), [(true, Some(9))]);
    assert_eq!(upstreams("v2").len(), 1);
    assert!(!upstreams("v2")[0].0);
    cluster.delete(Kind::HeadgatePolicy, "infra/p");
    assert!(!cluster.routes_of(8080)[0].contains("HTTPS"));
}

#[test]
fn an_ingress_has_what_its_annotations_leave_out() {
    let mut cluster = Cluster::new();
    cluster.options.gateway = None;
    let ingress = |annotations: Value| {
        json!({
            "kind": "Ingress",
            "metadata": { "name": "shop", "namespace": "infra", "annotations": annotations },
            "spec": { "ingressClassName": "nginx", "rules": [{ "host": "shop.test", "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "v1", "port": { "number": 8080 } } } },
            ] } }] },
        })
    };
    cluster.options.class.without_class = true;
    let mut first = ingress(json!({ "nginx.ingress.kubernetes.io/proxy-read-timeout": "9" }));
    first["spec"]["ingressClassName"] = Value::Null;
    cluster.apply(first.clone());
    let fields = json!({ "proxyReadTimeout": 1, "proxySendTimeout": 2, "sslRedirect": false });
    cluster.headgate("p", to("Ingress", "shop", None), fields);
    let line = |cluster: &mut Cluster| {
        let shown = cluster.compile_all();
        let line = shown
            .lines()
            .find(|line| line.contains("infra/v1/8080") || line.contains("closed"));
        line.unwrap_or_default().trim().to_owned()
    };
    let shown = line(&mut cluster);
    assert!(
        shown.contains("send-timeout 2s; read-timeout 9s"),
        "{shown}"
    );
    assert_eq!(cluster.headgate_status("p"), "Ingress shop Accepted");
    cluster.headgate("p", to("Ingress", "shop", None), json!({ "limitRps": "x" }));
    let shown = line(&mut cluster);
    assert!(shown.contains("closed"), "{shown}");
    assert_eq!(
        cluster.headgate_status("p"),
        "Ingress shop Accepted=Invalid"
    );
    let findings = cluster.findings();
    assert!(
        findings.iter().any(|one| one.contains("HeadgatePolicy infra/p: spec.limitRps") && one.contains("503")),
        "{findings:?}"
    );
    // The last good version of a refused Ingress has new policies too.
    let mut refused = first.clone();
    refused["metadata"]["annotations"] =
        json!({ "nginx.ingress.kubernetes.io/auth-realm": "a\nb" });
    cluster.headgate(
        "p",
        to("Ingress", "shop", None),
        json!({ "proxySendTimeout": 3 }),
    );
    line(&mut cluster);
    cluster.apply(refused);
    cluster.headgate(
        "p",
        to("Ingress", "shop", None),
        json!({ "proxySendTimeout": 3, "denylistSourceRange": ["10.0.0.0/8"] }),
    );
    let changes = cluster.snapshot.take_changes();
    let next = compile(
        &cluster.snapshot,
        &changes,
        cluster.compiled.take(),
        &cluster.options,
        &cluster.fallback,
    );
    let shown = text(next.table());
    assert!(shown.contains("deny 10.0.0.0/8"), "{shown}");
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[test]
fn after_any_changes_everything_is_as_if_it_were_compiled_at_once() {
    let mut cluster = Cluster::with_two_rules();
    let mut dice = Dice(1);
    let targets = [
        to("Gateway", "same", None),
        to("Gateway", "same", Some("other")),
        to("HTTPRoute", "r", None),
        to("HTTPRoute", "r", Some("b")),
        to("HTTPRoute", "late", None),
        json!([
            to("HTTPRoute", "r", None)[0],
            to("Gateway", "late", None)[0]
        ]),
        to("Ingress", "shop", None),
    ];
    let fields = [
        json!({ "proxyReadTimeout": 3 }),
        json!({ "limitRps": 3, "affinity": "cookie" }),
        json!({ "limitRps": "x" }),
        json!({ "authType": "basic", "authSecret": "users" }),
        json!({ "mirrorTarget": "http://v3.infra.svc:8080", "defaultBackend": "v2", "customHttpErrors": [503] }),
        json!({ "loadBalance": "ewma", "rewriteTarget": "/x" }),
    ];
    let path = |value: &str| json!([{ "path": { "type": "PathPrefix", "value": value } }]);
    for _ in 0..120 {
        let name = ["a", "b", "c"][dice.throw(3)];
        match dice.throw(10) {
            0..5 => {
                let target = targets[dice.throw(targets.len())].clone();
                let second = u32::try_from(dice.throw(3)).unwrap();
                let fields = fields[dice.throw(fields.len())].clone();
                cluster.headgate_at(name, target, fields, second);
            }
            5 => cluster.delete(Kind::HeadgatePolicy, &format!("infra/{name}")),
            6 => {
                let gateway = ["same", "late"][dice.throw(2)];
                let listener = ["other", "http"][dice.throw(2)];
                cluster.gateway(
                    gateway,
                    json!({ "listeners": [
                    { "name": listener, "port": 8080, "protocol": "HTTP" },
                    { "name": "third", "port": 8082, "protocol": "HTTP" },
                ] }),
                );
            }
            7 => {
                let route = ["r", "late"][dice.throw(2)];
                let rule = ["a", "b"][dice.throw(2)];
                cluster.route(route, json!({ "parentRefs": [{ "name": "same" }, { "name": "late" }], "rules": [
                    { "name": rule, "matches": path(&format!("/{route}")), "backendRefs": [backend("v1")] },
                    { "matches": path("/x"), "backendRefs": [backend("v2"), backend("v3")] },
                ] }));
            }
            8 => match dice.throw(2) {
                0 => cluster.delete(Kind::Gateway, "infra/late"),
                _ => cluster.delete(Kind::HttpRoute, "infra/late"),
            },
            _ => match dice.throw(2) {
                0 => cluster.delete(Kind::Secret, "infra/users"),
                _ => cluster.apply(json!({
                    "kind": "Secret", "metadata": { "name": "users", "namespace": "infra" },
                    "data": { "auth": "YTp7U0hBfW5VNGVJNzFiY25CR3FlT3QwOXRYdk4xdTV2UT0=" },
                })),
            },
        }
        cluster.compile_all();
    }
}
