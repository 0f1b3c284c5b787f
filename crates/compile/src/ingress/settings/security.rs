//! Restrictions of annotations, address lists, authentication and snippets.

use std::sync::Arc;

use headgate_table::{AccessRules, IpSet};
use http::StatusCode;
use ipnet::IpNet;

use super::read::Source;
use super::registry::{Setting, not_yet, setting};
use crate::ingress::annotations::Risk;
use crate::ingress::closed::Denial;
use crate::ingress::family::errors::GlobalErrors;
use crate::ingress::family::firewall;
use crate::ingress::registry::{Protection, Unhonoured, When, differences, keys, types};

keys! { Setting {
    ALLOW_SNIPPET_ANNOTATIONS: bool =
        setting("allow-snippet-annotations", types::BOOL, "false",
            "With annotations-risk-level Critical, the supported directives of snippet annotations are honoured; otherwise these close their routes, and the webhook denies them.");
    ANNOTATIONS_RISK_LEVEL: String =
        setting("annotations-risk-level", types::RAW, "High",
            "Highest risk of an annotation: Low, Medium, High or Critical.");
    ANNOTATION_VALUE_WORD_BLOCKLIST: Vec<String> =
        setting("annotation-value-word-blocklist", types::LIST, "",
            "An Ingress with a value that contains one of these is refused.");
    ALLOW_CROSS_NAMESPACE_RESOURCES: bool =
        setting("allow-cross-namespace-resources", types::BOOL, "false",
            "Annotations may refer to Secrets and ConfigMaps of other namespaces.");
    MAX_REGEX_MEMORY: u64 =
        setting("max-regex-memory-per-namespace", types::SIZE, "64m",
            "What the regular expressions of the Ingresses of a namespace may take by repetitions such as {100}; Ingresses beyond it, the youngest, are not served. 0 means any. Only in Headgate.");
    STRICT_VALIDATE_PATH_TYPE: bool =
        setting("strict-validate-path-type", types::BOOL, "true",
            "The webhook denies regex characters in Exact and Prefix paths.");
    GLOBAL_ALLOWED_RESPONSE_HEADERS: Vec<String> =
        setting("global-allowed-response-headers", types::LIST, "", "Headers that custom-headers may set.");
    BLOCK_CIDRS: Vec<IpNet> =
        setting("block-cidrs", types::CIDRS, "", "These clients get 403 on every route without an address list.")
            .protects(Protection::Routes);
    BLOCK_USER_AGENTS: String =
        setting("block-user-agents", types::RAW, "",
            "Requests of these user agents get 403: a comma list of whole texts, ~ expressions and ~* case-insensitive ones.")
            .protects(Protection::Routes)
            .differs(differences![
                When::Sometimes =>
                    "An entry that cannot be used closes every route with 503, with a finding; nginx does not load such a configuration.",
            ]);
    BLOCK_REFERERS: String =
        setting("block-referers", types::RAW, "",
            "Requests with these referers get 403: a comma list of whole texts, ~ expressions and ~* case-insensitive ones.")
            .protects(Protection::Routes)
            .differs(differences![
                When::Sometimes =>
                    "An entry that cannot be used closes every route with 503, with a finding; nginx does not load such a configuration.",
            ]);
    WHITELIST_SOURCE_RANGE: Vec<IpNet> =
        setting("whitelist-source-range", types::CIDRS, "", "Default of allowlist-source-range.")
            .protects(Protection::Routes);
    DENYLIST_SOURCE_RANGE: Vec<IpNet> =
        setting("denylist-source-range", types::CIDRS, "", "Default of denylist-source-range.")
            .protects(Protection::Routes);
    NO_AUTH_LOCATIONS: Vec<String> =
        setting("no-auth-locations", types::LIST, "/.well-known/acme-challenge",
            "Ingress paths without authentication.");
    CUSTOM_HTTP_ERRORS: Vec<String> =
        setting("custom-http-errors", types::LIST, "", "Default of the annotation; status codes from 300 to 599.")
            .differs(differences![
                When::Sometimes =>
                    "A malformed request gets 400 even if 400 is listed; in ingress-nginx 500.",
            ]);
    DISABLE_PROXY_INTERCEPT_ERRORS: bool =
        setting("disable-proxy-intercept-errors", types::BOOL, "false",
            "With custom-http-errors here: errors of upstreams pass unchanged on routes without an annotation custom-http-errors.");
    GLOBAL_AUTH_URL: String =
        setting("global-auth-url", types::RAW, "", "Sends a subrequest to this URL on every route, which decides whether a request may pass.")
            .protects(Protection::Authentication)
            .differs(differences![
                When::Has(&["$"]) =>
                    "Variables are those of the client's request, and one in the host closes every route, except $host alone; in ingress-nginx $args and $uri are those of the subrequest.",
            ]);
    GLOBAL_AUTH_METHOD: String =
        setting("global-auth-method", types::RAW, "", "Method of the request to global-auth-url.");
    GLOBAL_AUTH_SIGNIN: String =
        setting("global-auth-signin", types::RAW, "", "Where a client is redirected when global-auth-url responds with 401.");
    GLOBAL_AUTH_SIGNIN_REDIRECT_PARAM: String =
        setting("global-auth-signin-redirect-param", types::RAW, "rd", "Query parameter with the original URL.");
    GLOBAL_AUTH_RESPONSE_HEADERS: Vec<String> =
        setting("global-auth-response-headers", types::LIST, "", "Headers copied to the request for the backend.")
            .differs(differences![
                When::Sometimes =>
                    "A name that is not valid closes every route but exempt paths; ingress-nginx leaves it out.",
            ]);
    GLOBAL_AUTH_REQUEST_REDIRECT: String =
        setting("global-auth-request-redirect", types::RAW, "", "X-Auth-Request-Redirect of the request to global-auth-url.");
    GLOBAL_AUTH_SNIPPET: String =
        setting("global-auth-snippet", types::RAW, "",
            "proxy_set_header directives for requests to global-auth-url; with others every route responds with 503.")
            .protects(Protection::Authentication);
    GLOBAL_AUTH_CACHE_KEY: String = setting("global-auth-cache-key", types::RAW, "", "Caches responses of global-auth-url under this key.")
            .differs(differences![
                When::Set =>
                    "Nothing is cached for a request whose key is empty; in ingress-nginx such clients share a response.",
            ]);
    GLOBAL_AUTH_CACHE_DURATION: String =
        setting("global-auth-cache-duration", types::RAW, "200 202 401 5m", "How long responses of global-auth-url are cached.")
            .differs(differences![
                When::Sometimes =>
                    "A value that is not valid closes every route but exempt paths; ingress-nginx leaves it out.",
            ]);
    GLOBAL_AUTH_ALWAYS_SET_COOKIE: bool =
        setting("global-auth-always-set-cookie", types::BOOL, "false", "Passes Set-Cookie on every status.");
    ENABLE_MODSECURITY: bool =
        not_yet("enable-modsecurity", types::BOOL, "false", "Web application firewall; an Ingress can switch it off.")
            .protects(Protection::Routes);
    ENABLE_OWASP_MODSECURITY_CRS: bool =
        not_yet("enable-owasp-modsecurity-crs", types::BOOL, "false",
            "OWASP core rules; used only with enable-modsecurity.");
    MODSECURITY_SNIPPET: String =
        not_yet("modsecurity-snippet", types::RAW, "", "Raw rules of the firewall; used only with enable-modsecurity.");
} }

/// Restrictions of annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnotationRules {
    /// The highest risk allowed (`annotations-risk-level`).
    pub(crate) max_risk: Risk,
    /// Words that no value may contain (`annotation-value-word-blocklist`).
    pub(crate) blocklist: Vec<String>,
    /// Whether snippet annotations are allowed (`allow-snippet-annotations`); if not, they close their routes.
    pub(crate) snippets: bool,
    /// Whether the webhook denies characters of regular expressions in Exact and Prefix paths (`strict-validate-path-type`).
    pub(crate) strict_paths: bool,
    /// Whether annotations may refer to Secrets and ConfigMaps of other namespaces (`allow-cross-namespace-resources`).
    pub(crate) cross_namespace: bool,
    /// Bytes that the expressions of a namespace may take beyond their texts; `None`: any (`max-regex-memory-per-namespace`).
    pub(crate) regex_memory: Option<usize>,
    /// Header fields that custom-headers may set, case-sensitive (`global-allowed-response-headers`).
    pub(crate) allowed_response_headers: Vec<String>,
}

impl AnnotationRules {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            max_risk: max_risk(source),
            blocklist: source.get(&ANNOTATION_VALUE_WORD_BLOCKLIST),
            snippets: source.get(&ALLOW_SNIPPET_ANNOTATIONS),
            strict_paths: source.get(&STRICT_VALIDATE_PATH_TYPE),
            cross_namespace: source.get(&ALLOW_CROSS_NAMESPACE_RESOURCES),
            regex_memory: Some(source.get(&MAX_REGEX_MEMORY))
                .filter(|bytes| *bytes > 0)
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            allowed_response_headers: source.get(&GLOBAL_ALLOWED_RESPONSE_HEADERS),
        }
    }
}

/// The highest risk allowed. An unknown level falls back to Low, with a warning.
fn max_risk(source: &mut Source<'_>) -> Risk {
    let text = source.text(&ANNOTATIONS_RISK_LEVEL).trim();
    let level = Risk::from_setting(text);
    if !text.eq_ignore_ascii_case(level.as_str()) {
        source.warn(
            &ANNOTATIONS_RISK_LEVEL,
            "the value is not Low, Medium, High or Critical; Low applies",
        );
    }
    level
}

/// Why the routes of every Ingress are closed that does not switch the firewall off.
pub(super) fn firewall(source: &mut Source<'_>) -> Option<Denial> {
    if !source.get(&ENABLE_MODSECURITY) {
        return None;
    }
    let Unhonoured { reason, advice } = firewall::NO_FIREWALL;
    let message = format!(
        "{}; {advice}",
        Denial::message(reason, StatusCode::SERVICE_UNAVAILABLE)
    );
    source.error(&ENABLE_MODSECURITY, message);
    let mut denial = None;
    Denial::add(&mut denial, ENABLE_MODSECURITY.row().name, reason, false);
    denial
}

/// Error pages of routes without their own. Members of the list that are no status codes are left out.
pub(super) fn errors(source: &mut Source<'_>) -> GlobalErrors {
    let code = |text: &str| {
        let code = StatusCode::from_bytes(text.as_bytes());
        let code = code
            .ok()
            .filter(|code| (300..=599).contains(&code.as_u16()));
        code.ok_or_else(|| {
            format!(
                "\"{}\" is not a status code from 300 to 599",
                text.escape_debug()
            )
        })
    };
    GlobalErrors {
        statuses: source.each(&CUSTOM_HTTP_ERRORS, code).unwrap_or_default(),
        own_only: source.get(&DISABLE_PROXY_INTERCEPT_ERRORS),
    }
}

/// Address lists of all routes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AccessDefaults {
    /// Allow list of routes without one; empty allows all (`whitelist-source-range`).
    pub(crate) allowlist: Vec<IpNet>,
    /// Deny list of routes without one (`denylist-source-range`).
    pub(crate) denylist: Vec<IpNet>,
    /// The rules of routes without any list: both lists, and `block-cidrs`.
    pub(crate) rules: Option<Arc<AccessRules>>,
    /// The rules of hosts that nothing serves: only `block-cidrs`.
    pub(crate) blocked: Option<Arc<AccessRules>>,
    /// The networks of `block-cidrs`.
    pub(crate) blocklist: Vec<IpNet>,
}

impl AccessDefaults {
    /// An invalid list closes every route, so it may be treated as absent here.
    pub(super) fn read(source: &Source<'_>) -> Self {
        let allowlist: Vec<IpNet> = source.get(&WHITELIST_SOURCE_RANGE);
        let denylist = source.get(&DENYLIST_SOURCE_RANGE);
        let blocked: Vec<IpNet> = source.get(&BLOCK_CIDRS);
        let deny: IpSet = blocked.iter().chain(&denylist).copied().collect();
        let allow = (!allowlist.is_empty()).then(|| allowlist.iter().copied().collect());
        let rules = (!deny.is_empty() || allow.is_some()).then_some(AccessRules {
            deny,
            allow,
            rules: Box::default(),
        });
        Self {
            allowlist,
            denylist,
            rules: rules.map(Arc::new),
            blocked: (!blocked.is_empty()).then(|| {
                Arc::new(AccessRules {
                    deny: blocked.iter().copied().collect(),
                    allow: None,
                    rules: Box::default(),
                })
            }),
            blocklist: blocked,
        }
    }
}
