//! What the snippets of an Ingress change in the policy of its routes (behaviour.md 1.16).

use std::sync::Arc;

use headgate_table::{ConnectionHeader, Forwarding, Slot, UpstreamTls};

use crate::finding::{Finding, Severity};
use crate::ingress::closed::Denial;
use crate::ingress::family::proxy::memory;
use crate::ingress::family::snippets::CONFIGURATION_SNIPPET;
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::settings::Settings;
use crate::ingress::snippet::{self, Around, Blocks, Built, Forward, Names, Snippet};

/// What the routes of `ingress` do by snippets; `server` are those of the host, if it is known.
pub(crate) fn build(ingress: &ParsedIngress, settings: &Settings, server: &[&Snippet]) -> Built {
    let own = ingress.annotations.snippets.as_deref();
    let location: Vec<&Snippet> = own
        .and_then(|own| own.configuration.as_ref())
        .into_iter()
        .collect();
    if location.is_empty() && server.is_empty() {
        return Built::default();
    }
    let mut names = Names::default();
    let of_host = own.and_then(|own| own.server.as_ref());
    for snippet in location.iter().chain(server).copied().chain(of_host) {
        names.add(snippet);
    }
    let external = ingress.annotations.external_auth.is_some()
        || (settings.global_auth.is_some() && ingress.annotations.global_auth != Some(false));
    let around = Around {
        compression: settings.data_plane.compression.as_ref(),
        hidden: &settings.data_plane.hidden_headers,
        adds_fields: external,
    };
    let blocks = Blocks {
        http: &[],
        server,
        location: &location,
    };
    snippet::build(blocks, around, &names)
}

/// The remarks of `built` as findings, and what closes the routes.
pub(super) fn report(
    ingress: &ParsedIngress,
    built: &mut Built,
    (denial, findings): (&mut Option<Denial>, &mut Vec<Finding>),
) {
    let annotation = CONFIGURATION_SNIPPET.entry().name;
    let remarks = std::mem::take(&mut built.remarks).into_iter();
    findings.extend(
        remarks.map(|remark| ingress.annotation_finding(remark.severity, annotation, remark.message)),
    );
    if let Some(reason) = &built.closed {
        Denial::add(denial, annotation, reason, false);
        let message = Denial::message(reason);
        findings.push(ingress.annotation_finding(Severity::Error, annotation, message));
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
    let name = name.map(Arc::from).or_else(|| base.and_then(|tls| tls.name.clone()));
    let server_name = sends.or(base.map(|tls| tls.server_name)).unwrap_or(false);
    let outer = base.map_or("", |tls| &tls.id);
    Some(Arc::new(UpstreamTls {
        id: format!("{outer}#{server_name}#{}", name.as_deref().unwrap_or_default()).into(),
        client: base.and_then(|tls| tls.client.clone()),
        authorities: base.map(|tls| tls.authorities.clone()).unwrap_or_default(),
        verify: base.is_some_and(|tls| tls.verify),
        verify_depth: base.map_or(1, |tls| tls.verify_depth),
        server_name,
        name,
        tls12: base.is_none_or(|tls| tls.tls12),
        tls13: base.is_none_or(|tls| tls.tls13),
        ciphers: base.map(|tls| tls.ciphers.clone()).unwrap_or_default(),
        slot: Slot::default(),
    }))
}
