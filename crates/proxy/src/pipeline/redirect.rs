//! Redirects between `www.` and bare hosts, to the application's root, to a path with a final slash, and those of the
//! redirect annotations (behaviour.md 1.1).

use headgate_table::{AppRoot, Location, UrlParts};
use http::{HeaderValue, StatusCode};

use super::rewrite;
use crate::request::{
    Authority, ClientInfo, ConnectionInfo, Context, Parsed, RequestTarget, Scheme, path,
};
use crate::respond::LocalResponse;

/// A redirect to `location`, which may contain text of the client: 400 if it is not a field value.
pub(super) fn to_location(status: StatusCode, location: String) -> LocalResponse {
    match HeaderValue::try_from(location) {
        Ok(location) => LocalResponse::Redirect { status, location },
        Err(_) => LocalResponse::Page(StatusCode::BAD_REQUEST),
    }
}

/// The same path on the host `to`, always with the port, and without one final slash.
pub(super) fn to_host(
    to: &str,
    client: &ClientInfo,
    target: &RequestTarget,
    status: StatusCode,
) -> LocalResponse {
    let raw = target.raw_target();
    let (scheme, port) = (client.scheme_value(), client.connected_port_value());
    let location = format!(
        "{}://{to}:{}{}",
        String::from_utf8_lossy(scheme.as_bytes()),
        String::from_utf8_lossy(port.as_bytes()),
        without_final_slash(&raw)
    );
    to_location(status, location)
}

/// The application's root, with the scheme of the listener and the host exactly as sent, without query.
pub(super) fn to_app_root(
    root: &AppRoot,
    connection: ConnectionInfo,
    target: &RequestTarget,
) -> LocalResponse {
    let host = target
        .host
        .as_ref()
        .map_or("", |host| host.to_str().unwrap_or_default());
    let location = if host.is_empty() {
        root.path.to_string()
    } else {
        format!("{}://{host}{}", connection.scheme.as_str(), root.path)
    };
    to_location(StatusCode::FOUND, location)
}

/// The path with a final slash, for a prefix that has one.
pub(super) fn add_slash(context: &Context<'_>) -> LocalResponse {
    let path = path::encoded(context.path());
    let target = match context.query() {
        Some(query) => format!("{path}/?{query}"),
        None => format!("{path}/"),
    };
    to_location(StatusCode::MOVED_PERMANENTLY, absolute(context, target))
}

/// The redirect of the route, if it has one. Its location is literal, but a bare path is made absolute.
pub(super) fn of_route(context: &Context<'_>) -> Result<(), LocalResponse> {
    let Some(redirect) = &context.route.policy.redirect else {
        return Ok(());
    };
    let location = match &redirect.location {
        Location::Fixed(location) => location,
        Location::Url(parts) => return Err(to_location(redirect.status, url(context, parts))),
    };
    match location.to_str() {
        Ok(path) if path.starts_with('/') => Err(to_location(
            redirect.status,
            absolute(context, path.to_owned()),
        )),
        _ => Err(LocalResponse::Redirect {
            status: redirect.status,
            location: location.clone(),
        }),
    }
}

/// The URL of the request with `parts` of it replaced; its query stays.
fn url(context: &Context<'_>, parts: &UrlParts) -> String {
    let Parsed { connection, .. } = &context.parsed;
    let scheme = match parts.https {
        Some(true) => Scheme::Https,
        Some(false) => Scheme::Http,
        None => connection.scheme,
    };
    let of_scheme = parts.https.map(|_| scheme.default_port());
    let port = parts.port.or(of_scheme).unwrap_or(connection.port);
    let host = parts.host.as_deref();
    let host = host.unwrap_or_else(|| requested_host(context));
    let mut location = format!("{}://{host}", scheme.as_str());
    if port != scheme.default_port() {
        location.push_str(&format!(":{port}"));
    }
    let path = match &parts.path {
        Some(edit) => rewrite::edited_path(context, edit),
        None => context.parsed.target.raw_path().to_owned(),
    };
    location.push_str(&path);
    rewrite::with_query(location, context)
}

/// The host of the request as sent, without port.
pub(super) fn requested_host<'c>(context: &'c Context<'_>) -> &'c str {
    let Parsed { client, name, .. } = &context.parsed;
    let sent = client.host.as_ref().map(HeaderValue::as_bytes);
    match sent.and_then(Authority::parse) {
        Some(authority) => authority.sent,
        None if name.is_empty() => &context.host.name,
        None => name,
    }
}

pub(super) fn without_final_slash(raw: &str) -> &str {
    raw.strip_suffix('/').unwrap_or(raw)
}

/// `target` (path and query) with the host of the request and the scheme of the listener, as in redirects of nginx; alone
/// if the policy says so or no host was sent.
pub(super) fn absolute(context: &Context<'_>, target: String) -> String {
    match origin(context) {
        Some(origin) => origin + &target,
        None => target,
    }
}

/// What precedes a path in redirects of this route; `None`: nothing does.
pub(super) fn origin(context: &Context<'_>) -> Option<String> {
    let policy = &context.route.policy;
    let Parsed {
        connection, name, ..
    } = &context.parsed;
    if policy.relative_redirects || name.is_empty() {
        return None;
    }
    let scheme = connection.scheme;
    let mut origin = format!("{}://{name}", scheme.as_str());
    if policy.port_in_redirects && connection.port != scheme.default_port() {
        origin.push_str(&format!(":{}", connection.port));
    }
    Some(origin)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::{PathEdit, Redirect};

    fn show(response: LocalResponse) -> String {
        match response {
            LocalResponse::Redirect { status, location } => {
                format!("{} {}", status.as_u16(), location.to_str().unwrap())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn redirects_between_hosts_always_have_a_port() {
        let sample = Sample::new("GET", "/path/?a=1");
        let context = sample.context();
        let to = to_host(
            "www.a",
            &context.parsed.client,
            context.parsed.target,
            StatusCode::PERMANENT_REDIRECT,
        );
        assert_eq!(show(to), "308 http://www.a:8080/path/?a=1");

        let sample = Sample::new("GET", "/");
        let context = sample.context();
        let https = ClientInfo {
            scheme: Scheme::Https,
            port: 443,
            connected_port: 8443,
            ..context.parsed.client.clone()
        };
        assert_eq!(
            show(to_host(
                "a",
                &https,
                context.parsed.target,
                StatusCode::FOUND
            )),
            "302 https://a:8443"
        );
    }

    #[test]
    fn the_application_root_is_on_the_host_as_sent() {
        let sample = Sample::new("GET", "/?q");
        let context = sample.context();
        let root = AppRoot {
            path: "/app".into(),
        };
        assert_eq!(
            show(to_app_root(
                &root,
                context.parsed.connection,
                context.parsed.target
            )),
            "302 http://Shop.example:8080/app"
        );
    }

    #[test]
    fn slashes_are_added_before_the_query() {
        let redirect = |sample: Sample| show(add_slash(&sample.context()));
        assert_eq!(
            redirect(Sample::new("GET", "/a%20b")),
            "301 http://shop.example/a%20b/"
        );
        assert_eq!(
            redirect(Sample::new("GET", "/a?x=1")),
            "301 http://shop.example/a/?x=1"
        );
        assert_eq!(
            redirect(Sample::new("GET", "/a").policy(|policy| policy.port_in_redirects = true)),
            "301 http://shop.example:8080/a/"
        );
        assert_eq!(
            redirect(Sample::new("GET", "/a?x").policy(|policy| policy.relative_redirects = true)),
            "301 /a/?x"
        );
        assert_eq!(
            redirect(Sample::new("GET", "//a")),
            "301 http://shop.example/a/"
        );
    }

    #[test]
    fn redirects_of_a_route_are_literal() {
        let redirect = |location: &'static str, relative: bool| {
            let sample = Sample::new("GET", "/x?y").policy(|policy| {
                let location = HeaderValue::from_static(location);
                policy.redirect = Some(Redirect {
                    status: StatusCode::MOVED_PERMANENTLY,
                    location: Location::Fixed(location),
                });
                policy.relative_redirects = relative;
            });
            show(of_route(&sample.context()).unwrap_err())
        };
        assert_eq!(redirect("https://b.test/z", false), "301 https://b.test/z");
        assert_eq!(redirect("/z", false), "301 http://shop.example/z");
        assert_eq!(redirect("/z", true), "301 /z");
        assert!(of_route(&Sample::new("GET", "/").context()).is_ok());
    }

    #[test]
    fn parts_of_the_url_are_replaced() {
        let redirect = |parts: UrlParts| {
            let sample = Sample::new("GET", "/a%20b/c?y=1").policy(|policy| {
                policy.redirect = Some(Redirect {
                    status: StatusCode::FOUND,
                    location: Location::Url(Box::new(parts)),
                });
            });
            show(of_route(&sample.context()).unwrap_err())
        };
        let host = Some("example.org".into());
        let https = Some(true);
        let none = UrlParts::default;
        for (parts, expected) in [
            (none(), "http://Shop.example:8080/a%20b/c?y=1"),
            (
                UrlParts {
                    host: host.clone(),
                    ..none()
                },
                "http://example.org:8080/a%20b/c?y=1",
            ),
            (
                UrlParts {
                    port: Some(80),
                    ..none()
                },
                "http://Shop.example/a%20b/c?y=1",
            ),
            (
                UrlParts { https, ..none() },
                "https://Shop.example/a%20b/c?y=1",
            ),
            (
                UrlParts {
                    https,
                    port: Some(80),
                    ..none()
                },
                "https://Shop.example:80/a%20b/c?y=1",
            ),
            (
                UrlParts {
                    https: Some(false),
                    host,
                    ..none()
                },
                "http://example.org/a%20b/c?y=1",
            ),
            (
                UrlParts {
                    path: Some(PathEdit::prefix("/a b", "/z/")),
                    port: Some(80),
                    ..none()
                },
                "http://Shop.example/z/c?y=1",
            ),
            (
                UrlParts {
                    path: Some(PathEdit::Full("/z/".into())),
                    port: Some(80),
                    ..none()
                },
                "http://Shop.example/z/?y=1",
            ),
        ] {
            assert_eq!(redirect(parts), format!("302 {expected}"));
        }
    }
}
