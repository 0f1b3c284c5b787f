//! The vulnerabilities of ingress-nginx, each with a test that shows why it cannot happen here. A vulnerability of nginx itself has
//! its test beside the code: floods of resets (CVE-2018-16843, CVE-2019-9511, CVE-2019-9513, CVE-2023-44487) in
//! `crates/proxy/src/connection/tests/http2.rs`, sessions of another host's client certificates (CVE-2025-23419) in
//! `tests/traffic/clients.rs`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use headgate_compile::{
    Compiled, IngressStatus, Name, Object, Options, Reviewed, Snapshot, compile, review,
};
use headgate_table::{Certificate, PrivateBytes, text};
use headgate_testkit::{Echo, Request, Scenario, manifest};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_headgate");
const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// What a compilation made of one Ingress.
struct Outcome {
    compiled: Compiled,
    table: String,
    findings: String,
}

impl Outcome {
    fn is_refused(&self) -> bool {
        let mut statuses = self.compiled.statuses().values();
        statuses.any(|status| *status == IngressStatus::Refused)
    }

    fn is_closed(&self) -> bool {
        self.table.contains("-> closed: ")
    }

    /// The text is at most quoted in a finding.
    fn lacks(&self, text: &str) -> &Self {
        assert!(!self.table.contains(text), "{}", self.table);
        self
    }
}

/// Compiles an Ingress of `team/web` with these annotations and this path, beside other objects.
fn outcome(annotations: &[(&str, &str)], path: &str, others: Vec<Object>) -> Outcome {
    outcome_with(ingress(annotations, path), others, &Options::default())
}

fn outcome_with(ingress: Value, others: Vec<Object>, options: &Options) -> Outcome {
    let snapshot = snapshot(ingress, others);
    let mut snapshot = snapshot;
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, options, &CERTIFICATE);
    let findings = compiled.findings();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Outcome {
        table: text(compiled.table()),
        findings: findings.join("\n"),
        compiled,
    }
}

fn snapshot(ingress: Value, others: Vec<Object>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let class: IngressClass = serde_json::from_value(manifest::ingress_class()).unwrap();
    snapshot.apply(class.into());
    for object in others {
        snapshot.apply(object);
    }
    snapshot.apply(serde_json::from_value::<Ingress>(ingress).unwrap().into());
    snapshot
}

fn ingress(annotations: &[(&str, &str)], path: &str) -> Value {
    let annotations: BTreeMap<String, &str> = annotations
        .iter()
        .map(|(name, value)| (format!("{PREFIX}/{name}"), *value))
        .collect();
    json!({
        "metadata": { "namespace": "team", "name": "web", "annotations": annotations },
        "spec": { "ingressClassName": "nginx", "rules": [{ "host": "a.test", "http": { "paths": [{
            "path": path, "pathType": "ImplementationSpecific",
            "backend": { "service": { "name": "web", "port": { "number": 80 } } },
        }] } }] },
    })
}

fn config_map(namespace: &str, name: &str, data: Value) -> Object {
    let map = json!({ "metadata": { "namespace": namespace, "name": name }, "data": data });
    serde_json::from_value::<ConfigMap>(map).unwrap().into()
}

static CERTIFICATE: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).unwrap();
    let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
    let pem = made.cert.pem();
    Arc::new(headgate_compile::certificate_from_pem(pem.as_bytes(), &key, "default").unwrap())
});

/// Password files were named namespace-name, so that `a-b/c` and `a/b-c` shared one. Here users are of an object.
#[test]
fn cve_2020_8553_users_belong_to_one_object() {
    let web = Echo::start("web");
    let tenant = |namespace: &str, name: &str, host: &str, user: &str| {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "namespace": namespace, "name": name },
            "stringData": { "auth": format!("{user}:{{PLAIN}}x") } });
        let mut object = manifest::Ingress::new(name)
            .annotations(&[("auth-type", "basic"), ("auth-secret", name)])
            .host(host)
            .path("/", "web")
            .object();
        object["metadata"]["namespace"] = namespace.into();
        let in_namespace = |mut object: Value| {
            object["metadata"]["namespace"] = namespace.into();
            object
        };
        let service = in_namespace(manifest::service("web"));
        let slices = manifest::endpoint_slices("web", &[web.address()]);
        let mut all = vec![secret, object, service];
        all.extend(slices.into_iter().map(in_namespace));
        all
    };
    let mut scenario = Scenario::new();
    for object in tenant("a-b", "c", "one.test", "one")
        .into_iter()
        .chain(tenant("a", "b-c", "two.test", "two"))
    {
        scenario = scenario.object(object);
    }
    let program = scenario.start(BINARY);
    // one:x and two:x
    for (host, user, status) in [
        ("one.test", "b25lOng=", 200),
        ("two.test", "b25lOng=", 401),
        ("two.test", "dHdvOng=", 200),
        ("one.test", "dHdvOng=", 401),
    ] {
        Request::get("/")
            .host(host)
            .field("Authorization", &format!("Basic {user}"))
            .send(program.http())
            .is(status);
    }
}

/// Snippets ran code with the controller's token. Here no setting makes one run, and its route is closed.
#[test]
fn cve_2021_25742_and_2023_5043_snippets_never_run() {
    let settings =
        json!({ "allow-snippet-annotations": "true", "annotations-risk-level": "Critical" });
    let options = Options {
        settings: Some(Name::new("system", "settings")),
        ..Options::default()
    };
    for name in ["configuration-snippet", "server-snippet", "auth-snippet"] {
        let evil = "content_by_lua_block { ngx.say(io.open('/var/run/secrets/x'):read('*a')) }";
        let map = config_map("system", "settings", settings.clone());
        let outcome = outcome_with(ingress(&[(name, evil)], "/"), vec![map], &options);
        assert!(outcome.is_closed(), "{name}: {}", outcome.table);
        outcome.lacks("lua").lacks("/var/run");
    }
}

/// A path became configuration text. Here it is compared with the path of requests, and inspection refuses known attacks.
#[test]
fn cve_2021_25745_2026_24512_and_2026_4342_a_path_is_data() {
    let attacks = [
        "/x/ { root /var/run/secrets/kubernetes.io/serviceaccount; }",
        "/x { alias /etc/passwd; } #",
        "/#;content_by_lua_block{}",
    ];
    for path in attacks {
        let refused = outcome(&[], path, Vec::new());
        assert!(refused.is_refused(), "{path}: {}", refused.table);
    }
    let uninspected = Options {
        deep_inspect: false,
        ..Options::default()
    };
    for path in attacks
        .into_iter()
        .chain(["/a\"; proxy_pass http://evil; #", "/a}server{"])
    {
        let outcome = outcome_with(ingress(&[], path), Vec::new(), &uninspected);
        let only = outcome
            .table
            .lines()
            .filter(|line| line.contains(" -> "))
            .count();
        assert!(only <= 3, "{path}: {}", outcome.table);
        assert!(
            outcome.table.contains(&format!("prefix {path} -> ")),
            "{path}: {}",
            outcome.table
        );
    }
}

/// Directives in annotations. Each value is a type, or has the consequence of an invalid one.
#[test]
fn cve_2021_25746_no_value_holds_a_directive() {
    let evil = "x; } location /evil { proxy_pass http://evil; }";
    for name in [
        "proxy-body-size",
        "proxy-read-timeout",
        "session-cookie-name",
        "cors-allow-origin",
        "rewrite-target",
        "upstream-vhost",
        "server-alias",
        "auth-realm",
        "proxy-redirect-from",
        "mirror-target",
    ] {
        outcome(
            &[
                (name, evil),
                ("enable-cors", "true"),
                ("affinity", "cookie"),
            ],
            "/",
            Vec::new(),
        )
        .lacks("evil")
        .lacks("location");
    }
}

/// Line breaks bypassed the check of paths.
#[test]
fn cve_2021_25748_and_2022_4886_no_path_has_a_line_break() {
    for path in [
        "/a\nb",
        "/a\r\n{",
        "/a\0",
        "/\nlog_format x escape=none $http_x;",
    ] {
        let outcome = outcome(&[], path, Vec::new());
        outcome.lacks("log_format");
        assert!(
            !outcome.table.contains("web"),
            "{path:?}: {}",
            outcome.table
        );
        assert!(
            outcome.findings.contains("the path is not served"),
            "{path:?}: {}",
            outcome.findings
        );
    }
}

/// A redirect target was configuration text, and reached `Location`.
#[test]
fn cve_2023_5044_a_redirect_target_is_a_url() {
    for target in [
        "https://a/;}location /x{",
        "https://a/\r\nSet-Cookie: a=b",
        "https://a/\"",
        "https://a/$host{}",
    ] {
        for name in ["permanent-redirect", "temporal-redirect"] {
            let outcome = outcome(&[(name, target)], "/", Vec::new());
            assert!(outcome.is_refused(), "{name} {target:?}");
        }
    }
}

/// Line breaks bypassed the validation of annotations. The tests of the registry feed them to every annotation.
#[test]
fn cve_2024_7646_no_annotation_has_a_line_break() {
    for name in [
        "auth-url",
        "auth-realm",
        "upstream-vhost",
        "permanent-redirect",
        "auth-tls-match-cn",
        "limit-rps",
    ] {
        for value in ["https://a/\nx", "a\rb", "CN=a\n"] {
            let outcome = outcome(&[(name, value)], "/", Vec::new());
            let trimmed = value.trim_end() != value;
            assert!(
                outcome.is_refused() || trimmed,
                "{name} {value:?}: {}",
                outcome.table
            );
        }
    }
}

/// A regular expression of `auth-tls-match-cn` closed its quotes. Here it is compiled as an expression, or refused.
#[test]
fn cve_2025_1097_an_expression_is_data() {
    let values = [
        "CN=abc #(\n){}\n }}\nssl_engine ../../x;\n#",
        "CN=\"; ssl_engine x;",
        "CN=(",
        "abc",
    ];
    for value in values {
        let outcome = outcome(
            &[("auth-tls-match-cn", value), ("auth-tls-secret", "team/ca")],
            "/",
            Vec::new(),
        );
        let safe = outcome.is_refused() || outcome.table.contains("refused: ");
        assert!(safe, "{value:?}: {}", outcome.table);
        outcome.lacks("ssl_engine");
    }
}

/// `metadata.uid` reached the configuration of a mirror.
#[test]
fn cve_2025_1098_the_uid_is_never_used_as_text() {
    let mut ingress = ingress(&[("mirror-target", "http://mirror.example/")], "/");
    ingress["metadata"]["uid"] = "x}\nssl_engine evil;\n#".into();
    outcome_with(ingress, Vec::new(), &Options::default())
        .lacks("evil")
        .lacks("ssl_engine");
}

/// `auth-url` was configuration text.
#[test]
fn cve_2025_24514_auth_url_is_a_url() {
    for url in [
        "http://example.com/#;\nload_module x;",
        "http://a/;x",
        "http://a/\"x",
        "file:///etc/passwd",
        "x",
    ] {
        let outcome = outcome(&[("auth-url", url)], "/", Vec::new());
        assert!(
            outcome.is_refused() || outcome.is_closed(),
            "{url:?}: {}",
            outcome.table
        );
        outcome.lacks("load_module");
    }
}

/// The name of a Secret became a file name.
#[test]
fn cve_2025_24513_the_name_of_a_secret_is_no_path() {
    for name in ["../../../tmp/x", "team/../../x", "/etc/passwd"] {
        let outcome = outcome(
            &[("auth-type", "basic"), ("auth-secret", name)],
            "/",
            Vec::new(),
        );
        assert!(
            outcome.is_refused() || outcome.is_closed(),
            "{name}: {}",
            outcome.table
        );
    }
}

/// A review wrote a configuration and ran nginx on it. Here a review only reads: what is served stays the same object.
#[test]
fn cve_2025_1974_a_review_is_pure() {
    let outcome = outcome(&[], "/", Vec::new());
    let mut snapshot = snapshot(ingress(&[], "/"), Vec::new());
    snapshot.take_changes();
    let before = Arc::clone(outcome.compiled.table());
    for (name, value) in [
        ("auth-url", "http://a/#;\nssl_engine /proc/1/fd/1;"),
        ("server-snippet", "ssl_engine x;"),
    ] {
        let mut hostile = ingress(&[(name, value)], "/");
        hostile["metadata"]["uid"] = "705ab4f5-6393-11e8-b7cc-42010a800002".into();
        let hostile = Reviewed::Ingress(serde_json::from_value(hostile).unwrap());
        let review = review(&hostile, &outcome.compiled, &snapshot, &Options::default());
        assert!(review.denied.is_some(), "{name}");
        assert!(Arc::ptr_eq(&before, outcome.compiled.table()));
    }
}

/// Values of the ConfigMap for the authentication request were configuration text.
#[test]
fn cve_2025_15566_values_of_fields_are_checked() {
    for value in ["a\r\nX-Admin: 1", "a\nb", "a\0"] {
        let map = config_map("team", "fields", json!({ "X-Team": value }));
        let annotations = [
            ("auth-url", "http://auth.example/"),
            ("auth-proxy-set-headers", "fields"),
        ];
        let outcome = outcome(&annotations, "/", vec![map]);
        assert!(outcome.is_closed(), "{value:?}: {}", outcome.table);
        outcome.lacks("X-Admin");
    }
}

/// The expression for `auth-method` was not anchored.
#[test]
fn cve_2026_1580_a_method_is_one_of_a_list() {
    for method in ["GET; load_module x", "XGET", "GET\nx", "get"] {
        let annotations = [
            ("auth-url", "http://auth.example/"),
            ("auth-method", method),
        ];
        let outcome = outcome(&annotations, "/", Vec::new());
        // At most the reason quotes the value.
        assert!(outcome.is_closed(), "{method:?}: {}", outcome.table);
    }
}

/// With an error page for 401 and a broken error backend, a refused request was served.
#[test]
fn cve_2026_24513_an_error_page_never_opens_a_route() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .service("errors", &[])
        .settings(&[("custom-http-errors", "401,403,503")])
        .ingress(
            manifest::Ingress::new("web")
                .annotations(&[
                    // Nothing listens there.
                    ("auth-url", "http://127.0.0.1:1/"),
                    ("custom-http-errors", "401,403,500,503"),
                    ("default-backend", "errors"),
                ])
                .path("/", "web"),
        )
        .ingress(
            manifest::Ingress::new("users")
                .annotations(&[
                    ("auth-type", "basic"),
                    ("auth-secret", "users"),
                    ("custom-http-errors", "401,403,503"),
                    ("default-backend", "errors"),
                ])
                .host("users.test")
                .path("/", "web"),
        )
        .object(json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "namespace": "shop", "name": "users" }, "stringData": { "auth": "a:{PLAIN}x" } }))
        .start(BINARY);
    for host in ["a.test", "users.test"] {
        let response = Request::get("/").host(host).send(program.http());
        assert!(response.status >= 400, "{host}: {response:?}");
    }
    assert_eq!(web.requests(), 0);
}

/// A large object exhausted the memory of the webhook. Bodies, connections and their number are bounded in
/// `crates/cluster/tests/webhook/limits.rs`; a review of a large object takes no longer than its size demands.
#[test]
fn cve_2026_24514_a_large_object_is_reviewed() {
    let outcome = outcome(&[], "/", Vec::new());
    let mut snapshot = snapshot(ingress(&[], "/"), Vec::new());
    snapshot.take_changes();
    let large = "a".repeat(8 << 20);
    let mut object = ingress(&[("rewrite-target", &large), ("unknown", &large)], "/");
    object["metadata"]["uid"] = "705ab4f5-6393-11e8-b7cc-42010a800002".into();
    let object = Reviewed::Ingress(serde_json::from_value(object).unwrap());
    let review = review(&object, &outcome.compiled, &snapshot, &Options::default());
    let size: usize = review
        .warnings
        .iter()
        .chain(&review.denied)
        .map(String::len)
        .sum();
    assert!(size < 8192, "{size}");
}

/// `rewrite-target` was configuration text.
#[test]
fn cve_2026_3288_a_rewrite_is_a_template() {
    for target in [
        "/$1\"; }",
        "/x;proxy_pass http://evil",
        "/a\nb",
        "/${x}",
        "/x{",
    ] {
        let outcome = outcome(&[("rewrite-target", target)], "/a", Vec::new());
        assert!(
            !outcome.table.contains("rewrite"),
            "{target:?}: {}",
            outcome.table
        );
        outcome.lacks("evil");
    }
}

/// Nothing that tenants write reaches another tenant's Secrets (the lesson of all of these).
#[test]
fn secrets_of_another_namespace_are_not_used() {
    let secret = json!({ "metadata": { "namespace": "other", "name": "users" }, "stringData": { "auth": "a:{PLAIN}x" } });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    let annotations = [("auth-type", "basic"), ("auth-secret", "other/users")];
    let outcome = outcome(&annotations, "/", vec![secret.into()]);
    assert!(outcome.is_closed(), "{}", outcome.table);
}
