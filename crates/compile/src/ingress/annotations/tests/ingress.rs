//! The special rules of single annotations.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use headgate_limit::Quota;

use http::HeaderName;

use super::{annotations, has_problem, parse};
use crate::Severity;
use headgate_table::{
    AffinityMode, BackendProtocol, Balance, ConnectionHeader, HeaderTest, Location, OriginPattern,
    Origins, Pattern, PatternRewrite, ReplaceRule, Rewrite, RuleTest, SameSite, Template,
};

use crate::ingress::annotations::{Flag, IngressAnnotations, Risk, Rules, Validation, all};
use crate::ingress::family::routing::Routing;
use crate::ingress::registry::{Kind, Support};

#[test]
fn no_annotations_set_nothing() {
    let parsed = IngressAnnotations::parse(&Rules::default(), &BTreeMap::new());
    assert_eq!(parsed, IngressAnnotations::default());
}

#[test]
fn empty_is_absent() {
    for row in all().filter(|row| row.risk <= Risk::High) {
        let name = row.entry.name;
        let parsed = parse(&[(name, " \n ")]);
        assert_eq!(parsed, IngressAnnotations::default(), "{name}");
    }
}

#[test]
fn aliases_are_read_when_the_main_name_is_empty() {
    let alias = parse(&[
        ("whitelist-source-range", "10.0.0.1"),
        ("allowlist-source-range", " "),
    ]);
    assert_eq!(
        alias.access.allowlist,
        Some(vec!["10.0.0.1/32".parse().unwrap()])
    );
    let both = parse(&[
        ("whitelist-source-range", "10.0.0.1"),
        ("allowlist-source-range", "10.0.0.2"),
    ]);
    assert_eq!(
        both.access.allowlist,
        Some(vec!["10.0.0.2/32".parse().unwrap()])
    );
    let limits = parse(&[("limit-whitelist", "::1"), ("limit-rps", "1")]).limits;
    assert_eq!(limits.unwrap().exempt.nets(), ["::1/128".parse().unwrap()]);
}

#[test]
fn the_three_classes_of_invalid_values() {
    let refused = parse(&[("limit-rps", "many"), ("use-regex", "true")]);
    assert!(refused.refused.unwrap().contains("limit-rps") && refused.denied.is_none());
    let denied = parse(&[
        ("allowlist-source-range", "10.0.0.0/8, nonsense"),
        ("use-regex", "true"),
    ]);
    assert!(denied.denied.unwrap().reason.contains("nonsense") && denied.refused.is_none());
    assert_eq!(denied.access.allowlist, None);
    assert_eq!(denied.routing.use_regex, Some(true));
    let ignored = parse(&[("ssl-redirect", "yes")]);
    assert_eq!(
        (ignored.redirects.ssl, &ignored.denied, &ignored.refused),
        (None, &None, &None)
    );
    assert!(has_problem(
        &ignored,
        "ssl-redirect",
        "\"yes\" is not true or false"
    ));
}

#[test]
fn the_first_reason_is_kept() {
    let parsed = parse(&[
        ("auth-type", "basic"),
        ("allowlist-source-range", "x"),
        ("auth-url", "a"),
    ]);
    let reason = parsed.denied.clone().unwrap().reason;
    assert_eq!(
        parsed
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count(),
        3
    );
    assert!(reason.starts_with("allowlist-source-range"), "{reason}");
}

#[test]
fn risk_gate_refuses_by_presence() {
    let low = Rules {
        max_risk: Risk::Low,
        ..Rules::default()
    };
    let parsed = IngressAnnotations::parse(&low, &annotations(&[("rewrite-target", "/")]));
    assert!(parsed.refused.unwrap().contains("Medium"));
    assert!(parse(&[("rewrite-target", "/")]).refused.is_none());
}

#[test]
fn a_snippet_closes_the_routes_unless_both_keys_allow_it() {
    for (max_risk, snippets, honoured) in [
        (Risk::Low, true, false),
        (Risk::High, true, false),
        (Risk::Critical, false, false),
        (Risk::Critical, true, true),
    ] {
        let policy = Rules {
            max_risk,
            snippets,
            ..Rules::default()
        };
        for name in ["configuration-snippet", "server-snippet"] {
            let snippet = annotations(&[(name, "deny all;")]);
            let parsed = IngressAnnotations::parse(&policy, &snippet);
            assert!(parsed.refused.is_none(), "{name} {max_risk:?}");
            assert_eq!(parsed.denied.is_none(), honoured, "{name} {max_risk:?}");
            assert_eq!(parsed.snippets.is_some(), honoured, "{name} {max_risk:?}");
        }
    }
}

#[test]
fn a_directive_that_is_not_understood_is_named_with_its_line() {
    let policy = Rules {
        max_risk: Risk::Critical,
        snippets: true,
        ..Rules::default()
    };
    for (text, closed, expected) in [
        (
            "gzip on;\nlua_x y;",
            true,
            "line 2: lua_x: not supported; the routes respond with 503",
        ),
        (
            "gzip on;\n\nsub_filter a b;",
            false,
            "line 3: sub_filter: not supported; the rest is served",
        ),
        (
            "gzip on;\ndeny nobody;",
            true,
            "line 2: deny: \"nobody\" is not an address",
        ),
        ("gzip on;\n}", true, "line 2: \"}\" without a block"),
        (
            "if ($a) { deny all; }",
            true,
            "line 1: deny: nginx does not allow it in \"if\"",
        ),
        (
            "if ($a) { if ($b) { return 403; } }",
            true,
            "line 1: if: nginx does not allow it",
        ),
        (
            "add_header X;",
            false,
            "line 1: add_header: expected a name",
        ),
        ("set $host x;", true, "line 1: set: $host is the proxy's"),
        ("rewrite ( /x;", true, "line 1: rewrite: \"(\": "),
        (
            "location /a { return 403; }",
            true,
            "line 1: location: nginx does not allow it",
        ),
    ] {
        let parsed =
            IngressAnnotations::parse(&policy, &annotations(&[("configuration-snippet", text)]));
        assert_eq!(parsed.denied.is_some(), closed, "{text}");
        let found = parsed
            .problems
            .iter()
            .any(|problem| problem.message.starts_with(expected));
        assert!(found, "{text}: {:?}", parsed.problems);
    }
}

#[test]
fn blocklist_refuses_any_value_under_the_prefix() {
    let words = ["load_module".to_owned(), String::new()];
    let policy = Rules {
        blocklist: &words,
        ..Rules::default()
    };
    let parsed = IngressAnnotations::parse(
        &policy,
        &annotations(&[("no-such-thing", "x load_module y")]),
    );
    assert!(parsed.refused.unwrap().contains("load_module"));
    let elsewhere = BTreeMap::from([("example.com/x".to_owned(), "load_module".to_owned())]);
    assert_eq!(
        IngressAnnotations::parse(&policy, &elsewhere),
        IngressAnnotations::default()
    );
}

#[test]
fn validation_can_be_switched_off_for_texts() {
    let off = Rules {
        validation: Validation::TypesOnly,
        ..Rules::default()
    };
    let free = IngressAnnotations::parse(
        &off,
        &annotations(&[("rewrite-target", "/a?b=c"), ("ssl-redirect", "x")]),
    );
    assert_eq!(target(&free.routing).as_deref(), Some("/a?b=c"));
    assert_eq!(free.redirects.ssl, None);
    assert_eq!(
        parse(&[("rewrite-target", "/a?b=c")])
            .routing
            .rewrite_target,
        None
    );
}

#[test]
fn unknown_removed_and_misplaced_names_are_reported() {
    let parsed = parse(&[
        ("no-such-thing", "x"),
        ("secure-backends", "true"),
        ("Rewrite-Target", "/"),
    ]);
    assert!(has_problem(&parsed, "no-such-thing", "unknown"));
    assert!(has_problem(&parsed, "Rewrite-Target", "unknown"));
    assert!(has_problem(&parsed, "secure-backends", "backend-protocol"));
    let own = Rules {
        prefix: "edge.example.com",
        ..Rules::default()
    };
    let parsed = IngressAnnotations::parse(
        &own,
        &annotations(&[("rewrite-target", "/"), ("other", "")]),
    );
    assert_eq!(parsed.routing.rewrite_target, None);
    assert_eq!(parsed.problems.len(), 1);
    assert!(parsed.problems[0].message.contains("edge.example.com/"));
    let under_prefix =
        BTreeMap::from([("edge.example.com/rewrite-target".to_owned(), "/".to_owned())]);
    assert_eq!(
        target(&IngressAnnotations::parse(&own, &under_prefix).routing).as_deref(),
        Some("/")
    );
    // A longer prefix that begins with the configured one is another prefix.
    let longer = BTreeMap::from([(
        "edge.example.community/rewrite-target".to_owned(),
        "/".to_owned(),
    )]);
    assert_eq!(
        IngressAnnotations::parse(&own, &longer),
        IngressAnnotations::default()
    );
}

#[test]
fn tutorial_names_are_requests_per_second() {
    for name in ["rate-limit", "rate-limit-rps"] {
        let parsed = parse(&[(name, "7")]);
        assert_eq!(per_second(&[(name, "7")]), quota(7, 35), "{name}");
        assert!(has_problem(&parsed, name, "taken as limit-rps"));
    }
    let both = [("rate-limit", "7"), ("limit-rps", "3")];
    let parsed = parse(&both);
    assert_eq!(per_second(&both), quota(3, 15));
    assert!(has_problem(
        &parsed,
        "rate-limit",
        "ignored beside limit-rps"
    ));
}

fn quota(rate: u32, burst: u32) -> Option<Quota> {
    Some(Quota::per_second(NonZeroU32::new(rate).unwrap(), burst))
}

fn per_second(pairs: &[(&str, &str)]) -> Option<Quota> {
    parse(pairs).limits.unwrap().per_second
}

#[test]
fn limits() {
    assert_eq!(
        parse(&[("limit-rps", "-1"), ("limit-rpm", "0")]).limits,
        None
    );
    let parsed = parse(&[("limit-connections", "99999999999")]);
    assert_eq!(parsed.limits.unwrap().connections.unwrap().get(), u32::MAX);
    let times =
        |multiplier| per_second(&[("limit-rps", "2"), ("limit-burst-multiplier", multiplier)]);
    for unusable in ["x", "-3", " "] {
        assert_eq!(times(unusable), quota(2, 10), "{unusable}");
    }
    assert_eq!(times("2"), quota(2, 4));
}

#[test]
fn fixed_redirects() {
    let fixed = |pairs: &[(&str, &str)]| {
        parse(pairs).redirects.fixed.map(|fixed| {
            let Location::Fixed(location) = fixed.location else {
                unreachable!("annotations have whole locations");
            };
            (fixed.status.as_u16(), location.to_str().unwrap().to_owned())
        })
    };
    let at = |code: u16, location: &str| Some((code, location.to_owned()));
    assert_eq!(fixed(&[("permanent-redirect", "/bare")]), at(301, "/bare"));
    assert_eq!(
        fixed(&[
            ("permanent-redirect", "/x"),
            ("permanent-redirect-code", "308")
        ]),
        at(308, "/x")
    );
    assert_eq!(
        fixed(&[
            ("permanent-redirect", "/x"),
            ("permanent-redirect-code", "309")
        ]),
        at(301, "/x")
    );
    assert_eq!(
        fixed(&[
            ("permanent-redirect", "/x"),
            ("permanent-redirect-code", "65836")
        ]),
        at(301, "/x")
    );
    assert_eq!(
        fixed(&[
            ("temporal-redirect", "http://t"),
            ("permanent-redirect", "/x")
        ]),
        at(302, "http://t")
    );
    assert_eq!(
        fixed(&[
            ("temporal-redirect", "https://t"),
            ("temporal-redirect-code", "307")
        ]),
        at(307, "https://t")
    );
    assert_eq!(
        fixed(&[
            ("temporal-redirect", "https://t"),
            ("temporal-redirect-code", "308")
        ]),
        at(302, "https://t")
    );
    assert!(
        parse(&[
            ("permanent-redirect", "/x"),
            ("permanent-redirect-code", "x")
        ])
        .refused
        .is_some()
    );
}

#[test]
fn beside_a_temporal_redirect_the_permanent_one_is_not_looked_at() {
    for unusable in [
        ("permanent-redirect", "https://a b;c"),
        ("permanent-redirect-code", "x"),
    ] {
        let parsed = parse(&[("temporal-redirect", "https://t"), unusable]);
        assert_eq!(parsed.refused, None, "{unusable:?}");
        assert!(parsed.redirects.fixed.is_some_and(
            |fixed| matches!(fixed.location, Location::Fixed(to) if to == "https://t")
        ));
        assert!(parse(&[unusable]).refused.is_some(), "{unusable:?}");
    }
    let permanent = ("permanent-redirect", "https://p");
    let parsed = parse(&[permanent, ("temporal-redirect-code", "x")]);
    assert_eq!(parsed.refused, None);
    assert!(has_problem(
        &parsed,
        "temporal-redirect-code",
        "ignored without temporal-redirect"
    ));
}

#[test]
fn a_wrong_temporal_scheme_drops_the_whole_group() {
    let parsed = parse(&[
        ("temporal-redirect", "ftp://t"),
        ("permanent-redirect", "/x"),
        ("from-to-www-redirect", "true"),
        ("relative-redirects", "true"),
        ("ssl-redirect", "false"),
    ]);
    let redirects = &parsed.redirects;
    assert_eq!(
        (&redirects.fixed, redirects.from_to_www, redirects.relative),
        (&None, None, None)
    );
    assert_eq!(redirects.ssl, Some(false));
    assert!(has_problem(&parsed, "temporal-redirect", "http://"));
}

#[test]
fn canary_settings_need_canary() {
    let parsed = parse(&[("canary-weight", "10"), ("canary", "false")]);
    assert_eq!(parsed.canary, None);
    assert!(has_problem(&parsed, "canary-weight", "without canary"));
}

#[test]
fn canary_weight_stays_within_its_total() {
    let canary = |weight: &str, total: &str| {
        let parsed = parse(&[
            ("canary", "true"),
            ("canary-weight", weight),
            ("canary-weight-total", total),
        ]);
        let canary = parsed.canary.clone().unwrap();
        (
            canary.weight,
            canary.weight_total,
            has_problem(&parsed, "canary-weight", "is used"),
        )
    };
    assert_eq!(canary("30", "100"), (30, 100, false));
    assert_eq!(canary("30", "50"), (30, 100, false));
    assert_eq!(canary("30", "-7"), (30, 100, false));
    assert_eq!(canary("500", "1000"), (500, 1000, false));
    assert_eq!(canary("101", "100"), (100, 100, true));
    assert_eq!(canary("-1", "100"), (0, 100, true));
    assert_eq!(
        canary("9223372036854775807", "9223372036854775807"),
        (u32::MAX, u32::MAX, true)
    );
    assert_eq!(canary("x", "x"), (0, 100, false));
}

#[test]
fn canary_headers() {
    let header = |pairs: &[(&str, &str)]| {
        let mut all = vec![("canary", "true")];
        all.extend(pairs);
        let parsed = parse(&all);
        (parsed.canary.clone().unwrap().header, parsed)
    };
    let rule = |value| {
        let name = HeaderName::from_static("x-canary");
        Some(RuleTest::Header { name, value })
    };
    assert_eq!(
        header(&[("canary-by-header", "X-Canary")]).0,
        rule(HeaderTest::AlwaysNever)
    );
    let both = [
        ("canary-by-header", "X-Canary"),
        ("canary-by-header-value", "A"),
        ("canary-by-header-pattern", "b+"),
    ];
    let (chosen, parsed) = header(&both);
    assert_eq!(chosen, rule(HeaderTest::Value("A".into())));
    assert!(has_problem(&parsed, "canary-by-header-pattern", "beside"));
    let pattern = [
        ("canary-by-header", "X-Canary"),
        ("canary-by-header-pattern", "^(a|b)$"),
    ];
    assert_eq!(
        header(&pattern).0,
        rule(HeaderTest::Pattern(Pattern::new("^(a|b)$").unwrap()))
    );
    let (chosen, parsed) = header(&[("canary-by-header-value", "A")]);
    assert_eq!(chosen, None);
    assert!(has_problem(
        &parsed,
        "canary-by-header-value",
        "without canary-by-header"
    ));
    let (chosen, parsed) = header(&[("canary-by-header", "a:b")]);
    assert_eq!(chosen, None);
    assert!(has_problem(
        &parsed,
        "canary-by-header",
        "not a header name"
    ));
}

#[test]
fn affinity() {
    let parsed = parse(&[
        ("affinity", "cookie"),
        ("affinity-mode", "persistent"),
        ("session-cookie-samesite", "Lax"),
        ("session-cookie-max-age", "60"),
    ]);
    let affinity = parsed.affinity.unwrap();
    assert_eq!(
        (affinity.mode, &*affinity.cookie),
        (AffinityMode::Persistent, "INGRESSCOOKIE")
    );
    assert_eq!(
        (affinity.same_site, affinity.max_age),
        (Some(SameSite::Lax), Some(60))
    );
    let parsed = parse(&[("affinity", "cookie"), ("session-cookie-samesite", "lax")]);
    assert_eq!(parsed.affinity.as_ref().unwrap().same_site, None);
    assert!(has_problem(
        &parsed,
        "session-cookie-samesite",
        "None, Lax, Strict"
    ));
    assert_eq!(parse(&[("affinity", "ip")]).affinity, None);
    let legacy = parse(&[("canary", "true"), ("affinity-canary-behavior", "legacy")]);
    assert!(!legacy.canary.unwrap().sticky);
}

#[test]
fn balance() {
    let balance = |pairs: &[(&str, &str)]| parse(pairs).balance.map(|balance| *balance);
    assert_eq!(balance(&[]), None);
    assert_eq!(balance(&[("load-balance", "ewma")]), Some(Balance::Ewma));
    let parsed = parse(&[("load-balance", "chash")]);
    assert_eq!(parsed.balance.as_deref(), Some(&Balance::RoundRobin));
    assert!(has_problem(&parsed, "load-balance", "round_robin is used"));
    assert!(parse(&[("load-balance", "least_conn")]).refused.is_some());
    let own = "headgate.dev/load-balance";
    assert_eq!(balance(&[(own, "least_conn")]), Some(Balance::LeastConn));
    assert_eq!(balance(&[(own, "ewma")]), Some(Balance::Ewma));
    let both = parse(&[(own, "least_conn"), ("load-balance", "ewma")]);
    assert_eq!(both.balance.as_deref(), Some(&Balance::LeastConn));
    assert!(has_problem(&both, "load-balance", "ignored beside"));
    let unknown = parse(&[(own, "fastest")]);
    assert!(unknown.refused.is_none() && unknown.balance.is_none());
    let hash = balance(&[
        ("upstream-hash-by", "$request_uri$host"),
        ("upstream-hash-by-subset", "true"),
        ("load-balance", "ewma"),
    ]);
    let key = Template::parse("$request_uri$host").unwrap();
    let subset = NonZeroUsize::new(3);
    assert_eq!(hash, Some(Balance::Hash { key, subset }));
    let broken = parse(&[("upstream-hash-by", "${host"), ("load-balance", "ewma")]);
    assert_eq!(broken.balance.as_deref(), Some(&Balance::Ewma));
    assert!(has_problem(&broken, "upstream-hash-by", "\"${host\": "));
}

#[test]
fn upstream_tls_needs_its_secret() {
    let parsed = parse(&[("proxy-ssl-verify", "on")]);
    assert_eq!(parsed.upstream_tls, None);
    assert!(has_problem(
        &parsed,
        "proxy-ssl-verify",
        "without proxy-ssl-secret"
    ));
    assert!(
        parse(&[("proxy-ssl-secret", "just-a-name")])
            .denied
            .is_some()
    );
    assert!(parse(&[("proxy-ssl-secret", "a b")]).refused.is_some());
    let parsed = parse(&[
        ("proxy-ssl-secret", "ns/ca"),
        ("proxy-ssl-protocols", "TLSv1.3 TLSv1"),
    ]);
    let tls = parsed.upstream_tls.clone().unwrap();
    assert!(tls.versions.tls13 && !tls.versions.tls12 && !tls.verify);
    assert_eq!(tls.verify_depth, 1);
    assert!(has_problem(
        &parsed,
        "proxy-ssl-protocols",
        "TLSv1: not offered; TLSv1.3 is"
    ));
}

#[test]
fn proxy() {
    let protocol = |text| parse(&[("backend-protocol", text)]).proxy.protocol;
    assert_eq!(protocol("grpcs"), Some(BackendProtocol::Grpcs));
    assert_eq!(protocol("Auto_Http"), Some(BackendProtocol::AutoHttp));
    assert_eq!(protocol("SPDY"), None);
    assert_eq!(protocol("fcgi"), Some(BackendProtocol::FastCgi));
    let parsed = parse(&[
        ("proxy-read-timeout", "0"),
        ("proxy-send-timeout", "120"),
        ("proxy-body-size", "0"),
    ]);
    assert_eq!(
        (parsed.proxy.read_timeout, parsed.proxy.send_timeout),
        (None, Some(Duration::from_secs(120)))
    );
    assert_eq!(parsed.proxy.body_size, Some(0));
    let buffer = |text| {
        parse(&[("client-body-buffer-size", text)])
            .proxy
            .client_body_buffer_size
    };
    assert_eq!(
        (buffer("16k"), buffer("1M"), buffer("100")),
        (Some(16384), Some(1 << 20), Some(100))
    );
    assert_eq!((buffer("1g"), buffer("5b")), (None, None));
    assert!(
        parse(&[("client-body-buffer-size", "1x")])
            .refused
            .is_some()
    );
    let close = parse(&[("connection-proxy-header", "close")])
        .proxy
        .connection;
    assert_eq!(close, Some(ConnectionHeader::Close));
    let path = parse(&[("proxy-cookie-path", "/a /b")]).replace.cookie_path;
    assert_eq!(
        path,
        Some(Some(ReplaceRule {
            from: "/a".to_owned(),
            to: "/b".to_owned()
        }))
    );
    assert_eq!(
        parse(&[("service-upstream", "x")]).routing.service_upstream,
        Some(false)
    );
}

#[test]
fn cors() {
    assert_eq!(parse(&[("cors-allow-origin", "*")]).cors, None);
    let open = parse(&[("enable-cors", "true")]).cors.unwrap();
    assert_eq!(
        (&open.origins, open.credentials, &open.max_age),
        (&Origins::Any, true, &1_728_000.into())
    );
    assert_eq!(open.methods, "GET, PUT, POST, DELETE, PATCH, OPTIONS");
    let some = parse(&[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://a.example, nonsense, null"),
    ]);
    let exact = |text: &str| OriginPattern::Exact(text.to_owned());
    assert_eq!(
        some.cors.as_ref().unwrap().origins,
        Origins::List(vec![exact("https://a.example"), exact("null")])
    );
    assert!(has_problem(&some, "cors-allow-origin", "nonsense"));
    let any = parse(&[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://a.example,*"),
    ]);
    assert_eq!(any.cors.unwrap().origins, Origins::Any);
    for bad in ["nonsense", ",", "https://a/b"] {
        assert_eq!(
            parse(&[("enable-cors", "true"), ("cors-allow-origin", bad)]).cors,
            None,
            "{bad}"
        );
    }
    let default = parse(&[("enable-cors", "true"), ("cors-allow-methods", "GET;")])
        .cors
        .unwrap();
    assert_eq!(default.methods, open.methods);
}

#[test]
fn custom_headers_need_a_namespace() {
    assert_eq!(
        parse(&[("custom-headers", "ns/h")])
            .headers
            .custom
            .unwrap()
            .to_string(),
        "ns/h"
    );
    let parsed = parse(&[("custom-headers", "h")]);
    assert!(parsed.headers.custom.is_none() && parsed.denied.is_some());
}

#[test]
fn unhonoured_protection_closes_when_switched_on() {
    let closing = [
        ("auth-type", "basic"),
        ("auth-secret", "a b"),
        ("auth-url", "auth.example/check"),
        ("enable-modsecurity", "true"),
        ("enable-modsecurity", "maybe"),
    ];
    for (name, text) in closing {
        assert!(parse(&[(name, text)]).denied.is_some(), "{name}");
    }
    for pairs in [
        &[("enable-modsecurity", "false")][..],
        &[("satisfy", "any")],
        &[
            ("enable-owasp-core-rules", "true"),
            ("modsecurity-transaction-id", "$request_id"),
        ],
        &[("ssl-passthrough", "true")],
    ] {
        assert_eq!(parse(pairs).denied, None, "{pairs:?}");
    }
}

#[test]
fn passthrough_needs_its_flag() {
    let on = Rules {
        flags: &[Flag::SslPassthrough],
        ..Rules::default()
    };
    let pairs = annotations(&[
        ("ssl-passthrough", "true"),
        ("limit-rps", "0"),
        ("auth-type", "basic"),
        ("denylist-source-range", "x"),
    ]);
    let parsed = IngressAnnotations::parse(&on, &pairs);
    assert!(parsed.passthrough && !has_problem(&parsed, "ssl-passthrough", ""));
    let protecting = ["auth-type", "ssl-passthrough", "denylist-source-range"];
    assert_eq!(*parsed.protecting, protecting);
    let parsed = IngressAnnotations::parse(&Rules::default(), &pairs);
    assert!(!parsed.passthrough && parsed.protecting.is_empty());
    let missing = "it needs --enable-ssl-passthrough";
    assert!(has_problem(&parsed, "ssl-passthrough", missing));
    let off = IngressAnnotations::parse(&on, &annotations(&[("ssl-passthrough", "false")]));
    assert!(!off.passthrough && off.problems.is_empty());
}

#[test]
fn values_that_are_not_honoured_are_reported_if_they_differ_from_the_default() {
    let ignored = all().map(|row| row.entry).filter(|entry| {
        entry.support == Support::NotYet && !entry.closes() && entry.kind == Kind::Raw
    });
    for entry in ignored {
        let parsed = parse(&[(entry.name, "sample")]);
        assert!(
            has_problem(&parsed, entry.name, "not honoured yet"),
            "{}",
            entry.name
        );
    }
    assert!(has_problem(
        &parse(&[("http2-push-preload", "true")]),
        "http2-push-preload",
        "changes nothing"
    ));
    assert!(
        parse(&[("limit-rate", "0"), ("enable-rewrite-log", "False")])
            .problems
            .is_empty()
    );
}

#[test]
fn texts_reach_their_fields() {
    let parsed = parse(&[
        ("rewrite-target", "/$1"),
        ("app-root", "/app"),
        ("server-alias", "b.example, a.example,b.example"),
        ("upstream-vhost", "inner.example"),
        ("x-forwarded-prefix", "/p"),
        ("default-backend", "errors"),
        ("enable-access-log", "false"),
    ]);
    assert_eq!(target(&parsed.routing).as_deref(), Some("/$1"));
    assert_eq!(&*parsed.routing.app_root.clone().unwrap().path, "/app");
    let aliases = parsed.routing.server_aliases.clone().unwrap();
    assert_eq!(aliases.names, ["a.example".into(), "b.example".into()]);
    assert_eq!(
        parsed.headers.upstream_vhost.as_ref().unwrap().to_string(),
        "inner.example"
    );
    let rewrite = rewrite(&parsed.routing).unwrap();
    assert_eq!(rewrite.forwarded_prefix.unwrap().source(), "/p");
    assert_eq!(parsed.routing.default_backend.as_deref(), Some("errors"));
    assert_eq!(parsed.access_log, Some(false));
    assert!(parsed.problems.is_empty());
}

fn rewrite(routing: &Routing) -> Option<PatternRewrite> {
    let pattern = Pattern::new("").unwrap();
    match routing.changed("")?.rewrite(Arc::new(pattern))? {
        Rewrite::Pattern(rewrite) => Some(rewrite),
        Rewrite::Path(_) => None,
    }
}

fn target(routing: &Routing) -> Option<String> {
    Some(rewrite(routing)?.target.source().to_owned())
}

#[test]
fn broken_templates_rewrite_nothing_and_are_reported() {
    let pairs = [
        (
            [("rewrite-target", "/$"), ("x-forwarded-prefix", "/p")],
            "rewrite-target",
        ),
        (
            [("rewrite-target", "/x"), ("x-forwarded-prefix", "$")],
            "x-forwarded-prefix",
        ),
    ];
    for (pairs, name) in pairs {
        let parsed = parse(&pairs);
        assert!(
            has_problem(&parsed, name, "paths are not rewritten"),
            "{name}"
        );
        assert_eq!(rewrite(&parsed.routing), None);
        assert!(
            parsed.routing.is_regex("/"),
            "the host's mode is that of a good template"
        );
    }
    let same = parse(&[("rewrite-target", "/same")]).routing;
    assert!(!same.is_regex("/same") && same.is_regex("/other"));
    let alone = parse(&[("x-forwarded-prefix", "/p")]);
    assert!(has_problem(
        &alone,
        "x-forwarded-prefix",
        "without rewrite-target"
    ));
}

#[test]
fn aliases_that_are_expressions() {
    let parsed = parse(&[("server-alias", "B.example,~^a[0-9]$,~[")]);
    let aliases = parsed.routing.server_aliases.clone().unwrap();
    assert_eq!(aliases.names, ["b.example".into()]);
    assert_eq!(aliases.expressions.len(), 1);
    // Only an expression with a capital letter ignores case.
    assert!(aliases.expressions[0].is_match(b"a1") && !aliases.expressions[0].is_match(b"A1"));
    assert!(has_problem(
        &parsed,
        "server-alias",
        "\"~[\" is not a regular expression"
    ));
    let few = Rules {
        expressions: 1,
        ..Rules::default()
    };
    let parsed = IngressAnnotations::parse(&few, &annotations(&[("server-alias", "~a,~b,~c")]));
    assert_eq!(parsed.routing.server_aliases.unwrap().expressions.len(), 1);
    assert_eq!(parsed.problems.len(), 1);
}
