//! Redirects from http to https (behaviour.md 4.6).

use std::sync::Arc;

use headgate_table::{HttpsRedirect, RoutingTable, VirtualHosts};

use super::redirect;
use crate::request::{Context, Scheme};
use crate::respond::LocalResponse;

/// Redirects a plain-text request if its route requires https. `hosts` of `table` serve it.
pub(super) fn redirect_to_https(
    context: &Context<'_>,
    table: &RoutingTable,
    hosts: &Arc<VirtualHosts>,
) -> Result<(), LocalResponse> {
    if context.parsed.client.scheme == Scheme::Https {
        return Ok(());
    }
    let required = match context.route.https {
        HttpsRedirect::Never => false,
        HttpsRedirect::WhenHostHasTls => {
            hosts.has_tls(context.parsed.name, || table.default_certificate(hosts))
        }
        HttpsRedirect::Always => true,
    };
    if !required {
        return Ok(());
    }
    let policy = &context.route.policy;
    let port = policy
        .port_in_redirects
        .then_some(context.parsed.connection.https_port);
    let host = redirect::requested_host(context);
    let location = location(
        host,
        port,
        &context.raw_target(),
        policy.preserve_trailing_slash,
    );
    Err(redirect::to_location(
        context.settings.redirect_status,
        location,
    ))
}

/// `raw` is path and query as sent, of which one final slash is dropped unless `preserve_trailing_slash`.
fn location(host: &str, port: Option<u16>, raw: &str, preserve_trailing_slash: bool) -> String {
    let raw = if preserve_trailing_slash {
        raw
    } else {
        redirect::without_final_slash(raw)
    };
    match port {
        Some(port) => format!("https://{host}:{port}{raw}"),
        None => format!("https://{host}{raw}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_is_dropped_from_the_end_of_the_raw_uri() {
        for (raw, expected) in [
            ("/", "https://a"),
            ("/a/", "https://a/a"),
            ("/a//", "https://a/a/"),
            ("/a/?x=/", "https://a/a/?x="),
            ("/a?x", "https://a/a?x"),
            ("//evil.test/", "https://a//evil.test"),
        ] {
            assert_eq!(location("a", None, raw, false), expected);
        }
        assert_eq!(location("a", None, "/a/", true), "https://a/a/");
        assert_eq!(location("a", Some(8443), "/a", false), "https://a:8443/a");
    }
}
