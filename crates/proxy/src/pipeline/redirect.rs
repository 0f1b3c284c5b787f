//! Redirects between `www.` and bare hosts, to the application's root, to a path with a final slash, and those of the
//! redirect annotations (behaviour.md 1.1).

use headgate_table::AppRoot;
use http::{HeaderValue, StatusCode};

use crate::request::{Authority, ClientInfo, ConnectionInfo, Context, Parsed, RequestTarget, path};
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
    let location = &redirect.location;
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
    use crate::request::Scheme;
    use crate::request::testing::Sample;
    use headgate_table::Redirect;

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
                    location,
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
}
