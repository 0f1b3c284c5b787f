//! Findings, certificates, explanations, requests and the report.

use std::collections::BTreeMap;

use headgate_console::model::{
    AnnotationPage, CertificateRow, CheckNames, CheckPage, CheckSummary, CheckVerdict,
    CheckedIngress, Counts, ExplainForm, Explained, ExplainedBackend, ExplainedEntry,
    ExplainedHost, ExplainedListener, ExplainedLoser, ExplainedOutcome, ExplainedRequest,
    ExplainedRoute, ExplainedStep, FindingRow, FindingsFilter, FindingsPage, Page, RouteRow,
    Search, TapEvent,
};

use super::{has_words, now};

const DAY: i64 = 86_400;

fn all_findings() -> Vec<FindingRow> {
    let finding = |severity: &str, object: &str, annotation: &str, message: &str| FindingRow {
        severity: severity.into(),
        object: object.into(),
        field: match annotation {
            "" => String::new(),
            name => format!("metadata.annotations[nginx.ingress.kubernetes.io/{name}]"),
        },
        message: message.into(),
        annotation: (!annotation.is_empty()).then(|| annotation.into()),
    };
    let mut findings = vec![
        finding(
            "error",
            "Ingress shop/checkout",
            "auth-secret",
            "the Secret shop/passwords does not exist; the routes are closed (503); create it with the key auth",
        ),
        finding(
            "error",
            "Ingress payments/web-1",
            "limit-rps",
            "\"ten\" is no whole number; the Ingress is refused; give a number such as 10",
        ),
        finding(
            "warning",
            "Ingress shop/products-canary",
            "canary-weight",
            "110 is more than canary-weight-total (100); all requests go to the canary; give at most 100",
        ),
        finding(
            "warning",
            "Secret shop/wildcard-tls",
            "",
            "the certificate expires in 9 days; renew it",
        ),
    ];
    findings.extend((0..60).map(|at| {
        let object = format!("Ingress platform/tool-{at}");
        finding(
            "info",
            &object,
            "rewrite-target",
            "the host is in regex mode; its other paths are regular expressions too",
        )
    }));
    findings
}

pub(super) fn findings(filter: &FindingsFilter) -> FindingsPage {
    let all = all_findings();
    let of = |severity: &str| all.iter().filter(|one| one.severity == severity).count();
    let counts = Counts {
        errors: of("error"),
        warnings: of("warning"),
        infos: of("info"),
    };
    let found = all.iter().filter(|one| {
        let is_of = filter
            .severity
            .as_deref()
            .is_none_or(|severity| one.severity == severity);
        is_of && has_words(&filter.search.q, &[&one.object, &one.field, &one.message])
    });
    FindingsPage {
        counts,
        findings: Page::of(found.cloned().collect(), &filter.search),
    }
}

pub(super) fn certificates() -> Vec<CertificateRow> {
    let row =
        |source: &str, names: &[&str], days: i64, hosts: &[&str], count: usize| CertificateRow {
            source: source.into(),
            names: names.iter().map(|name| (*name).into()).collect(),
            issuer_organization: "Let's Encrypt".into(),
            issuer_common_name: "E7".into(),
            serial_number: "410953462105342615347".into(),
            algorithm: "ECDSA".into(),
            fingerprint: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            expires_unix_seconds: now() as i64 + days * DAY,
            expires_in_seconds: days * DAY,
            hosts: hosts.iter().map(|host| (*host).into()).collect(),
            host_count: count,
            uncovered_hosts: if days < 0 {
                vec!["images.shop.example".into()]
            } else {
                Vec::new()
            },
            is_default: source == "default",
        };
    vec![
        row(
            "payments/old-tls",
            &["pay.shop.example"],
            -2,
            &["pay.shop.example", "images.shop.example"],
            2,
        ),
        row(
            "shop/wildcard-tls",
            &["shop.example", "*.shop.example"],
            9,
            &["api.shop.example"],
            1,
        ),
        row(
            "platform/tools-tls",
            &["*.tools.example"],
            71,
            &["a.tools.example", "b.tools.example"],
            240,
        ),
        row("default", &["headgate.invalid"], 364, &[], 0),
    ]
}

pub(super) fn explained(form: &ExplainForm) -> Explained {
    let step = |name: &str, result: &str, detail: &str, from: &[&str]| ExplainedStep {
        name: name.into(),
        result: result.into(),
        detail: detail.into(),
        from: from.iter().map(|one| (*one).into()).collect(),
    };
    let is_secret = |header: &&String| header.to_lowercase().starts_with("authorization");
    let headers = form.header.iter();
    Explained {
        version: 1,
        generation: 418,
        request: ExplainedRequest {
            method: Some(if form.method.is_empty() {
                "GET".into()
            } else {
                form.method.clone()
            }),
            url: form.url.clone(),
            headers: headers
                .filter(|header| !is_secret(header))
                .cloned()
                .collect(),
            client: if form.from.is_empty() {
                "127.0.0.1".into()
            } else {
                form.from.clone()
            },
            path: "/products".into(),
        },
        listener: Some(ExplainedListener {
            address: "0.0.0.0:443".into(),
            scheme: "https".into(),
            name: Some("https".into()),
            object: Some("Gateway ingress/public".into()),
        }),
        host: Some(ExplainedHost {
            name: "*.tenants.shop.example".into(),
            requested: "a.tenants.shop.example".into(),
            because: "no host is exactly this name, and this wildcard covers it".into(),
            regex: true,
            certificate: Some("shop/wildcard-tls".into()),
        }),
        entry: form.url.starts_with("tcp").then(|| ExplainedEntry {
            key: "5432".into(),
            object: "ConfigMap ingress/tcp".into(),
            service: "shop/db:5432".into(),
        }),
        route: Some(ExplainedRoute {
            path: "/products".into(),
            path_type: "Prefix".into(),
            object: "Ingress shop/products".into(),
            service: Some("shop/products:80".into()),
        }),
        steps: vec![
            step(
                "block list",
                "passes",
                "no pattern matches the User-Agent",
                &["block-user-agents of ConfigMap ingress/headgate"],
            ),
            step(
                "body size",
                "passes",
                "at most 8 MiB",
                &["proxy-body-size of Ingress shop/products"],
            ),
            step(
                "rewrite",
                "passes",
                "/products becomes /v2/products",
                &[
                    "rewrite-target of Ingress shop/products",
                    "use-regex of Ingress shop/products",
                ],
            ),
            step(
                "limits",
                "depends",
                "10 requests a second for a client, burst 50",
                &["limit-rps of Ingress shop/products"],
            ),
            step(
                "password",
                if form.method == "DELETE" {
                    "responds"
                } else {
                    "passes"
                },
                "the Secret shop/passwords has the user",
                &["auth-secret of Ingress shop/products"],
            ),
        ],
        outcome: match form.method.as_str() {
            "DELETE" => ExplainedOutcome::Response {
                status: 401,
                location: Some("/login".into()),
            },
            _ => ExplainedOutcome::Forwarded {
                target: "/v2/products".into(),
            },
        },
        backends: vec![
            ExplainedBackend {
                from: Vec::new(),
                name: "shop/products/80".into(),
                role: "primary".into(),
                because: "90 % of the requests that no rule decides".into(),
                endpoints: vec!["10.244.1.17:8080".into(), "10.244.2.9:8080".into()],
                balance: "round robin".into(),
                troubles: vec!["10.244.2.9:8080: 2 of 3 failures in a row".into()],
            },
            ExplainedBackend {
                from: vec!["canary-weight of Ingress shop/products-canary".into()],
                name: "shop/products-canary/80".into(),
                role: "canary".into(),
                because: "10 %, or with the header X-Canary: always".into(),
                endpoints: vec!["10.244.3.4:8080".into()],
                balance: "round robin".into(),
                troubles: Vec::new(),
            },
        ],
        losers: vec![
            ExplainedLoser {
                kind: "host".into(),
                name: "_".into(),
                object: String::new(),
                because: "a name that is configured comes first".into(),
            },
            ExplainedLoser {
                kind: "path".into(),
                name: "Prefix /".into(),
                object: "Ingress shop/web".into(),
                because: "/products is longer".into(),
            },
        ],
        findings: all_findings().into_iter().skip(2).take(1).collect(),
    }
}

pub(super) fn event(at: usize, route: &RouteRow) -> TapEvent {
    let status = [200, 200, 304, 200, 404, 200, 201, 503, 200, 302][at % 10];
    TapEvent {
        end_unix_seconds: 0.0,
        duration_seconds: 0.0009 * (at as f64 + 1.0) * (at as f64 + 1.0),
        client: format!("203.0.113.{at}"),
        method: if status == 201 { "POST" } else { "GET" }.into(),
        scheme: "https".into(),
        authority: route.host.replace('*', "a"),
        target: format!("{}?page=*", route.path),
        version: "HTTP/2.0".into(),
        status,
        request_bytes: 412,
        response_bytes: 18_220,
        host: route.host.clone(),
        route: (status != 404).then(|| route.id.clone()),
        object: format!("{} {}/{}", route.kind, route.namespace, route.name),
        path: route.path.clone(),
        service: route.service.clone(),
        canary: if at % 6 == 1 {
            "shop/products-canary/80".into()
        } else {
            String::new()
        },
        endpoint: if status == 404 {
            String::new()
        } else {
            "10.244.1.17:8080".into()
        },
        attempts: if status == 503 { 2 } else { 1 },
        endpoint_seconds: Some(0.0008),
        reason: if status == 503 {
            "connect_failed".into()
        } else {
            String::new()
        },
        request_id: "5f2a6c1e9b3d4f708192a3b4c5d6e7f8".into(),
    }
}

pub(super) fn annotation(name: &str) -> AnnotationPage {
    AnnotationPage {
        name: name.into(),
        aliases: vec!["another-name".into()],
        value: "a whole number".into(),
        default: "0".into(),
        config_map_key: Some("a-key".into()),
        risk: "Low".into(),
        invalid_value: "ignored".into(),
        support: "honoured".into(),
        description: "Share of the remaining requests that go to the canary.".into(),
        difference: "Several canaries of one path all apply.".into(),
    }
}

pub(super) fn check(search: &Search) -> CheckPage {
    let verdict = |name: &str, verdict: &str, reason: &str, ingresses| CheckVerdict {
        name: name.into(),
        verdict: verdict.into(),
        reason: reason.into(),
        ingresses,
    };
    let names = |verdicts: Vec<CheckVerdict>| {
        let mut totals = BTreeMap::new();
        for one in &verdicts {
            *totals.entry(one.verdict.clone()).or_insert(0) += 1;
        }
        CheckNames { totals, verdicts }
    };
    let annotations = vec![
        verdict(
            "server-snippet",
            "notSupported",
            "only headers, redirects and returns are understood",
            Some(2),
        ),
        verdict(
            "limit-rps",
            "differs",
            "IPv6 clients are counted by /64 network",
            Some(12),
        ),
        verdict(
            "proxy-http-version",
            "noEffect",
            "HTTP/1.1 is always used",
            Some(1),
        ),
        verdict("rewrite-target", "honoured", "", Some(80)),
        verdict("canary-weight", "honoured", "", Some(3)),
    ];
    let flags = vec![
        verdict("--publish-service", "honoured", "", None),
        verdict("--profiling", "noEffect", "there is no profiler", None),
    ];
    let ingress = |name: &str, same, refused, annotations: Vec<CheckVerdict>| CheckedIngress {
        namespace: "shop".into(),
        name: name.into(),
        same,
        refused,
        findings: if same {
            Vec::new()
        } else {
            all_findings().into_iter().take(1).collect()
        },
        annotations,
    };
    let mut ingresses = vec![
        ingress("checkout", false, true, annotations[..2].to_vec()),
        ingress("products", false, false, annotations[1..3].to_vec()),
    ];
    ingresses.extend((0..130).map(|at| {
        let name = format!("web-{at}");
        ingress(&name, true, false, annotations[3..].to_vec())
    }));
    ingresses.retain(|one| has_words(&search.q, &[&one.namespace, &one.name]));
    CheckPage {
        version: 1,
        headline:
            "118 of 132 Ingresses behave the same; 0 of 6 objects of the Gateway API have errors"
                .into(),
        summary: CheckSummary {
            ingresses: 132,
            same: 118,
            different: 12,
            unsupported: 2,
            other_class: 4,
            errors: 3,
            warnings: 12,
        },
        source: "the objects that are served".into(),
        controller: Some("Deployment ingress-nginx/ingress-nginx-controller".into()),
        config_map: Some("ingress-nginx/ingress-nginx-controller".into()),
        closed: Some("the ConfigMap has a list that cannot be read".into()),
        notes: vec!["Secrets cannot be listed: certificates are not checked".into()],
        names: BTreeMap::from([
            ("annotations".to_owned(), names(annotations.clone())),
            ("flags".to_owned(), names(flags)),
        ]),
        ingresses: Page::of(ingresses, search),
        other_class: all_findings().into_iter().skip(60).take(2).collect(),
        findings: all_findings().into_iter().skip(3).take(1).collect(),
    }
}
