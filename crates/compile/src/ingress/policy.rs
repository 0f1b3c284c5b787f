//! An Ingress's annotations, with the settings' defaults, as the policy of its routes.

use std::num::NonZeroU32;
use std::sync::Arc;

use headgate_limit::Quota;
use headgate_table as table;
use headgate_table::{IpSet, Policy, ReplaceRule, Slot};
use http::HeaderValue;

use crate::build::certificate;
use crate::build::certificates::Certificates;
use crate::build::service_port::Transport;
use crate::finding::{Finding, Severity};
use crate::ingress::annotations::{
    self, Denial, IngressAnnotations, NameRef as Reference, Origin, RedirectRewrite, Rewrite,
};
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::serving::{bound, config_map_name, default_access, headers};
use crate::ingress::settings::Settings;
use crate::{Kind, Name, ObjectRef, Snapshot};

/// What a policy is made from besides the Ingress.
pub(crate) struct Surroundings<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) certificates: &'a mut Certificates,
    /// Forwarding without any annotation, shared by all who add none.
    pub(crate) plain_forwarding: &'a Arc<table::Forwarding>,
}

/// The policy of an Ingress and what it depends on.
pub(crate) struct Built {
    pub(crate) policy: Arc<Policy>,
    /// How the endpoints of its backends are spoken to.
    pub(crate) transport: Transport,
    /// Why the routes are closed, if they are.
    pub(crate) closed: Option<Denial>,
    pub(crate) findings: Vec<Finding>,
    /// Objects whose change changes the policy.
    pub(crate) uses: Vec<ObjectRef>,
}

/// Builds the policy of `ingress`. `limits` is the slot of its counters from before, so that they go on.
pub(crate) fn build(
    ingress: &ParsedIngress,
    around: &mut Surroundings<'_>,
    limits: Option<Slot>,
) -> Built {
    let mut builder = Builder {
        ingress,
        closed: closed(ingress, around.settings),
        findings: Vec::new(),
        uses: Vec::new(),
    };
    let annotations = &ingress.annotations;
    let response_headers = builder.response_headers(around);
    let tls = builder.upstream_tls(around);
    let transport = Transport::new(annotations.proxy.protocol.unwrap_or_default(), tls);
    let forwarding = forwarding(annotations, around.settings);
    let forwarding = if forwarding == **around.plain_forwarding {
        around.plain_forwarding.clone()
    } else {
        Arc::new(forwarding)
    };
    let redirects = &annotations.redirects;
    let defaults = &around.settings.redirects;
    let policy = Policy {
        redirect: builder.redirect(),
        cors: annotations
            .cors
            .as_ref()
            .map(|cors| Arc::new(self::cors(cors))),
        limits: self::limits(ingress, limits),
        access: access(annotations, around.settings),
        response_headers,
        preserve_trailing_slash: redirects
            .preserve_trailing_slash
            .unwrap_or(defaults.preserve_trailing_slash),
        port_in_redirects: redirects.use_port.unwrap_or(defaults.use_port),
        relative_redirects: redirects.relative.unwrap_or(false) || defaults.relative,
        access_log: annotations.access_log.unwrap_or(true),
        forwarding,
    };
    Built {
        policy: Arc::new(policy),
        transport,
        closed: builder.closed,
        findings: builder.findings,
        uses: builder.uses,
    }
}

/// The policy of routes that no Ingress made: the built-in default backend.
pub(crate) fn plain(settings: &Settings, forwarding: &Arc<table::Forwarding>) -> Arc<Policy> {
    let defaults = &settings.redirects;
    Arc::new(Policy {
        redirect: None,
        cors: None,
        limits: None,
        access: default_access(settings),
        response_headers: Arc::default(),
        preserve_trailing_slash: defaults.preserve_trailing_slash,
        port_in_redirects: defaults.use_port,
        relative_redirects: defaults.relative,
        access_log: true,
        forwarding: forwarding.clone(),
    })
}

/// Forwarding as the settings have it, with an Ingress's annotations over it.
pub(crate) fn forwarding(
    annotations: &IngressAnnotations,
    settings: &Settings,
) -> table::Forwarding {
    let (proxy, defaults) = (&annotations.proxy, &settings.upstream);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let body_limit = proxy.body_size.unwrap_or(defaults.body_size);
    let body_memory = proxy
        .client_body_buffer_size
        .unwrap_or(settings.client.body_buffer_size);
    let location = RedirectRewrite::new(
        proxy
            .redirect_from
            .as_deref()
            .unwrap_or(&defaults.redirect_from),
        proxy
            .redirect_to
            .as_deref()
            .unwrap_or(&defaults.redirect_to),
    );
    table::Forwarding {
        connect_timeout: proxy.connect_timeout.unwrap_or(defaults.connect_timeout),
        send_timeout: proxy.send_timeout.unwrap_or(defaults.send_timeout),
        read_timeout: proxy.read_timeout.unwrap_or(defaults.read_timeout),
        retry: retry(proxy, settings),
        body_limit: (body_limit > 0).then_some(body_limit),
        buffer_request: proxy
            .request_buffering
            .unwrap_or(defaults.request_buffering),
        body_memory: size(body_memory),
        response_head_limit: size(proxy.buffer_size.unwrap_or(defaults.buffer_size)),
        buffer_response: proxy.buffering.unwrap_or(defaults.buffering),
        http_version: proxy.http_version.unwrap_or(defaults.http_version),
        host: annotations
            .headers
            .upstream_vhost
            .as_deref()
            .and_then(|host| HeaderValue::from_str(host).ok()),
        connection_header: proxy.connection,
        cookie_domain: replace(
            proxy
                .cookie_domain
                .as_ref()
                .unwrap_or(&defaults.cookie_domain),
        ),
        cookie_path: replace(proxy.cookie_path.as_ref().unwrap_or(&defaults.cookie_path)),
        location: match location {
            RedirectRewrite::Replace { from, to } => Some(ReplaceRule { from, to }),
            // With one name for all endpoints, nginx's default finds nothing to replace.
            RedirectRewrite::Off | RedirectRewrite::Default => None,
        },
    }
}

fn retry(proxy: &annotations::Proxy, settings: &Settings) -> table::Retry {
    let defaults = &settings.upstream;
    let next = proxy.next_upstream.unwrap_or(defaults.next_upstream);
    table::Retry {
        on: next.on,
        tries: NonZeroU32::new(
            proxy
                .next_upstream_tries
                .unwrap_or(defaults.next_upstream_tries),
        ),
        timeout: bound(
            proxy
                .next_upstream_timeout
                .unwrap_or(defaults.next_upstream_timeout),
        ),
        non_idempotent: next.non_idempotent || defaults.retry_non_idempotent,
    }
}

fn replace(rewrite: &Rewrite) -> Option<ReplaceRule> {
    match rewrite {
        Rewrite::Off => None,
        Rewrite::Replace { from, to } => Some(ReplaceRule {
            from: from.clone(),
            to: to.clone(),
        }),
    }
}

fn cors(cors: &annotations::Cors) -> table::Cors {
    table::Cors {
        origins: origins(&cors.origins),
        methods: cors.methods.clone(),
        headers: cors.headers.clone(),
        expose: cors.expose.clone(),
        credentials: cors.credentials,
        max_age: HeaderValue::from(cors.max_age),
    }
}

fn origins(origins: &[Origin]) -> table::Origins {
    let mut list = Vec::with_capacity(origins.len());
    for origin in origins {
        let port = |port: Option<u16>| port.map(|port| format!(":{port}")).unwrap_or_default();
        list.push(match origin {
            Origin::Any => return table::Origins::Any,
            Origin::Null => table::OriginPattern::Exact("null".into()),
            Origin::Exact {
                scheme,
                host,
                port: number,
            } => table::OriginPattern::Exact(
                format!("{scheme}://{host}{}", port(*number)).to_ascii_lowercase(),
            ),
            Origin::Subdomain {
                scheme,
                suffix,
                port: number,
            } => table::OriginPattern::OneLabel {
                scheme: format!("{scheme}://").to_ascii_lowercase(),
                suffix: format!(".{suffix}{}", port(*number)).to_ascii_lowercase(),
            },
        });
    }
    table::Origins::List(list)
}

fn limits(ingress: &ParsedIngress, slot: Option<Slot>) -> Option<Arc<table::Limits>> {
    let limits = &ingress.annotations.limits;
    if limits.rps.is_none() && limits.rpm.is_none() && limits.connections.is_none() {
        return None;
    }
    let burst = |rate: NonZeroU32| rate.get().saturating_mul(limits.burst_multiplier);
    Some(Arc::new(table::Limits {
        id: format!("{}/{}", ingress.name, ingress.uid).into(),
        per_second: limits.rps.map(|rate| Quota::per_second(rate, burst(rate))),
        per_minute: limits.rpm.map(|rate| Quota::per_minute(rate, burst(rate))),
        connections: limits.connections,
        exempt: limits.allowlist.iter().copied().collect(),
        slot: slot.unwrap_or_default(),
    }))
}

/// Lists of the Ingress replace those of the settings, each its counterpart; any list of its own replaces `block-cidrs`.
fn access(
    annotations: &IngressAnnotations,
    settings: &Settings,
) -> Option<Arc<table::AccessRules>> {
    let own = &annotations.access;
    if own.allowlist.is_none() && own.denylist.is_none() {
        return default_access(settings);
    }
    let set = |list: &[ipnet::IpNet]| list.iter().copied().collect::<IpSet>();
    let deny = own.denylist.as_deref().unwrap_or(&settings.access.denylist);
    let allow = own
        .allowlist
        .as_deref()
        .unwrap_or(&settings.access.allowlist);
    Some(Arc::new(table::AccessRules {
        deny: set(deny),
        allow: (!allow.is_empty()).then(|| set(allow)),
    }))
}

/// The Ingress's own reason is told before the settings'.
fn closed(ingress: &ParsedIngress, settings: &Settings) -> Option<Denial> {
    let exempt = ingress.annotations.global_auth == Some(false);
    let global = settings.closed.as_ref();
    let global = global.filter(|denial| !(denial.only_authentication && exempt));
    match (ingress.annotations.denied.as_ref(), global) {
        (Some(own), Some(global)) => Some(Denial {
            only_authentication: own.only_authentication && global.only_authentication,
            ..own.clone()
        }),
        (own, global) => own.or(global).cloned(),
    }
}

struct Builder<'a> {
    ingress: &'a ParsedIngress,
    closed: Option<Denial>,
    findings: Vec<Finding>,
    uses: Vec<ObjectRef>,
}

impl Builder<'_> {
    fn redirect(&self) -> Option<table::Redirect> {
        let fixed = self.ingress.annotations.redirects.fixed.as_ref()?;
        let location = HeaderValue::from_str(&fixed.location).ok()?;
        Some(table::Redirect {
            status: fixed.code,
            location,
        })
    }

    /// Something that the author wanted set cannot be: the routes are closed rather than served without it.
    fn close(&mut self, annotation: &str, message: String) {
        let denial = self.closed.get_or_insert_with(|| Denial {
            reason: format!("{annotation}: {message}").into(),
            only_authentication: false,
        });
        denial.only_authentication = false;
        self.findings.push(self.ingress.annotation_finding(
            Severity::Error,
            annotation,
            format!("{message}; the routes answer 503"),
        ));
    }

    fn response_headers(
        &mut self,
        around: &Surroundings<'_>,
    ) -> Arc<[(http::HeaderName, HeaderValue)]> {
        const NAME: &str = "custom-headers";
        let Some(named) = &self.ingress.annotations.headers.custom else {
            return Arc::default();
        };
        let name = config_map_name(named, &self.ingress.name.namespace);
        self.uses.push(ObjectRef {
            kind: Kind::ConfigMap,
            name: name.clone(),
        });
        // Any namespace will do, as in ingress-nginx: what can be read that way is bounded by the names that the operator
        // allows.
        let Some(map) = around.snapshot.config_maps.get(&name) else {
            self.close(NAME, format!("there is no ConfigMap {name}"));
            return Arc::default();
        };
        let listed = match headers(map) {
            Ok(listed) => listed,
            Err(reason) => {
                self.close(NAME, format!("ConfigMap {name}: {reason}"));
                return Arc::default();
            }
        };
        let allowed = &around.settings.annotations.allowed_response_headers;
        // The comparison is case-sensitive, on the name as the ConfigMap spells it.
        let refused = map.data.keys().find(|key| !allowed.contains(key));
        if let Some(refused) = refused {
            self.close(
                NAME,
                format!(
                    "header {refused} of ConfigMap {name} is not in global-allowed-response-headers"
                ),
            );
            return Arc::default();
        }
        listed
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
            .collect()
    }

    fn upstream_tls(&mut self, around: &mut Surroundings<'_>) -> Option<Arc<table::UpstreamTls>> {
        const NAME: &str = "proxy-ssl-secret";
        let tls = self.ingress.annotations.upstream_tls.as_ref()?;
        let name = match self.secret_name(&tls.secret, around.settings) {
            Ok(name) => name,
            Err(reason) => {
                self.close(NAME, reason);
                return None;
            }
        };
        self.uses.push(ObjectRef {
            kind: Kind::Secret,
            name: name.clone(),
        });
        let Some(secret) = around.snapshot.secrets.get(&name).cloned() else {
            self.close(NAME, format!("there is no Secret {name}"));
            return None;
        };
        let client = match secret.get("tls.crt") {
            None => None,
            Some(_) => match around.certificates.of(&name, around.snapshot) {
                Ok(certificate) => Some(certificate),
                Err(reason) => {
                    self.close(NAME, reason);
                    return None;
                }
            },
        };
        let authorities = match secret
            .get("ca.crt")
            .map(certificate::authorities)
            .transpose()
        {
            Ok(authorities) => authorities.unwrap_or_default(),
            Err(reason) => {
                let reason = reason.to_string().replacen("tls.crt", "ca.crt", 1);
                self.close(NAME, format!("Secret {name} {reason}"));
                return None;
            }
        };
        if tls.verify && authorities.is_empty() {
            self.close(
                NAME,
                format!("proxy-ssl-verify is on and Secret {name} has no ca.crt"),
            );
            return None;
        }
        // Everything that makes one connection different from another is in the identity.
        let fingerprint = client.as_ref().map_or("", |client| &client.fingerprint);
        let trust = secret
            .get("ca.crt")
            .map(certificate::fingerprint)
            .unwrap_or_default();
        let id = format!(
            "{name}#{fingerprint}#{trust}#{}#{}#{}#{}#{}#{}",
            tls.verify,
            tls.verify_depth,
            tls.server_name,
            tls.name.as_deref().unwrap_or_default(),
            tls.versions.tls12,
            tls.versions.tls13,
        );
        Some(Arc::new(table::UpstreamTls {
            id: id.into(),
            client,
            authorities,
            verify: tls.verify,
            verify_depth: u8::try_from(tls.verify_depth).unwrap_or(u8::MAX),
            server_name: tls.server_name,
            name: tls.name.as_deref().map(Arc::from),
            tls12: tls.versions.tls12,
            tls13: tls.versions.tls13,
            slot: Slot::default(),
        }))
    }

    fn secret_name(&self, named: &Reference, settings: &Settings) -> Result<Name, String> {
        let Some(namespace) = named.namespace.as_deref() else {
            return Err(format!("\"{}\" is to be named namespace/name", named.name));
        };
        if namespace != &*self.ingress.name.namespace && !settings.annotations.cross_namespace {
            return Err(format!(
                "Secret {namespace}/{} is in another namespace, which only allow-cross-namespace-resources permits",
                named.name
            ));
        }
        Ok(Name::new(namespace, &named.name))
    }
}
