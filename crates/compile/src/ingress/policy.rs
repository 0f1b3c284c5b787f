//! The policy of the routes of an object: its annotations, with defaults from the settings.

pub(crate) mod snippets;

use std::sync::Arc;

use headgate_table::{
    Authentication, BackendProtocol, CorsRules, Credentials, ExternalAuth, FastCgi, Forwarding,
    HostClients, Policy, RefusedClients, Slot,
};

use self::snippets::Undefined;
use crate::build::certificates::Certificates;
use crate::build::service_port::Transport;
use crate::finding::{Finding, Severity};
use crate::ingress::closed::{Closing, Denial};
use crate::ingress::family::access::Access;
use crate::ingress::family::auth::{AUTH_PROXY_SET_HEADERS, AUTH_SECRET, AUTH_URL};
use crate::ingress::family::client_certificates::ClientCertificates;
use crate::ingress::family::fastcgi::FASTCGI_PARAMS_CONFIGMAP;
use crate::ingress::family::headers::CUSTOM_HEADERS;
use crate::ingress::family::limits::LIMIT_RATE;
use crate::ingress::family::proxy;
use crate::ingress::family::tracing::Tracing;
use crate::ingress::family::upstream_tls::PROXY_SSL_SECRET;
use crate::ingress::settings::{AccessDefaults, Settings};
use crate::ingress::subject::Subject;
use crate::{ObjectRef, Snapshot};

/// Inputs of a policy besides the object.
pub(crate) struct Inputs<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) certificates: &'a mut Certificates,
    /// Forwarding without any annotation, shared by all Ingresses that add none.
    pub(crate) plain_forwarding: &'a Arc<Forwarding>,
}

/// The policy of an object and its dependencies.
pub(crate) struct Built {
    pub(crate) policy: Arc<Policy>,
    /// The protocol and TLS settings of the endpoints of its backends.
    pub(crate) transport: Transport,
    /// Which clients its hosts serve, judged by their certificates.
    pub(crate) clients: HostClients,
    /// Why the routes are closed, if they are.
    pub(crate) closed: Option<Denial>,
    /// What its snippets read that nothing defines, unless a host does.
    pub(crate) undefined: Option<Arc<Undefined>>,
    pub(crate) findings: Vec<Finding>,
    /// Objects that the policy depends on.
    pub(crate) uses: Vec<ObjectRef>,
}

/// Builds the policy of `subject`. `limits` is the slot with the counters of its former version.
pub(crate) fn build(subject: Subject<'_>, inputs: &mut Inputs<'_>, limits: Option<Slot>) -> Built {
    let mut closing = Closing::new(subject, inputs.settings);
    let mut uses = Vec::new();
    let annotations = subject.annotations;
    let headers = annotations.headers.response(inputs, &mut uses);
    let response_headers = closing.unless(&CUSTOM_HEADERS, headers);
    let tls = annotations.upstream_tls.as_ref().and_then(|tls| {
        let tls = tls.policy(&subject.name.namespace, inputs, &mut uses);
        closing.unless(&PROXY_SSL_SECRET, tls.map(Some))
    });
    let mut snippets = snippets::build(subject, inputs.settings, None);
    let undefined = Undefined::of(&mut snippets);
    let tls = snippets::upstream_tls(tls, &snippets);
    let credentials = credentials(subject, inputs, &mut closing, &mut uses);
    let external = external_auth(subject, inputs, &mut closing, &mut uses);
    let authentication = (credentials.is_some() || external.is_some()).then(|| {
        Arc::new(Authentication {
            credentials,
            external,
        })
    });
    let transport = Transport::new(annotations.proxy.protocol.unwrap_or_default(), tls);
    let fastcgi = fastcgi(subject, inputs, &mut closing, &mut uses);
    let mut forwarding = proxy::forwarding(annotations, inputs.settings, fastcgi);
    snippets::forwarding(&mut forwarding, &snippets);
    let unused = annotations.rate.rate.is_some() && forwarding.response_rate.is_some();
    if unused && !forwarding.buffer_response {
        const UNBUFFERED: &str = "has no effect while proxy-buffering is \"off\", except on responses with \
            X-Accel-Buffering: yes; set proxy-buffering to \"on\"";
        closing.findings.push(subject.annotation_finding(
            Severity::Warning,
            LIMIT_RATE.entry().name,
            UNBUFFERED.to_owned(),
        ));
    }
    let forwarding = if forwarding == **inputs.plain_forwarding {
        inputs.plain_forwarding.clone()
    } else {
        Arc::new(forwarding)
    };
    let redirects = &annotations.redirects;
    let defaults = &inputs.settings.redirects;
    let access = annotations.access.policy(&inputs.settings.access);
    let access = annotations
        .access
        .with_rules(access, &inputs.settings.access, &snippets);
    let policy = Policy {
        session: None,
        authorization: None,
        script: snippets.script.map(Arc::new),
        redirect: redirects.fixed.clone(),
        cors: annotations
            .cors
            .clone()
            .map(|cors| Arc::new(CorsRules::Nginx(cors))),
        limits: annotations
            .limits
            .as_ref()
            .map(|own| own.policy(subject, limits)),
        access,
        authentication,
        satisfy: annotations.access.satisfy,
        mirror: annotations.mirror.as_ref().map(|mirror| mirror.policy()),
        tracing: annotations.tracing.policy(&inputs.settings.tracing),
        response_headers,
        preserve_trailing_slash: redirects
            .preserve_trailing_slash
            .unwrap_or(defaults.preserve_trailing_slash),
        port_in_redirects: redirects.use_port.unwrap_or(defaults.use_port),
        relative_redirects: redirects.relative.unwrap_or(false) || defaults.relative,
        hsts: true,
        access_log: annotations.access_log.unwrap_or(true),
        forwarding,
    };
    let mut findings = closing.findings;
    let clients = clients(subject, inputs, &mut uses, &mut findings);
    Built {
        policy: Arc::new(policy),
        transport,
        clients,
        closed: closing.denial,
        undefined: undefined.map(Arc::new),
        findings,
        uses,
    }
}

/// The parameters of FastCGI backends. The ConfigMap must exist whatever the protocol is.
fn fastcgi(
    subject: Subject<'_>,
    inputs: &Inputs<'_>,
    closing: &mut Closing<'_>,
    uses: &mut Vec<ObjectRef>,
) -> Option<Arc<FastCgi>> {
    let params = subject.annotations.fastcgi.as_ref()?;
    let built = params.policy(&subject.name.namespace, inputs, uses);
    let built = closing.unless(&FASTCGI_PARAMS_CONFIGMAP, built.map(Some));
    let is_fastcgi = subject.annotations.proxy.protocol == Some(BackendProtocol::FastCgi);
    built.filter(|_| is_fastcgi)
}

/// Makes `policy` one of a route to the default backend, which is one of HTTP whatever the protocol of the Ingress is.
pub(crate) fn over_http(policy: &mut Arc<Policy>) {
    if policy.forwarding.fastcgi.is_some() {
        let policy = Arc::make_mut(policy);
        Arc::make_mut(&mut policy.forwarding).fastcgi = None;
    }
}

/// Users and passwords. What is wrong with single users is a warning; without users the routes are closed.
fn credentials(
    subject: Subject<'_>,
    inputs: &Inputs<'_>,
    closing: &mut Closing<'_>,
    uses: &mut Vec<ObjectRef>,
) -> Option<Arc<Credentials>> {
    let passwords = subject.annotations.passwords.as_ref()?;
    let built = passwords.policy(&subject.name.namespace, inputs, uses);
    let built = closing.unless(&AUTH_SECRET, built.map(Some))?;
    let annotation = AUTH_SECRET.entry().name;
    let findings = built
        .warnings
        .into_iter()
        .map(|message| subject.annotation_finding(Severity::Warning, annotation, message));
    closing.findings.extend(findings);
    Some(built.credentials)
}

/// The authentication service: that of the Ingress, else that of the settings unless the Ingress is exempt.
fn external_auth(
    subject: Subject<'_>,
    inputs: &Inputs<'_>,
    closing: &mut Closing<'_>,
    uses: &mut Vec<ObjectRef>,
) -> Option<Arc<ExternalAuth>> {
    if let Some(own) = &subject.annotations.external_auth {
        let built = own.policy(&subject.name.namespace, inputs, uses);
        return closing.unless(&AUTH_PROXY_SET_HEADERS, built.map(Some));
    }
    let exempt = subject.annotations.global_auth == Some(false);
    let global = inputs.settings.global_auth.as_ref().filter(|_| !exempt)?;
    closing.unless(&AUTH_URL, global.table(Vec::new()).map(Some))
}

/// Which clients the hosts of an Ingress serve. The finding if its rules cannot be honoured is added to `findings`.
fn clients(
    subject: Subject<'_>,
    inputs: &Inputs<'_>,
    uses: &mut Vec<ObjectRef>,
    findings: &mut Vec<Finding>,
) -> HostClients {
    let Some(certificates) = &subject.annotations.client_certificates else {
        return HostClients::Any;
    };
    match certificates.rules(&subject.name.namespace, inputs, uses) {
        Ok(rules) => HostClients::Verified(Arc::new(rules)),
        Err(reason) => {
            findings.push(subject.annotation_finding(
                Severity::Error,
                certificates.annotation(),
                ClientCertificates::message(&reason),
            ));
            HostClients::Refused(RefusedClients { reason })
        }
    }
}

/// The policy of built-in routes, which lead to the default backend; as in ingress-nginx, without the authentication service
/// and the address lists, but for `block-cidrs`.
pub(crate) fn plain(settings: &Settings, forwarding: &Arc<Forwarding>) -> Arc<Policy> {
    let defaults = &settings.redirects;
    let built = snippets::plain(settings);
    let access = Access::default();
    let blocked = settings.access.blocked.clone();
    Arc::new(Policy {
        script: built.script.clone().map(Arc::new),
        access: access.with_rules(blocked, &AccessDefaults::default(), &built),
        tracing: Tracing::default().policy(&settings.tracing),
        preserve_trailing_slash: defaults.preserve_trailing_slash,
        port_in_redirects: defaults.use_port,
        relative_redirects: defaults.relative,
        forwarding: forwarding.clone(),
        ..Policy::default()
    })
}
