//! Laws of the registry of keys, defaults, and the special rules of single keys.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use headgate_table as table;
use http::StatusCode;

use super::{LogLevel, LogTarget, Settings, all, find, settings_markdown};
use crate::Severity;
use crate::ingress::annotations::Risk;
use crate::ingress::policy;
use crate::ingress::registry::samples::SAMPLES;
use crate::ingress::registry::{Problem, Support, Validation};

/// Keys that ingress-nginx does not have.
const OWN_KEYS: [&str; 17] = [
    "max-regex-memory-per-namespace",
    "enable-zstd",
    "zstd-level",
    "upstream-max-connections",
    "upstream-max-pending-requests",
    "retry-budget-percent",
    "retry-budget-minimum",
    "outlier-ejection-failures",
    "outlier-ejection-time",
    "outlier-ejection-max-percent",
    "outlier-ejection-5xx",
    "slow-start",
    "max-queue-time",
    "client-body-min-rate",
    "client-body-temp-max-size",
    "max-connections-per-client",
    "max-tls-handshakes",
];

/// Every key of ingress-nginx 1.15.
const KEYS: &str = "
access-log-params access-log-path add-headers allow-backend-server-header allow-cross-namespace-resources
allow-snippet-annotations annotation-value-word-blocklist annotations-risk-level app-root bind-address
bind-address-ipv4 bind-address-ipv6 block-cidrs block-referers block-user-agents brotli-level
brotli-min-length brotli-types client-body-buffer-size client-body-timeout client-header-buffer-size
client-header-timeout compute-full-forwarded-for custom-http-errors debug-connections default-type
denylist-source-range disable-access-log disable-http-access-log disable-ipv6 disable-ipv6-dns
disable-proxy-intercept-errors disable-stream-access-log enable-access-log-for-default-backend
enable-aio-write enable-auth-access-log enable-brotli enable-modsecurity enable-multi-accept enable-ocsp
enable-opentelemetry enable-owasp-modsecurity-crs enable-real-ip enable-serial-reloads enable-syslog
enable-underscores-in-headers error-log-level error-log-path force-ssl-redirect forwarded-for-header
forwarded-for-proxy-protocol-header forwarded-host-header generate-request-id geoip2-autoreload-in-minutes
global-allowed-response-headers global-auth-always-set-cookie global-auth-cache-duration global-auth-cache-key
global-auth-method global-auth-request-redirect global-auth-response-headers global-auth-signin
global-auth-signin-redirect-param global-auth-snippet global-auth-url grpc-buffer-size-kb gzip-disable
gzip-level gzip-min-length gzip-types hide-headers hsts hsts-include-subdomains hsts-max-age hsts-preload
http-access-log-path http-redirect-code http-snippet http2-max-concurrent-streams http2-max-field-size
http2-max-header-size http2-max-requests ignore-invalid-headers keep-alive keep-alive-requests
large-client-header-buffers limit-conn-status-code limit-conn-zone-variable limit-rate limit-rate-after
limit-req-status-code load-balance location-snippet log-format-escape-json log-format-escape-none
log-format-stream log-format-upstream lua-shared-dicts main-snippet map-hash-bucket-size
max-worker-connections max-worker-open-files modsecurity-snippet nginx-status-ipv4-whitelist
nginx-status-ipv6-whitelist no-auth-locations no-tls-redirect-locations opentelemetry-config
opentelemetry-operation-name opentelemetry-trust-incoming-span otel-max-export-batch-size otel-max-queuesize
otel-sampler otel-sampler-parent-based otel-sampler-ratio otel-schedule-delay-millis otel-service-name
otlp-collector-host otlp-collector-port preserve-trailing-slash proxy-add-original-uri-header proxy-body-size
proxy-buffer-size proxy-buffering proxy-buffers-number proxy-busy-buffers-size proxy-connect-timeout
proxy-cookie-domain proxy-cookie-path proxy-headers-hash-bucket-size proxy-headers-hash-max-size
proxy-http-version proxy-max-temp-file-size proxy-next-upstream proxy-next-upstream-timeout
proxy-next-upstream-tries proxy-protocol-header-timeout proxy-read-timeout proxy-real-ip-cidr
proxy-redirect-from proxy-redirect-to proxy-request-buffering proxy-send-timeout proxy-set-headers
proxy-ssl-location-only proxy-stream-next-upstream proxy-stream-next-upstream-timeout
proxy-stream-next-upstream-tries proxy-stream-responses proxy-stream-timeout relative-redirects
retry-non-idempotent reuse-port server-name-hash-bucket-size server-name-hash-max-size server-snippet
server-tokens service-upstream skip-access-log-urls ssl-buffer-size ssl-ciphers ssl-dh-param ssl-early-data
ssl-ecdh-curve ssl-protocols ssl-redirect ssl-reject-handshake ssl-session-cache ssl-session-cache-size
ssl-session-ticket-key ssl-session-tickets ssl-session-timeout stream-access-log-path stream-snippet
strict-validate-path-type syslog-host syslog-port upstream-hash-by upstream-hash-by-subset
upstream-hash-by-subset-size upstream-keepalive-connections upstream-keepalive-requests
upstream-keepalive-time upstream-keepalive-timeout use-forwarded-headers use-geoip2 use-gzip use-http2
use-port-in-redirects use-proxy-protocol variables-hash-bucket-size variables-hash-max-size
whitelist-source-range worker-cpu-affinity worker-processes worker-shutdown-timeout
";

fn parse(pairs: &[(&str, &str)]) -> (Settings, Vec<Problem>) {
    let data: BTreeMap<String, String> = pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    Settings::parse(&data)
}

#[test]
fn keys_are_complete_and_unique() {
    let names: Vec<&str> = all().map(|entry| entry.name).collect();
    assert_eq!(names.len(), 196 + OWN_KEYS.len());
    assert_eq!(
        names.into_iter().collect::<BTreeSet<_>>(),
        KEYS.split_whitespace().chain(OWN_KEYS).collect()
    );
    assert!(all().all(|entry| find(entry.name) == Some(entry)));
    assert_eq!(find("no-such-key"), None);
}

#[test]
fn defaults_are_values_of_their_own_kind() {
    for entry in all().filter(|entry| !entry.default.is_empty()) {
        assert!(
            entry.kind.parse(entry.default, Validation::Full).is_ok(),
            "{}",
            entry.name
        );
    }
}

#[test]
fn defaults() {
    let (settings, problems) = Settings::parse(&BTreeMap::new());
    assert_eq!(problems, []);
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.closed, None);
    assert_eq!(settings.annotations.max_risk, Risk::High);
    assert!(settings.redirects.ssl && !settings.redirects.force_ssl);
    let challenge = ["/.well-known/acme-challenge"];
    assert_eq!(settings.redirects.no_tls_locations, challenge);
    assert_eq!(settings.no_auth_locations, challenge);
    assert_eq!(settings.data_plane, table::Settings::default());
    let forwarding = Arc::new(settings.upstream.forwarding.clone());
    assert_eq!(
        *policy::plain(&settings, &forwarding),
        table::Policy::default()
    );
    assert_eq!(settings.upstream.forwarding, table::Forwarding::default());
    assert_eq!(settings.upstream.balance, table::Balance::RoundRobin);
    assert_eq!(settings.access_log.target, LogTarget::Stdout);
}

#[test]
fn defaults_written_out_change_nothing() {
    for entry in all().filter(|entry| !entry.default.is_empty()) {
        let (settings, problems) = with_value(entry.name, Some(entry.default));
        assert_eq!(problems, [], "{}", entry.name);
        assert_eq!(settings, with_value(entry.name, None).0, "{}", entry.name);
    }
}

#[test]
fn other_values_than_the_default_are_settings() {
    let honoured = all().filter(|entry| entry.support == Support::Honoured);
    let without_effect = honoured.filter(|entry| {
        let valid = |text: &&&str| entry.kind.parse(text, Validation::Full).is_ok();
        let mut samples = SAMPLES.iter().filter(valid);
        let absent = with_value(entry.name, None).0;
        !samples.any(|text| with_value(entry.name, Some(text)).0 != absent)
    });
    let without_effect: Vec<_> = without_effect.map(|entry| entry.name).collect();
    assert_eq!(without_effect, [""; 0], "or without a value in SAMPLES");
}

/// The settings with this key, beside what it needs for an effect.
fn with_value(name: &str, value: Option<&str>) -> (Settings, Vec<Problem>) {
    let mut pairs = match name {
        "global-auth-cache-duration" => vec![
            ("global-auth-url", "http://auth.example/"),
            ("global-auth-cache-key", "$host$request_uri"),
        ],
        _ if name.starts_with("global-auth-") && name != "global-auth-url" => {
            vec![
                ("global-auth-url", "http://auth.example/"),
                ("global-auth-signin", "https://auth.example/"),
            ]
        }
        "otlp-collector-port" => vec![("otlp-collector-host", "otel")],
        "otel-sampler-ratio" => vec![("otel-sampler", "TraceIdRatioBased")],
        _ => Vec::new(),
    };
    pairs.retain(|(known, _)| *known != name);
    pairs.extend(value.map(|value| (name, value)));
    parse(&pairs)
}

#[test]
fn wrong_types_keep_the_default_and_unknown_keys_are_named() {
    let (settings, problems) = parse(&[
        ("keep-alive", "x"),
        ("use-http2", "maybe"),
        ("proxy-body-size", "1q"),
        ("no-such-key", "1"),
    ]);
    assert_eq!(settings, Settings::default());
    assert_eq!(problems.len(), 4);
    let severity = |key: &str| {
        problems
            .iter()
            .find(|problem| problem.field == key)
            .unwrap()
            .severity
    };
    assert_eq!(
        (severity("keep-alive"), severity("no-such-key")),
        (Severity::Warning, Severity::Info)
    );
}

#[test]
fn numbers_out_of_range_keep_the_default() {
    let pairs = [
        ("http-redirect-code", "303"),
        ("limit-req-status-code", "200"),
        ("limit-conn-status-code", "-1"),
        ("http2-max-concurrent-streams", "0"),
        ("client-header-timeout", "0"),
        ("keep-alive-requests", "0"),
        ("proxy-buffer-size", "0"),
        ("gzip-level", "10"),
        ("brotli-level", "12"),
        ("zstd-level", "0"),
        ("gzip-min-length", "-1"),
        ("gzip-disable", "("),
        ("bind-address", "localhost"),
        ("proxy-next-upstream-tries", "-1"),
    ];
    for pair in pairs {
        let (settings, problems) = parse(&[pair]);
        assert_eq!(settings, Settings::default(), "{pair:?}");
        assert_eq!(problems.len(), 1, "{pair:?}");
    }
}

#[test]
fn values_are_taken() {
    let (settings, problems) = parse(&[
        ("annotations-risk-level", "critical"),
        ("http-redirect-code", "301"),
        ("limit-req-status-code", "429"),
        ("hsts", "false"),
        ("ssl-protocols", "TLSv1.3"),
        ("proxy-real-ip-cidr", "10.0.0.0/8, 192.0.2.1"),
        ("large-client-header-buffers", "4 16k"),
        ("hide-headers", "X-Powered-By,Server"),
        ("add-headers", "ingress/extra"),
        ("load-balance", "ewma"),
        ("access-log-path", "/tmp/a.log"),
        ("http-access-log-path", "/dev/stderr"),
        ("disable-http-access-log", "true"),
        ("worker-shutdown-timeout", "10s"),
        ("annotation-value-word-blocklist", "load_module, lua"),
    ]);
    assert_eq!(problems, []);
    assert_eq!(settings.annotations.max_risk, Risk::Critical);
    assert_eq!(settings.annotations.blocklist, ["load_module", "lua"]);
    assert_eq!(
        settings.data_plane.redirect_status,
        StatusCode::MOVED_PERMANENTLY
    );
    assert_eq!(
        settings.data_plane.limit_status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(settings.data_plane.hsts, None);
    let tls = &settings.data_plane.tls;
    assert!(tls.tls13 && !tls.tls12);
    assert_eq!(settings.data_plane.forwarded.trusted.nets().len(), 2);
    assert_eq!(settings.data_plane.client.head, 64 << 10);
    assert_eq!(settings.data_plane.hidden_headers.len(), 2);
    assert_eq!(
        settings.header_maps.add.unwrap().namespace.unwrap(),
        "ingress"
    );
    assert_eq!(settings.upstream.balance, table::Balance::Ewma);
    assert_eq!(settings.access_log.target, LogTarget::Stderr);
    assert!(!settings.data_plane.access_log.enabled);
    assert_eq!(settings.data_plane.drain.as_secs(), 10);
}

#[test]
fn keys_that_ingress_nginx_does_not_have_are_taken() {
    let (settings, problems) = parse(&[("load-balance", "least_conn"), ("slow-start", "30s")]);
    assert_eq!(problems, []);
    assert_eq!(settings.upstream.balance, table::Balance::LeastConn);
    let slow_start = settings.upstream.resilience.slow_start;
    assert_eq!(slow_start, Some(std::time::Duration::from_secs(30)));
}

#[test]
fn the_error_log_follows_the_settings() {
    let log = |pairs: &[(&str, &str)]| parse(pairs).0.error_log;
    let default = log(&[]);
    assert_eq!((default.target, default.level), (LogTarget::Stderr, None));
    let file = log(&[("error-log-path", "/logs/e"), ("error-log-level", "crit")]);
    assert_eq!(file.target, LogTarget::File("/logs/e".into()));
    assert_eq!(file.level, Some(LogLevel::Error));
    let syslog = [("enable-syslog", "true"), ("syslog-host", "logs.example")];
    assert!(matches!(log(&syslog).target, LogTarget::Syslog(_)));
    let broken = [("enable-syslog", "true"), ("error-log-path", "/logs/e")];
    assert_eq!(log(&broken).target, LogTarget::File("/logs/e".into()));
    let (settings, problems) = parse(&[("skip-access-log-urls", "/a,~(")]);
    assert_eq!(*settings.data_plane.access_log.skip, ["/a".to_owned()]);
    assert!(
        problems
            .iter()
            .any(|problem| problem.message.contains("is not a regular expression"))
    );
}

#[test]
fn only_codings_in_use_reach_the_data_plane() {
    let codings = |pairs: &[(&str, &str)]| {
        let compression = parse(pairs).0.data_plane.compression;
        compression.map_or_else(Vec::new, |compression| {
            compression.coders.iter().map(ToString::to_string).collect()
        })
    };
    assert_eq!(codings(&[("gzip-level", "5")]), [""; 0]);
    let types = ("gzip-types", "a/b");
    assert_eq!(
        codings(&[("use-gzip", "true"), ("gzip-level", "5"), types]),
        ["gzip level 5 from 256 a/b,text/html"]
    );
    let all = [
        ("use-gzip", "true"),
        ("enable-brotli", "true"),
        ("enable-zstd", "true"),
        ("brotli-level", "11"),
        ("brotli-types", "*"),
        types,
    ];
    assert_eq!(
        codings(&all),
        [
            "zstd level 3 from 256 a/b,text/html",
            "br level 6 from 20 *",
            "gzip level 1 from 256 a/b,text/html"
        ]
    );
}

#[test]
fn an_empty_list_of_exemptions_exempts_nothing() {
    let (settings, _) = parse(&[
        ("no-tls-redirect-locations", ""),
        ("no-auth-locations", " "),
        ("proxy-real-ip-cidr", ""),
    ]);
    assert!(
        settings.redirects.no_tls_locations.is_empty() && settings.no_auth_locations.is_empty()
    );
    assert!(settings.data_plane.forwarded.trusted.is_empty());
}

#[test]
fn only_a_port_that_is_not_set_is_that_of_the_protocol() {
    let port = |pairs: &[(&str, &str)]| {
        let host = [("otlp-collector-host", "otel")];
        let settings = parse(&[&host, pairs].concat()).0;
        settings.data_plane.tracing.collector.as_ref().unwrap().port
    };
    assert_eq!(port(&[]), None);
    assert_eq!(port(&[("otlp-collector-port", "4317")]), Some(4317));
    assert_eq!(port(&[("otlp-collector-port", "4300")]), Some(4300));
    assert_eq!(port(&[("otlp-collector-port", "70000")]), None);
}

#[test]
fn an_unknown_risk_level_allows_only_the_lowest() {
    let (settings, problems) = parse(&[("annotations-risk-level", "everything")]);
    assert_eq!(settings.annotations.max_risk, Risk::Low);
    assert_eq!(problems.len(), 1);
}

#[test]
fn bad_trusted_proxies_are_not_trusted() {
    let (settings, problems) = parse(&[("proxy-real-ip-cidr", "nonsense")]);
    assert!(settings.data_plane.forwarded.trusted.is_empty());
    assert_eq!(problems.len(), 1);
    assert_eq!(settings.closed, None);
}

#[test]
fn unusable_protection_closes_every_route() {
    let pairs = [
        ("global-auth-url", "auth.example"),
        ("block-user-agents", "curl, ~(bot"),
        ("block-referers", "~*evil\\"),
        ("block-cidrs", "10.0.0.0/8,nonsense"),
        ("whitelist-source-range", "nonsense"),
        ("denylist-source-range", "1.2.3"),
        ("enable-modsecurity", "yes"),
        ("server-snippet", "auth_request /check;"),
        ("location-snippet", "limit_req zone=a;"),
        ("http-snippet", "server { listen 80; }"),
    ];
    for pair in pairs {
        assert!(parse(&[pair]).0.closed.is_some(), "{pair:?}");
    }
    let (firewall, problems) = parse(&[("enable-modsecurity", "true")]);
    assert!(firewall.closed.is_none() && firewall.firewall.is_some());
    assert_eq!(problems.len(), 1, "{problems:?}");
    for pair in [
        ("custom-http-errors", "404"),
        ("enable-modsecurity", "false"),
        ("enable-owasp-modsecurity-crs", "true"),
        ("modsecurity-snippet", "SecRuleEngine On"),
        ("block-cidrs", "10.0.0.0/8"),
        ("block-user-agents", "curl, ~bot"),
        ("use-gzip", "true"),
        ("server-snippet", "deny all;"),
        ("location-snippet", "sub_filter a b;"),
        (
            "http-snippet",
            "server { listen 8080; } limit_req_zone $host zone=a:1m rate=1r/s; map $host $x { default 1; }",
        ),
    ] {
        assert_eq!(parse(&[pair]).0.closed, None, "{pair:?}");
    }
}

#[test]
fn hostile_values_are_survived() {
    let long = "a,".repeat(1 << 19);
    for entry in all() {
        for text in [
            "\"; }\n",
            "$(x)",
            "../../",
            "a\0b",
            "\u{202e}",
            long.as_str(),
        ] {
            let (settings, problems) = parse(&[(entry.name, text)]);
            for problem in &problems {
                assert!(
                    problem.message.len() < 2000 && !problem.message.contains(char::is_control),
                    "{}",
                    entry.name
                );
            }
            let invalid = entry.kind.parse(text, Validation::Full).is_err();
            assert!(!invalid || !problems.is_empty(), "{}", entry.name);
            if invalid && entry.closes() {
                assert!(settings.closed.is_some(), "{}", entry.name);
            }
        }
    }
}

#[test]
fn the_documentation_has_a_row_for_each() {
    let page = settings_markdown();
    assert_eq!(page.lines().count(), 198 + OWN_KEYS.len());
    for row in page.lines() {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 7, "{row}");
    }
}
