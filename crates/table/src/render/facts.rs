//! The settings of a route or an upstream that differ from the defaults, in a fixed order.

use std::fmt::{Debug, Display};
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::resilience::resilience_facts;
use super::script::script_facts;
use crate::{
    AddressRule, Affinity, AlternativeName, Authorities, Authorization, AuthorizationProtocol,
    BackendProtocol, Balance, Cors, CorsRules, Credentials, ErrorPages, ExternalAuth, FastCgi,
    FetchCors, Forwarding, HttpsRedirect, IpSet, Location, Mirror, MirrorPath, OriginPattern,
    Origins, PathEdit, Policy, ReplaceRule, Retry, RetryOn, Rewrite, Route, Satisfy, Session,
    SessionCarrier, Tracing, Upstream, UpstreamTls, UrlParts, Users,
};

/// Facts in the order in which they are added.
#[derive(Default)]
pub(super) struct Facts(Vec<String>);

impl Facts {
    /// Adds `name value` if the value differs from the default.
    pub(super) fn differs<T: PartialEq + Debug>(&mut self, name: &str, value: &T, default: &T) {
        if value != default {
            self.0.push(format!("{name} {value:?}"));
        }
    }

    /// Adds `name value` if the value is set.
    pub(super) fn some<T: Display>(&mut self, name: &str, value: Option<T>) {
        self.0.extend(value.map(|value| format!("{name} {value}")));
    }

    /// Adds `text` if `holds`.
    pub(super) fn holds(&mut self, text: &str, holds: bool) {
        if holds {
            self.0.push(text.to_owned());
        }
    }

    pub(super) fn push(&mut self, fact: String) {
        self.0.push(fact);
    }

    pub(super) fn list(self) -> Vec<String> {
        self.0
    }
}

/// The value of a header field as text.
pub(super) fn value(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

pub(super) fn nets(set: &IpSet) -> String {
    let nets: Vec<String> = set.nets().iter().map(ToString::to_string).collect();
    nets.join(",")
}

/// Everything of a route that differs from the defaults.
pub fn route_facts(route: &Route) -> Vec<String> {
    let mut facts = Facts::default();
    match route.https {
        HttpsRedirect::Never => {}
        HttpsRedirect::WhenHostHasTls => facts.push("ssl-redirect".into()),
        HttpsRedirect::Always => facts.push("force-ssl-redirect".into()),
    }
    match route.rewrite.as_deref() {
        Some(Rewrite::Pattern(rewrite)) => {
            facts.push(format!("rewrite {}", rewrite.target));
            facts.some("prefix", rewrite.forwarded_prefix.as_ref());
        }
        Some(Rewrite::Path(edit)) => facts.push(format!("rewrite {}", path_edit_fact(edit))),
        None => {}
    }
    policy(&route.policy, &mut facts);
    facts.some(
        "error-pages",
        route.error_pages.as_deref().map(error_pages_fact),
    );
    facts.list()
}

/// The location, or the parts of the URL that are replaced.
fn location_fact(location: &Location) -> String {
    let parts = match location {
        Location::Fixed(location) => return value(location),
        Location::Url(parts) => parts,
    };
    let UrlParts {
        https,
        host,
        port,
        path,
    } = &**parts;
    let scheme = https.map(|https| if https { "https" } else { "http" });
    let mut facts = Facts::default();
    facts.some("scheme", scheme);
    facts.some("host", host.as_ref());
    facts.some("port", *port);
    facts.some("path", path.as_ref().map(path_edit_fact));
    format!("with {}", facts.list().join(", "))
}

/// The new path, or `/prefix* -> /replacement*`.
fn path_edit_fact(edit: &PathEdit) -> String {
    match edit {
        PathEdit::Full(path) => path.to_string(),
        PathEdit::Prefix { from, to } => format!("{from}/* -> {to}/*"),
    }
}

/// `404,503 of shop/errors/`; `own` where responses of upstreams stay as they are.
pub(super) fn error_pages_fact(pages: &ErrorPages) -> String {
    let statuses = pages.statuses().iter().map(|status| status.as_str());
    let statuses: Vec<&str> = statuses.collect();
    let sources: Vec<&str> = pages.sources.iter().map(|key| key.as_str()).collect();
    let own = if pages.upstreams { "" } else { " own" };
    format!("{}{own} of {}", statuses.join(","), sources.join("|"))
}

fn policy(policy: &Policy, facts: &mut Facts) {
    if let Some(script) = &policy.script {
        script_facts(script, facts);
    }
    if let Some(redirect) = &policy.redirect {
        let status = redirect.status.as_u16();
        facts.push(format!(
            "redirect {status} {}",
            location_fact(&redirect.location)
        ));
    }
    match policy.cors.as_deref() {
        Some(CorsRules::Nginx(cors)) => cors_facts(cors, facts),
        Some(CorsRules::Fetch(cors)) => fetch_cors_facts(cors, facts),
        None => {}
    }
    if let Some(service) = &policy.authorization {
        authorization_facts(service, facts);
    }
    if let Some(session) = &policy.session {
        facts.push(session_fact(session));
    }
    if let Some(limits) = &policy.limits {
        facts.some("rps", limits.per_second);
        facts.some("rpm", limits.per_minute);
        facts.some("connections", limits.connections);
        facts.some(
            "exempt",
            Some(nets(&limits.exempt)).filter(|list| !list.is_empty()),
        );
    }
    if let Some(access) = &policy.access {
        let deny = Some(nets(&access.deny)).filter(|list| !list.is_empty());
        facts.some("deny", deny);
        facts.some("allow", access.allow.as_ref().map(nets));
        for AddressRule { allow, net } in &access.rules {
            let net = net.map_or_else(|| "all".to_owned(), |net| net.to_string());
            facts.push(format!(
                "then {} {net}",
                if *allow { "allow" } else { "deny" }
            ));
        }
    }
    if let Some(authentication) = &policy.authentication {
        facts.some(
            "auth",
            authentication.credentials.as_deref().map(credentials),
        );
        if let Some(service) = &authentication.external {
            external_auth(service, facts);
        }
    }
    facts.holds("satisfy any", policy.satisfy == Satisfy::Any);
    if let Some(mirror) = &policy.mirror {
        mirror_facts(mirror, facts);
    }
    if let Some(tracing) = &policy.tracing {
        facts.push(tracing_fact(tracing));
    }
    forwarding(&policy.forwarding, facts);
    for (name, _) in policy.response_headers.iter() {
        facts.push(format!("header {name}"));
    }
    facts.holds("keeps-final-slash", policy.preserve_trailing_slash);
    facts.holds("port-in-redirects", policy.port_in_redirects);
    facts.holds("relative-redirects", policy.relative_redirects);
    facts.holds("no-access-log", !policy.access_log);
    facts.holds("no-hsts", !policy.hsts);
}

/// Target, path and share of a mirror.
pub(super) fn mirror_fact(mirror: &Mirror) -> String {
    let mut fact = mirror.target.key().to_string();
    match &mirror.path {
        MirrorPath::Same => {}
        MirrorPath::Fixed(path) => fact.push_str(&format!(" {path}")),
        MirrorPath::Template(path) => fact.push_str(&format!(" {}", path.source())),
    }
    if let Some(share) = mirror.share {
        fact.push_str(&format!(" {}/{}", share.part, share.of));
    }
    fact
}

fn mirror_facts(mirror: &Mirror, facts: &mut Facts) {
    facts.push(format!("mirror {}", mirror_fact(mirror)));
    facts.some("mirror-host", mirror.host.as_ref());
    facts.holds("mirror-without-body", !mirror.body);
}

/// `traced untrusted as "name"`.
fn tracing_fact(tracing: &Tracing) -> String {
    let Tracing {
        trusts_client,
        name,
    } = tracing;
    let trust = if *trusts_client { "" } else { " untrusted" };
    let name = name.as_ref().map(|name| format!(" as {:?}", name.source()));
    format!("traced{trust}{}", name.unwrap_or_default())
}

fn external_auth(service: &ExternalAuth, facts: &mut Facts) {
    facts.push(format!(
        "auth-service {} {}",
        service.target.key(),
        service.path
    ));
    facts.some("auth-method", service.method.as_ref());
    facts.some("auth-redirect", service.redirect.as_ref());
    if let Some(sign_in) = &service.sign_in {
        let parameter = sign_in.parameter.as_deref().unwrap_or_default();
        facts.push(format!("sign-in {}{parameter}", sign_in.url));
    }
    if let Some(cache) = &service.cache {
        facts.push(format!("auth-cache {}", cache.key));
        for rule in cache.rules.iter() {
            let statuses = rule.statuses.iter().map(|status| status.as_str());
            let statuses: Vec<&str> = statuses.collect();
            facts.push(format!("keeps {} {:?}", statuses.join(","), rule.lifetime));
        }
    }
    for (name, _) in service.request_fields.iter() {
        facts.push(format!("auth-request-field {name}"));
    }
    for name in service.response_fields.iter() {
        facts.push(format!("auth-response-field {name}"));
    }
    facts.holds("auth-cookies-always", service.always_set_cookie);
}

/// Users are counted and not named.
fn credentials(credentials: &Credentials) -> String {
    let scheme = match credentials.users {
        Users::Basic(_) => "basic",
        Users::Digest(_) => "digest",
    };
    let (realm, users) = (&credentials.realm, credentials.len());
    format!("{scheme} {realm:?} users {users}")
}

fn origins_fact(origins: &Origins) -> String {
    let origin = |origin: &OriginPattern| match origin {
        OriginPattern::Exact(exact) => exact.clone(),
        OriginPattern::OneLabel { scheme, suffix } => format!("{scheme}*{suffix}"),
        OriginPattern::Labels { scheme, suffix } => format!("{scheme}**{suffix}"),
    };
    match origins {
        Origins::Any => "cors *".into(),
        Origins::List(list) => {
            let list: Vec<String> = list.iter().map(origin).collect();
            format!("cors {}", list.join(","))
        }
    }
}

fn fetch_cors_facts(cors: &FetchCors, facts: &mut Facts) {
    facts.push(origins_fact(&cors.origins));
    let or_all =
        |allowed: &Option<HeaderValue>| allowed.as_ref().map_or_else(|| "*".to_owned(), value);
    facts.push(format!("cors-methods {}", or_all(&cors.methods)));
    facts.push(format!("cors-headers {}", or_all(&cors.headers)));
    facts.some("cors-expose", cors.expose.as_ref().map(value));
    facts.holds("cors-credentials", cors.credentials);
    facts.some("cors-max-age", Some(value(&cors.max_age)));
}

fn cors_facts(cors: &Cors, facts: &mut Facts) {
    facts.push(origins_fact(&cors.origins));
    let defaults = Cors::default();
    facts.differs("cors-methods", &cors.methods, &defaults.methods);
    facts.differs("cors-headers", &cors.headers, &defaults.headers);
    facts.some("cors-expose", cors.expose.as_ref().map(value));
    facts.holds("cors-without-credentials", !cors.credentials);
    facts.differs("cors-max-age", &cors.max_age, &defaults.max_age);
}

fn authorization_facts(service: &Authorization, facts: &mut Facts) {
    let Authorization {
        target,
        protocol,
        body_limit,
    } = service;
    let names = |names: &[HeaderName]| {
        let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
        Some(names.join(",")).filter(|names| !names.is_empty())
    };
    let target = target.key();
    match protocol {
        AuthorizationProtocol::Http {
            path,
            request_fields,
            response_fields,
        } => {
            facts.push(match &**path {
                "" => format!("asks {target}"),
                path => format!("asks {target} at {path}"),
            });
            facts.some("asks-with", names(request_fields));
            facts.some("asks-for", response_fields.as_deref().and_then(names));
        }
        AuthorizationProtocol::Grpc {
            authority,
            request_fields,
        } => {
            facts.push(format!("calls {target} as {}", value(authority)));
            facts.some("asks-with", request_fields.as_deref().and_then(names));
        }
    }
    facts.some("asks-with-body", *body_limit);
}

fn session_fact(session: &Session) -> String {
    let carrier = match &session.carrier {
        SessionCarrier::Cookie { name, permanent } => {
            let kind = if *permanent {
                "permanent cookie"
            } else {
                "cookie"
            };
            format!("{kind} {name}")
        }
        SessionCarrier::Field(name) => format!("field {name}"),
    };
    match session.timeout {
        Some(timeout) => format!("session by {carrier} for {timeout:?}"),
        None => format!("session by {carrier}"),
    }
}

fn forwarding(forwarding: &Forwarding, facts: &mut Facts) {
    let defaults = Forwarding::default();
    let Forwarding {
        connect_timeout,
        send_timeout,
        read_timeout,
        attempt_timeout,
        request_timeout,
        retry,
        replay_memory,
        body_limit,
        buffer_request,
        body_memory,
        response_head_limit,
        buffer_response,
        response_file_limit,
        response_rate,
        http_version,
        fastcgi,
        host,
        connection_header,
        cookie_domain,
        cookie_path,
        location,
    } = forwarding;
    facts.some("host", host.as_ref());
    for (name, own, default) in [
        ("connect-timeout", connect_timeout, defaults.connect_timeout),
        ("send-timeout", send_timeout, defaults.send_timeout),
        ("read-timeout", read_timeout, defaults.read_timeout),
    ] {
        facts.differs(name, own, &default);
    }
    let time = |time: &Duration| format!("{time:?}");
    facts.some("attempt-timeout", attempt_timeout.as_ref().map(time));
    facts.some("request-timeout", request_timeout.as_ref().map(time));
    retry_facts(retry, facts);
    facts.differs("replay-memory", replay_memory, &defaults.replay_memory);
    if *body_limit != defaults.body_limit {
        let limit = body_limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string());
        facts.push(format!("body-limit {limit}"));
    }
    facts.holds("unbuffered-request", !buffer_request);
    facts.differs("body-memory", body_memory, &defaults.body_memory);
    facts.differs(
        "response-head-limit",
        response_head_limit,
        &defaults.response_head_limit,
    );
    facts.holds("buffered-response", *buffer_response);
    facts.differs(
        "response-file-limit",
        response_file_limit,
        &defaults.response_file_limit,
    );
    if let Some(rate) = response_rate {
        facts.push(format!("response-rate {} after {}", rate.bytes, rate.after));
    }
    facts.differs("http-version", http_version, &defaults.http_version);
    fastcgi_facts(fastcgi.as_deref(), facts);
    if let Some(connection) = connection_header {
        facts.push(format!("connection {connection:?}").to_lowercase());
    }
    for (name, rule) in [
        ("cookie-domain", cookie_domain),
        ("cookie-path", cookie_path),
        ("location", location),
    ] {
        let text = |rule: &ReplaceRule| format!("{}->{}", rule.from, rule.to);
        facts.some(name, rule.as_ref().map(text));
    }
}

fn fastcgi_facts(fastcgi: Option<&FastCgi>, facts: &mut Facts) {
    let Some(fastcgi) = fastcgi else { return };
    facts.some("fastcgi-index", fastcgi.index.as_deref());
    let params = fastcgi.params.iter();
    let params: Vec<String> = params
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !params.is_empty() {
        facts.push(format!("fastcgi-params {}", params.join(" ")));
    }
}

fn retry_facts(retry: &Retry, facts: &mut Facts) {
    let defaults = Retry::default();
    if retry.on != defaults.on {
        facts.push(format!("retry-on {}", conditions(retry.on)));
    }
    if retry.tries != defaults.tries {
        let tries = retry
            .tries
            .map_or_else(|| "unlimited".into(), |tries| tries.to_string());
        facts.push(format!("tries {tries}"));
    }
    let timeout = |time: Duration| format!("{time:?}");
    facts.some("tries-timeout", retry.timeout.map(timeout));
    facts.holds("retry-non-idempotent", retry.non_idempotent);
    facts.some("backoff", retry.backoff.map(timeout));
}

fn conditions(on: RetryOn) -> String {
    let RetryOn {
        error,
        timeout,
        invalid_header,
        statuses,
    } = on;
    let all = [
        (error, "error"),
        (timeout, "timeout"),
        (invalid_header, "invalid_header"),
    ];
    let all = all
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| name.to_owned());
    let statuses = statuses.iter().map(|status| status.to_string());
    let on: Vec<String> = all.chain(statuses).collect();
    if on.is_empty() {
        "nothing".into()
    } else {
        on.join(",")
    }
}

pub(super) fn upstream_facts(upstream: &Upstream) -> Vec<String> {
    let mut facts = Facts::default();
    if upstream.protocol != BackendProtocol::Http {
        facts.push(format!("{:?}", upstream.protocol).to_uppercase());
    }
    if let Some(tls) = &upstream.tls {
        facts.push(tls_fact(tls));
    }
    if let Some(affinity) = upstream.affinity.as_deref() {
        facts.push(affinity_fact(affinity));
    }
    if let Some(timeout) = upstream.client_ip_affinity {
        facts.push(format!("client-ip {}s", timeout.as_secs()));
    }
    match &upstream.balance {
        Balance::RoundRobin => {}
        Balance::Ewma => facts.push("ewma".into()),
        Balance::LeastConn => facts.push("least_conn".into()),
        Balance::Hash { key, subset: None } => facts.push(format!("hash {key}")),
        Balance::Hash {
            key,
            subset: Some(size),
        } => facts.push(format!("hash {key} subset {size}")),
    }
    resilience_facts(&upstream.resilience, &mut facts);
    facts.list()
}

/// `upstream-tls verify=false`, and what differs from verification off, depth 1, no name and TLS 1.2.
fn tls_fact(tls: &UpstreamTls) -> String {
    let mut facts = Facts::default();
    facts.push(format!("upstream-tls verify={}", tls.verify));
    facts.differs("depth", &tls.verify_depth, &1);
    facts.holds("sends-name", tls.server_name);
    facts.some("name", tls.name.as_deref());
    for name in tls.alternatives.iter() {
        facts.push(match name {
            AlternativeName::Dns(name) => format!("dns={name}"),
            AlternativeName::Uri(uri) => format!("uri={uri}"),
        });
    }
    match &tls.authorities {
        Authorities::System => facts.push("authorities=system".to_owned()),
        Authorities::Listed(list) if tls.verify && list.is_empty() => {
            facts.push("authorities=none".to_owned());
        }
        Authorities::Listed(_) => {}
    }
    if !tls.ciphers.is_empty() {
        facts.push(format!("ciphers={}", tls.ciphers.join(":")));
    }
    facts.some("client", tls.client.as_ref().map(|client| &client.source));
    if (tls.tls12, tls.tls13) != (true, false) {
        let versions = [(tls.tls12, "1.2"), (tls.tls13, "1.3")];
        let versions = versions.into_iter().filter(|(offered, _)| *offered);
        let versions: Vec<&str> = versions.map(|(_, name)| name).collect();
        facts.push(format!("versions {}", versions.join(",")));
    }
    facts.list().join(" ")
}

fn affinity_fact(affinity: &Affinity) -> String {
    let Affinity {
        cookie,
        mode,
        path,
        domain,
        max_age,
        expires,
        always_secure,
        same_site,
        conditional_same_site_none,
        change_on_failure,
    } = affinity;
    let mode = format!("{mode:?}").to_lowercase();
    let mut out = vec![format!("cookie {cookie} {mode}")];
    for (name, value) in [("path", path), ("domain", domain)] {
        out.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    for (name, value) in [("max-age", max_age), ("expires", expires)] {
        out.extend(value.map(|value| format!("{name}={value}")));
    }
    out.extend(same_site.map(|site| format!("samesite={}", site.as_str())));
    for (name, on) in [
        ("secure", always_secure),
        ("conditional-samesite-none", conditional_same_site_none),
        ("change-on-failure", change_on_failure),
    ] {
        out.extend(on.then(|| name.to_owned()));
    }
    out.join(" ")
}
