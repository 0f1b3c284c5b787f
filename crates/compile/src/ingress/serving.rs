//! The ConfigMap's settings as the data plane takes them.

use std::sync::Arc;
use std::time::Duration;

use headgate_table as table;
use headgate_table::{IpSet, Template};
use http::{HeaderName, HeaderValue};

use crate::finding::{Finding, Severity, Subject};
use crate::ingress::annotations::NameRef as Reference;
use crate::ingress::settings::{Client, Hsts, Settings};
use crate::objects::ConfigMap;
use crate::{Kind, Name, ObjectRef, Options, Snapshot};

/// Settings of the data plane, with findings about the ConfigMaps that they name.
pub(crate) fn serving(
    settings: &Settings,
    snapshot: &Snapshot,
    options: &Options,
) -> (table::Settings, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut map = |key: &str, named: &Option<Reference>| {
        headers_of(key, named.as_ref(), snapshot, options, &mut findings)
    };
    let request_headers = map("proxy-set-headers", &settings.headers.proxy_set);
    let response_headers = map("add-headers", &settings.headers.add);
    let mut subject = Reporter {
        options,
        findings: &mut findings,
    };
    let request_headers = request_headers.into_iter().filter_map(|(name, value)| {
        Template::parse(&value)
            .map_err(|error| {
                subject.report(
                    "proxy-set-headers",
                    format!("value of {name}: {error}; not sent"),
                )
            })
            .ok()
            .map(|template| (name, template))
    });
    let request_headers: Vec<_> = request_headers.collect();
    let response_headers: Vec<_> = response_headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
        .collect();
    let limit_key = Template::parse(&settings.limits.key).unwrap_or_else(|error| {
        subject.report(
            "limit-conn-zone-variable",
            format!("{error}; clients are counted by address"),
        );
        Template::binary_remote_addr()
    });
    let forwarded = &settings.forwarded;
    let serving = table::Settings {
        forwarded: table::ForwardedTrust {
            use_forwarded_headers: forwarded.use_forwarded,
            real_ip: forwarded.real_ip,
            append: forwarded.compute_full,
            for_header: forwarded.for_header.clone(),
            host_header: forwarded.host_header.clone(),
            trusted: forwarded.trusted.iter().copied().collect(),
            proxy_protocol: forwarded.proxy_protocol,
            proxy_protocol_timeout: forwarded.proxy_protocol_timeout,
        },
        client: client(&settings.client),
        tls: table::TlsSettings {
            tls12: settings.tls.versions.tls12,
            tls13: settings.tls.versions.tls13,
            ciphers: settings.tls.ciphers.clone().into(),
            session_cache: settings.tls.session_cache,
            session_tickets: settings.tls.session_tickets,
            reject_unknown: settings.tls.reject_unknown_names,
        },
        hsts: settings.hsts.as_ref().map(hsts),
        pool: table::PoolSettings {
            idle: settings.upstream.keepalive_connections as usize,
            idle_timeout: settings.upstream.keepalive_timeout,
            requests: u64::from(settings.upstream.keepalive_requests),
            age: settings.upstream.keepalive_time,
        },
        access_log: table::AccessLogSettings {
            enabled: settings.access_log.enabled,
            default_backend: settings.access_log.default_backend,
            skip: settings.access_log.skip_urls.clone().into(),
        },
        redirect_status: settings.redirects.code,
        limit_status: settings.limits.request_status,
        limit_connections_status: settings.limits.connection_status,
        limit_key,
        http2: settings.client.http2,
        generate_request_id: settings.headers.generate_request_id,
        add_original_uri: settings.headers.add_original_uri,
        underscores_in_headers: settings.client.underscores,
        request_headers: request_headers.into(),
        response_headers: response_headers.into(),
        hidden_headers: settings.headers.hide.clone().into(),
        server_tokens: settings.headers.server_tokens,
        backend_server_header: settings.headers.allow_backend_server,
        drain: settings.shutdown_timeout,
        health_path: options.health_path.clone(),
    };
    (serving, findings)
}

/// The ConfigMap as `namespace/name`; without a namespace, the one of the settings.
pub(crate) fn config_map_name(named: &Reference, own: &str) -> Name {
    Name::new(named.namespace_or(own), &named.name)
}

/// Headers of a ConfigMap: every key a name, every value a value.
///
/// # Errors
/// The first entry that is no header, in words.
pub(crate) fn headers(map: &ConfigMap) -> Result<Vec<(HeaderName, String)>, String> {
    let data = map.data.iter();
    data.map(|(name, value)| {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("\"{}\" is not a header name", name.escape_debug()))?;
        HeaderValue::from_str(value)
            .map_err(|_| format!("the value of {name} holds a control character"))?;
        Ok((header, value.clone()))
    })
    .collect()
}

fn headers_of(
    key: &str,
    named: Option<&Reference>,
    snapshot: &Snapshot,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<(HeaderName, String)> {
    let Some(named) = named else {
        return Vec::new();
    };
    let own = options.settings.as_ref().map_or("", |name| &name.namespace);
    let name = config_map_name(named, own);
    let found = snapshot
        .config_maps
        .get(&name)
        .ok_or_else(|| format!("there is no ConfigMap {name}"));
    found.and_then(|map| headers(map)).unwrap_or_else(|reason| {
        Reporter { options, findings }.report(key, format!("{reason}; no header is set"));
        Vec::new()
    })
}

struct Reporter<'a> {
    options: &'a Options,
    findings: &'a mut Vec<Finding>,
}

impl Reporter<'_> {
    fn report(&mut self, key: &str, message: String) {
        self.findings.push(settings_finding(
            self.options,
            Severity::Error,
            key,
            message,
        ));
    }
}

/// A finding about a key of the settings' ConfigMap.
pub(crate) fn settings_finding(
    options: &Options,
    severity: Severity,
    key: &str,
    message: String,
) -> Finding {
    let name = options
        .settings
        .clone()
        .unwrap_or_else(|| Name::new("", "settings"));
    let subject = Subject::Object(ObjectRef {
        kind: Kind::ConfigMap,
        name,
    });
    Finding {
        severity,
        subject,
        field: format!("data.{key}").into(),
        message: message.into(),
    }
}

/// Bounds on clients. nginx gives a head one buffer of `client-header-buffer-size` and then the large ones; no single
/// line or field may exceed a large one.
fn client(client: &Client) -> table::ClientLimits {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let large = size(client.large_header_buffer_size).max(size(client.header_buffer_size));
    table::ClientLimits {
        head_timeout: client.header_timeout,
        body_timeout: client.body_timeout,
        keep_alive: client.keep_alive,
        keep_alive_requests: u64::from(client.keep_alive_requests),
        request_line: large,
        header_field: large,
        head: large
            .saturating_mul(client.large_header_buffers as usize)
            .max(large),
        http2_streams: client.http2_max_streams,
        ..table::ClientLimits::default()
    }
}

fn hsts(hsts: &Hsts) -> table::Hsts {
    let mut value = format!("max-age={}", hsts.max_age);
    if hsts.include_subdomains {
        value.push_str("; includeSubDomains");
    }
    if hsts.preload {
        value.push_str("; preload");
    }
    let value =
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"));
    table::Hsts { value }
}

/// The lists that hold where an Ingress has none of its own: deny and allow.
pub(crate) fn default_access(settings: &Settings) -> Option<Arc<table::AccessRules>> {
    let access = &settings.access;
    if access.block.is_empty() && access.denylist.is_empty() && access.allowlist.is_empty() {
        return None;
    }
    let deny: IpSet = access
        .block
        .iter()
        .chain(&access.denylist)
        .copied()
        .collect();
    let allow = (!access.allowlist.is_empty()).then(|| access.allowlist.iter().copied().collect());
    Some(Arc::new(table::AccessRules { deny, allow }))
}

/// A bound of zero is none.
pub(crate) fn bound(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
