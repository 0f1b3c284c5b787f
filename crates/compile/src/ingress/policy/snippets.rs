//! What the snippets of an Ingress change in the policy of its routes (behaviour.md 1.16).

use std::sync::Arc;

use headgate_table::{BackendProtocol, Closed, ConnectionHeader, Forwarding, Slot, UpstreamTls};
use http::StatusCode;

use crate::finding::{Finding, Severity};
use crate::ingress::closed::Denial;
use crate::ingress::family::proxy::memory;
use crate::ingress::family::snippets::CONFIGURATION_SNIPPET;
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::registry::Problem;
use crate::ingress::settings::Settings;
use crate::ingress::snippet::{
    self, Around, Blocks, Built, Forward, Names, Refusal, Remark, Snippet,
};
use crate::ingress::subject::Subject;

/// What the routes of `subject` do by snippets; `server` is that of the host, if it is known.
pub(crate) fn build(subject: Subject<'_>, settings: &Settings, server: Option<&Snippet>) -> Built {
    let annotations = subject.annotations;
    let own = annotations.snippets.as_deref();
    let own = own.and_then(|own| own.configuration.as_ref());
    let external = annotations.external_auth.is_some()
        || (settings.global_auth.is_some() && annotations.global_auth != Some(false));
    let around = Around {
        adds_fields: external,
        grpc: annotations
            .proxy
            .protocol
            .is_some_and(BackendProtocol::is_grpc),
        ..around(settings)
    };
    of_location(
        (own, server),
        around,
        (settings, &names(Some(subject), settings, server)),
    )
}

/// What built-in routes do by snippets of the settings.
pub(super) fn plain(settings: &Settings) -> Built {
    of_location(
        (None, None),
        around(settings),
        (settings, &names(None, settings, None)),
    )
}

/// Why routes without snippets of their own are closed by those of the settings, which read what nothing defines.
pub(crate) fn undefined(settings: &Settings, problems: &mut Vec<Problem>) -> Option<Denial> {
    const CONSEQUENCE: &str = "routes of Ingresses that do not define it respond with 503";
    let built = plain(settings);
    let problem = |key: Option<&str>, severity, message| Problem {
        field: key.unwrap_or_default().to_owned(),
        severity,
        message,
    };
    let remarks = built.remarks.into_iter();
    problems.extend(remarks.map(|remark| problem(remark.key, remark.severity, remark.message)));
    let Refusal { reason, key } = built.closed?;
    let message = format!("{reason}; {CONSEQUENCE}");
    problems.push(problem(key, Severity::Error, message));
    let mut denial = None;
    Denial::add(&mut denial, key.unwrap_or_default(), &reason, false);
    denial
}

/// What a location with these directives, in a server with these, does beside the directives of the settings.
fn of_location(
    (own, server): (Option<&Snippet>, Option<&Snippet>),
    around: Around<'_>,
    (settings, names): (&Settings, &Names),
) -> Built {
    let all = &settings.snippets;
    let location: Vec<&Snippet> = own.into_iter().chain(&all.location).collect();
    let server: Vec<&Snippet> = server.into_iter().chain(&all.server).collect();
    if location.is_empty() && server.is_empty() && all.http.is_none() {
        return Built::default();
    }
    let http: Vec<&Snippet> = all.http.iter().collect();
    let blocks = Blocks {
        http: &http,
        server: &server,
        location: &location,
    };
    snippet::build(blocks, around, names)
}

/// What a location inherits of the settings.
pub(crate) fn around(settings: &Settings) -> Around<'_> {
    Around {
        compression: settings.data_plane.compression.as_ref(),
        hidden: &settings.data_plane.hidden_headers,
        blocked: &settings.access.blocklist,
        adds_fields: false,
        grpc: false,
    }
}

/// The variables that snippets of `subject`, of its host and of the settings define. `server` is the snippet that the host has,
/// which may be that of another Ingress.
pub(crate) fn names(
    subject: Option<Subject<'_>>,
    settings: &Settings,
    server: Option<&Snippet>,
) -> Names {
    let mut names = Names::new(settings.data_plane.location);
    let own = subject.and_then(|subject| subject.annotations.snippets.as_deref());
    let own = own.and_then(|own| own.configuration.as_ref());
    let own = own.into_iter().chain(server);
    own.chain(settings.snippets.all())
        .for_each(|snippet| names.add(snippet));
    let hosts = subject.into_iter().flat_map(|subject| subject.hosts);
    let paths = hosts.flat_map(|host| &host.paths);
    paths.for_each(|rule| names.add_path(&rule.path));
    names.add_maps(&settings.data_plane.maps);
    names
}

/// What the routes of an Ingress read that nothing defines. It depends on the host: a server-snippet may define it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undefined {
    remarks: Vec<Remark>,
    closed: Option<Refusal>,
}

impl Undefined {
    /// That of `built`, which has it no longer.
    pub(crate) fn of(built: &mut Built) -> Option<Self> {
        let remarks = std::mem::take(&mut built.remarks);
        let closed = built.closed.take();
        (!remarks.is_empty() || closed.is_some()).then_some(Self { remarks, closed })
    }

    /// Why the routes are closed.
    pub(crate) fn closed(&self) -> Option<Closed> {
        let Refusal { reason, key } = self.closed.as_ref()?;
        let mut denial = None;
        let name = key.unwrap_or(CONFIGURATION_SNIPPET.entry().name);
        Denial::add(&mut denial, name, reason, false);
        denial.map(|denial| denial.closed())
    }

    /// The findings about the annotation of `ingress` on `host`; those about the settings are findings of these.
    pub(crate) fn findings(&self, ingress: &ParsedIngress, host: &str) -> Vec<Finding> {
        let annotation = CONFIGURATION_SNIPPET.entry().name;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let own = self.remarks.iter().filter(|remark| remark.key.is_none());
        let remarks = own.map(|remark| (remark.severity, remark.message.clone()));
        let closed = self.closed.iter().filter(|closed| closed.key.is_none());
        let closed =
            closed.map(|closed| (Severity::Error, Denial::message(&closed.reason, status)));
        let at_host = |message: String| match ingress.hosts.len() {
            0 | 1 => message,
            _ => format!("host {host}: {message}"),
        };
        remarks
            .chain(closed)
            .map(|(severity, message)| {
                ingress.annotation_finding(severity, annotation, at_host(message))
            })
            .collect()
    }
}

/// Overrides how requests are forwarded.
pub(super) fn forwarding(forwarding: &mut Forwarding, built: &Built) {
    for directive in &built.forward {
        match directive {
            Forward::ConnectTimeout(time) => forwarding.connect_timeout = *time,
            Forward::SendTimeout(time) => forwarding.send_timeout = *time,
            Forward::ReadTimeout(time) => forwarding.read_timeout = *time,
            Forward::BufferResponse(on) => forwarding.buffer_response = *on,
            Forward::BufferRequest(on) => forwarding.buffer_request = *on,
            Forward::HeadLimit(bytes) => forwarding.response_head_limit = memory(*bytes),
            Forward::BodyLimit(limit) => forwarding.body_limit = *limit,
            Forward::BodyMemory(bytes) => forwarding.body_memory = memory(*bytes),
            Forward::SendName(_) | Forward::UpstreamName(_) => {}
        }
    }
    if let Some(host) = &built.host {
        forwarding.host = Some(host.clone());
    }
    if built.closes_connections {
        forwarding.connection_header = Some(ConnectionHeader::Close);
    }
}

/// Overrides the name of TLS connections to endpoints.
pub(super) fn upstream_tls(
    tls: Option<Arc<UpstreamTls>>,
    built: &Built,
) -> Option<Arc<UpstreamTls>> {
    let (mut sends, mut name) = (None, None);
    for directive in &built.forward {
        match directive {
            Forward::SendName(on) => sends = Some(*on),
            Forward::UpstreamName(text) => name = Some(text.as_str()),
            _ => {}
        }
    }
    if sends.is_none() && name.is_none() {
        return tls;
    }
    let base = tls.as_deref();
    let name = name
        .map(Arc::from)
        .or_else(|| base.and_then(|tls| tls.name.clone()));
    let server_name = sends.unwrap_or_else(|| base.is_some_and(|tls| tls.server_name));
    let outer = base.map_or("", |tls| &tls.id);
    Some(Arc::new(UpstreamTls {
        id: format!(
            "{outer}#{server_name}#{}",
            name.as_deref().unwrap_or_default()
        )
        .into(),
        client: base.and_then(|tls| tls.client.clone()),
        authorities: base.map(|tls| tls.authorities.clone()).unwrap_or_default(),
        verify: base.is_some_and(|tls| tls.verify),
        alternatives: Arc::default(),
        verify_depth: base.map_or(1, |tls| tls.verify_depth),
        server_name,
        name,
        tls12: base.is_none_or(|tls| tls.tls12),
        tls13: base.is_none_or(|tls| tls.tls13),
        ciphers: base.map(|tls| tls.ciphers.clone()).unwrap_or_default(),
        slot: Slot::default(),
    }))
}
