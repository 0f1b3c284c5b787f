//! The registry is complete and consistent.

use std::collections::BTreeSet;

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Risk, Scope, all, annotations_markdown, find, removed};
use crate::ingress::registry::{Entry, Kind, OnInvalid, Protection, Support, Validation};

/// Every name that ingress-nginx does not have.
const OWN_NAMES: [&str; 16] = [
    "headgate.dev/upstream-max-connections",
    "headgate.dev/upstream-max-pending-requests",
    "headgate.dev/retry-budget-percent",
    "headgate.dev/retry-budget-minimum",
    "headgate.dev/outlier-ejection-failures",
    "headgate.dev/outlier-ejection-time",
    "headgate.dev/outlier-ejection-max-percent",
    "headgate.dev/outlier-ejection-5xx",
    "headgate.dev/slow-start",
    "headgate.dev/load-balance",
    "headgate.dev/health-check-path",
    "headgate.dev/health-check-interval",
    "headgate.dev/health-check-timeout",
    "headgate.dev/health-check-unhealthy-threshold",
    "headgate.dev/health-check-healthy-threshold",
    "headgate.dev/health-check-status",
];

/// Every name of ingress-nginx 1.15.
const NAMES: &str = "
affinity affinity-canary-behavior affinity-mode allowlist-source-range app-root auth-always-set-cookie
auth-cache-duration auth-cache-key auth-keepalive auth-keepalive-requests auth-keepalive-share-vars
auth-keepalive-timeout auth-method auth-proxy-set-headers auth-realm auth-request-redirect
auth-response-headers auth-secret auth-secret-type auth-signin auth-signin-redirect-param auth-snippet
auth-tls-error-page auth-tls-match-cn auth-tls-pass-certificate-to-upstream auth-tls-secret
auth-tls-verify-client auth-tls-verify-depth auth-type auth-url backend-protocol canary canary-by-cookie
canary-by-header canary-by-header-pattern canary-by-header-value canary-weight canary-weight-total
client-body-buffer-size configuration-snippet connection-proxy-header cors-allow-credentials
cors-allow-headers cors-allow-methods cors-allow-origin cors-expose-headers cors-max-age custom-headers
custom-http-errors default-backend denylist-source-range disable-proxy-intercept-errors enable-access-log
enable-cors enable-global-auth enable-modsecurity enable-opentelemetry enable-owasp-core-rules
enable-rewrite-log fastcgi-index fastcgi-params-configmap force-ssl-redirect from-to-www-redirect
http2-push-preload limit-allowlist limit-burst-multiplier limit-connections limit-rate limit-rate-after
limit-rpm limit-rps load-balance mirror-host mirror-request-body mirror-target modsecurity-snippet
modsecurity-transaction-id opentelemetry-operation-name opentelemetry-trust-incoming-span permanent-redirect
permanent-redirect-code preserve-trailing-slash proxy-body-size proxy-buffer-size proxy-buffering
proxy-buffers-number proxy-busy-buffers-size proxy-connect-timeout proxy-cookie-domain proxy-cookie-path
proxy-http-version proxy-max-temp-file-size proxy-next-upstream proxy-next-upstream-timeout
proxy-next-upstream-tries proxy-read-timeout proxy-redirect-from proxy-redirect-to proxy-request-buffering
proxy-send-timeout proxy-ssl-ciphers proxy-ssl-name proxy-ssl-protocols proxy-ssl-secret proxy-ssl-server-name
proxy-ssl-verify proxy-ssl-verify-depth relative-redirects rewrite-target satisfy server-alias server-snippet
service-upstream session-cookie-change-on-failure session-cookie-conditional-samesite-none
session-cookie-domain session-cookie-expires session-cookie-max-age session-cookie-name session-cookie-path
session-cookie-samesite session-cookie-secure ssl-ciphers ssl-passthrough ssl-prefer-server-ciphers
ssl-redirect stream-snippet temporal-redirect temporal-redirect-code upstream-hash-by upstream-hash-by-subset
upstream-hash-by-subset-size upstream-vhost use-port-in-redirects use-regex x-forwarded-prefix
";

#[test]
fn names_are_complete_and_unique() {
    let expected: BTreeSet<&str> = NAMES.split_whitespace().chain(OWN_NAMES).collect();
    let names: Vec<&str> = all().map(|row| row.entry.name).collect();
    assert_eq!(names.len(), 136 + OWN_NAMES.len());
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn lookup_finds_names_and_aliases_and_nothing_else() {
    for row in all() {
        assert_eq!(find(row.entry.name), Some(row));
        for alias in row.aliases {
            assert_eq!(find(alias), Some(row), "{alias}");
        }
    }
    assert_eq!(all().map(|row| row.aliases.len()).sum::<usize>(), 2);
    for name in ["", "rewrite-targe", "Rewrite-Target", "zzz", "rate-limit"] {
        assert_eq!(find(name), None, "{name}");
    }
}

#[test]
fn defaults_are_values_of_their_own_kind() {
    let entries = all().map(|row| row.entry);
    for entry in
        entries.filter(|entry| !entry.default.is_empty() && entry.name != "auth-request-redirect")
    {
        assert!(
            entry.kind.parse(entry.default, Validation::Full).is_ok(),
            "{}",
            entry.name
        );
    }
}

#[test]
fn classes_are_those_of_the_reference() {
    let class_a = "server-alias auth-type auth-secret-type auth-realm auth-url auth-tls-secret auth-tls-error-page \
        auth-tls-pass-certificate-to-upstream auth-tls-match-cn client-body-buffer-size connection-proxy-header \
        custom-http-errors default-backend fastcgi-index fastcgi-params-configmap http2-push-preload \
        opentelemetry-operation-name proxy-ssl-secret limit-rps limit-rpm limit-connections limit-allowlist \
        from-to-www-redirect relative-redirects temporal-redirect temporal-redirect-code permanent-redirect \
        permanent-redirect-code ssl-ciphers ssl-passthrough load-balance upstream-hash-by upstream-hash-by-subset \
        upstream-hash-by-subset-size upstream-vhost x-forwarded-prefix";
    let expected: BTreeSet<&str> = class_a.split_whitespace().collect();
    let actual: BTreeSet<&str> = all()
        .map(|row| row.entry)
        .filter(|entry| entry.on_invalid == OnInvalid::RefuseIngress)
        .map(|entry| entry.name)
        .collect();
    assert_eq!(actual, expected);
    // An invalid value that would switch protection off denies instead.
    for name in [
        "auth-cache-duration",
        "auth-request-redirect",
        "auth-always-set-cookie",
        "allowlist-source-range",
    ] {
        assert_eq!(
            find(name).unwrap().entry.on_invalid,
            OnInvalid::Close,
            "{name}"
        );
    }
}

#[test]
fn critical_are_the_five_snippets() {
    let critical: Vec<&str> = all()
        .filter(|row| row.risk == Risk::Critical)
        .map(|row| row.entry.name)
        .collect();
    assert_eq!(critical.len(), 5);
    assert!(critical.iter().all(|name| name.ends_with("-snippet")));
    let raw: Vec<&str> = all()
        .map(|row| row.entry)
        .filter(|entry| entry.kind == Kind::Raw && entry.support == Support::Honoured)
        .map(|entry| entry.name)
        .collect();
    let snippets = ["auth-snippet", "configuration-snippet", "server-snippet"];
    assert_eq!(raw, snippets, "parsed elsewhere");
    assert_eq!(find("server-alias").unwrap().scope, Scope::Ingress);
}

#[test]
fn removed_names_have_hints() {
    for name in [
        "secure-backends",
        "opentracing-trust",
        "global-rate-limit-window",
        "enable-influxdb",
        "influxdb-host",
    ] {
        assert!(removed(name).is_some(), "{name}");
    }
    assert_eq!(removed("secure-backends-x"), None);
    assert!(all().all(|row| removed(row.entry.name).is_none()));
}

#[test]
fn an_unknown_risk_level_is_the_lowest() {
    assert_eq!(Risk::from_setting("critical"), Risk::Critical);
    assert_eq!(Risk::from_setting("High"), Risk::High);
    assert_eq!(Risk::from_setting("all"), Risk::Low);
}

#[test]
fn the_documentation_has_a_row_for_each() {
    let page = annotations_markdown();
    assert_eq!(page.lines().count(), 138 + OWN_NAMES.len());
    for row in page.lines() {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 10, "{row}");
    }
    assert!(page.contains("`allowlist-source-range`, `whitelist-source-range`"));
}

#[test]
fn what_protects_and_is_not_honoured_closes() {
    let of = |what| -> BTreeSet<&str> {
        let closing = all().map(|row| row.entry).filter(Entry::closes);
        closing
            .filter(|entry| entry.protects == Some(what))
            .map(|entry| entry.name)
            .collect()
    };
    let names = |list: &'static str| list.split_whitespace().collect();
    let routes = "enable-modsecurity modsecurity-snippet";
    let authentication = "";
    assert_eq!(of(Protection::Routes), names(routes));
    assert_eq!(of(Protection::Authentication), names(authentication));
}

#[test]
fn objects_that_annotations_name() {
    let of = |kind| -> BTreeSet<&str> {
        let rows = all().filter(|row| row.entry.names == Some(kind));
        rows.map(|row| row.entry.name).collect()
    };
    let names = |list: &'static str| list.split_whitespace().collect();
    let maps = "auth-proxy-set-headers custom-headers fastcgi-params-configmap";
    assert_eq!(
        of(ObjectKind::Secret),
        names("auth-secret auth-tls-secret proxy-ssl-secret")
    );
    assert_eq!(of(ObjectKind::ConfigMap), names(maps));
    assert_eq!(of(ObjectKind::Service), names("default-backend"));
}
