//! The copy of a request for the mirror of its route (behaviour.md 1.14).

use headgate_table::{BackendFilters, Mirror, MirrorPath, Share};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::exchange::Exchange;
use super::{edits, hop_by_hop, spoofable_headers, upstream_head};
use crate::mirror::{MirrorCopy, Outcome};
use crate::record::Record;
use crate::request::Context;

/// What a path and query cannot contain as it stands.
const INVALID: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The copies of the request `context` for the mirror of its route and those of the backend. Fields are read from the context,
/// which has them still.
pub(super) fn copies(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    backend: Option<&BackendFilters>,
) -> Vec<MirrorCopy> {
    let own = backend.into_iter().flat_map(|backend| &backend.mirrors);
    let mirrors = context.route.policy.mirror.iter().chain(own);
    let drawn = mirrors.filter(|mirror| mirror.share.is_none_or(is_drawn));
    drawn
        .filter_map(|mirror| copy(exchange, context, mirror))
        .collect()
}

fn is_drawn(share: Share) -> bool {
    fastrand::u32(0..share.of.get()) < share.part
}

/// One copy, unless there is none to send.
fn copy(exchange: &Exchange<'_>, context: &Context<'_>, mirror: &Mirror) -> Option<MirrorCopy> {
    let mirrors = &exchange.downstream.worker.mirrors;
    let upstream = exchange.table.target(&mirror.target);
    let (Some(upstream), Some(head)) = (upstream, head(context, mirror)) else {
        mirrors.count(Outcome::Failed);
        return None;
    };
    let logged = context.route.policy.access_log;
    let record = logged.then(|| {
        Box::new(Record {
            request_id: context.request_id().cloned(),
            route: exchange.record.route.clone(),
            host: exchange.record.host.clone(),
            upstream: Some(upstream.log_name.clone()),
            ..Record::new(&head, context.client())
        })
    });
    Some(MirrorCopy {
        mirrors: mirrors.clone(),
        upstream: upstream.clone(),
        head,
        pool: context.settings.pool.clone(),
        client: context.client(),
        record,
        has_body: mirror.body,
    })
}

/// The fields of the client, without those that are for the proxy or that only the proxy may set, and none that it adds.
/// `None` if the text of the path is none.
fn head(context: &Context<'_>, mirror: &Mirror) -> Option<Parts> {
    let mut headers = context.headers.clone();
    hop_by_hop::remove(&mut headers);
    spoofable_headers::remove(&mut headers, context.settings);
    if upstream_head::is_password_of_route(context) {
        headers.remove(AUTHORIZATION);
    }
    remove_framing(&mut headers, mirror.body);
    upstream_head::join_cookies(&mut headers);
    if let Some(host) = &mirror.host {
        headers.insert(HOST, context.field(host)?);
    }
    edits::apply(&mut headers, &mirror.edits);
    if let Some(span) = &context.span {
        span.inject(&mut headers);
    }
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = context.parsed.target.method.clone();
    head.uri = Uri::from(path(context, &mirror.path)?);
    head.headers = headers;
    (head.method != Method::CONNECT).then_some(head)
}

/// The length is that of the body that is sent. A length of zero stays: it says that there is no body.
fn remove_framing(headers: &mut HeaderMap, has_body: bool) {
    headers.remove(EXPECT);
    let empty = headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length == "0");
    if !has_body || !empty {
        headers.remove(CONTENT_LENGTH);
    }
}

fn path(context: &Context<'_>, path: &MirrorPath) -> Option<PathAndQuery> {
    let raw = context.raw_target();
    let text = match path {
        MirrorPath::Same => raw.into_owned().into_bytes(),
        MirrorPath::Fixed(path) => {
            let query = raw.split_once('?').map(|(_, query)| query);
            with_query(path, query.filter(|query| !query.is_empty())).into_bytes()
        }
        MirrorPath::Template(template) => context.expand(template, None),
    };
    let text = percent_encode(&text, INVALID).to_string();
    PathAndQuery::try_from(text).ok()
}

fn with_query(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else {
        return path.to_owned();
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{query}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use headgate_table::{CallTarget, FieldEdits, Template, UpstreamKey};
    use http::HeaderValue;

    use super::*;
    use crate::request::testing::Sample;

    fn mirror(path: MirrorPath, body: bool) -> Mirror {
        Mirror {
            target: CallTarget::Upstream(UpstreamKey::new("s/mirror/80")),
            host: Some(HeaderValue::from_static("mirror.example").into()),
            path,
            body,
            share: None,
            edits: FieldEdits::default(),
        }
    }

    fn sent_path(target: &str, path: MirrorPath) -> String {
        let sample = Sample::new("GET", target);
        let head = head(&sample.context(), &mirror(path, true)).unwrap();
        head.uri.to_string()
    }

    #[test]
    fn the_path_is_that_of_the_request_or_of_the_target() {
        let fixed = |path: &str| MirrorPath::Fixed(Arc::from(path));
        let template = |text: &str| MirrorPath::Template(Template::parse(text).unwrap());
        for (target, path, expected) in [
            ("/a%20b?q=1", MirrorPath::Same, "/a%20b?q=1"),
            ("/a?q=1", fixed("/m"), "/m?q=1"),
            ("/a", fixed("/m"), "/m"),
            ("/a?", fixed("/m"), "/m"),
            ("/a?q=1", fixed("/m?x"), "/m?x&q=1"),
            ("/a?q=1", template("/m$request_uri"), "/m/a?q=1"),
            ("/a%20b?q=1", template("$uri"), "/a%20b"),
        ] {
            assert_eq!(sent_path(target, path), expected, "{target}");
        }
    }

    #[test]
    fn fields_are_those_of_the_client_alone() {
        let sample = Sample::new("POST", "/")
            .header("x-own", "1")
            .header("cookie", "a=b")
            .header("connection", "x-hop, upgrade")
            .header("x-hop", "1")
            .header("upgrade", "websocket")
            .header("expect", "100-continue")
            .header("content-length", "5")
            .header("x-forwarded-for", "192.0.2.9");
        let head = head(&sample.context(), &mirror(MirrorPath::Same, true)).unwrap();
        assert_eq!(head.method, Method::POST);
        let mut fields: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["cookie", "host", "x-own"]);
        assert_eq!(head.headers.get(HOST).unwrap(), "mirror.example");
    }
}
