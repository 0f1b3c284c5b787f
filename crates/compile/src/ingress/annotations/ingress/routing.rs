//! Routing and redirects.

use http::StatusCode;

use crate::ingress::annotations::{Bad, Reader};

/// Which requests, and how their path changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// The new path, as written: `$1` and so on are left for whoever knows the path's regex. Switches the host to
    /// regexes unless it equals the path.
    pub rewrite_target: Option<String>,
    /// Paths are regexes. Off when not set.
    pub use_regex: Option<bool>,
    /// `/` of the host goes here; always begins with `/`.
    pub app_root: Option<String>,
    /// Further names of the host, sorted; one starting with `~` is a regex.
    pub server_aliases: Vec<String>,
    /// Service of the same namespace for when the backend has no endpoints.
    pub default_backend: Option<String>,
    /// Use the Service's cluster address. An invalid value is `Some(false)`, whatever the ConfigMap says.
    pub service_upstream: Option<bool>,
}

impl Routing {
    pub(super) fn read(reader: &Reader) -> Self {
        Self {
            rewrite_target: reader.string("rewrite-target"),
            use_regex: reader.bool("use-regex"),
            app_root: reader.string("app-root"),
            server_aliases: reader
                .list("server-alias")
                .map(<[String]>::to_vec)
                .unwrap_or_default(),
            default_backend: reader.string("default-backend"),
            service_upstream: reader
                .bool("service-upstream")
                .or_else(|| reader.was_invalid("service-upstream").then_some(false)),
        }
    }
}

/// Redirects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirects {
    /// http to https when the host has a certificate.
    pub ssl: Option<bool>,
    /// http to https in any case.
    pub force_ssl: Option<bool>,
    /// Keep the final slash of the path on the way to https.
    pub preserve_trailing_slash: Option<bool>,
    /// Name the https port on the way to https.
    pub use_port: Option<bool>,
    /// Redirects that the proxy makes carry a path only.
    pub relative: Option<bool>,
    /// Redirect between the host with and without `www.`. Off when not set.
    pub from_to_www: Option<bool>,
    /// Every request is answered with this redirect.
    pub fixed: Option<Redirect>,
}

/// A redirect to a fixed place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 300 to 308.
    pub code: StatusCode,
    /// `Location`, as written.
    pub location: String,
}

impl Redirects {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut redirects = Self {
            ssl: reader.bool("ssl-redirect"),
            force_ssl: reader.bool("force-ssl-redirect"),
            preserve_trailing_slash: reader.bool("preserve-trailing-slash"),
            use_port: reader.bool("use-port-in-redirects"),
            ..Self::default()
        };
        // One parser reads these together in ingress-nginx, so one bad member drops them together.
        if let Ok(fixed) = fixed(reader) {
            redirects.fixed = fixed;
            redirects.relative = reader.bool("relative-redirects");
            redirects.from_to_www = reader.bool("from-to-www-redirect");
        }
        redirects
    }
}

/// A temporal redirect whose target is not a web address.
struct WrongScheme;

fn fixed(reader: &mut Reader) -> Result<Option<Redirect>, WrongScheme> {
    if let Some(location) = reader.string("temporal-redirect") {
        if !location.starts_with("http://") && !location.starts_with("https://") {
            let reason = "the target has to begin with http:// or https://; all redirect annotations beside it are ignored too";
            reader.reject("temporal-redirect", Bad::Ignore, reason);
            return Err(WrongScheme);
        }
        let code = code(reader, "temporal-redirect-code", 307, StatusCode::FOUND);
        return Ok(Some(Redirect { code, location }));
    }
    let Some(location) = reader.string("permanent-redirect") else {
        return Ok(None);
    };
    let code = code(
        reader,
        "permanent-redirect-code",
        308,
        StatusCode::MOVED_PERMANENTLY,
    );
    Ok(Some(Redirect { code, location }))
}

/// The status an annotation asks for, from 300 to `highest`, else the default.
fn code(reader: &mut Reader, name: &str, highest: i64, default: StatusCode) -> StatusCode {
    let Some(wanted) = reader.int(name) else {
        return default;
    };
    let in_range = (300..=highest).contains(&wanted);
    let code = u16::try_from(wanted)
        .ok()
        .filter(|_| in_range)
        .and_then(|code| StatusCode::from_u16(code).ok());
    code.unwrap_or_else(|| {
        reader.reject(
            name,
            Bad::Ignore,
            &format!("{wanted} is not from 300 to {highest}"),
        );
        default
    })
}
