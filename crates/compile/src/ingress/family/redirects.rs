//! Redirects.

use http::StatusCode;

use crate::ingress::annotations::{Annotation, Bad, Class, Kind, Reader, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation("ssl-redirect", Kind::Bool, "Redirects http to https when the host has a certificate.")
        .setting("ssl-redirect", "true"),
    annotation("force-ssl-redirect", Kind::Bool, "Redirects http to https even without a certificate for the host.")
        .setting("force-ssl-redirect", "false")
        .risk(Risk::Medium),
    annotation("preserve-trailing-slash", Kind::Bool, "Keeps the final slash in the redirect to https.")
        .setting("preserve-trailing-slash", "false")
        .risk(Risk::Medium),
    annotation("use-port-in-redirects", Kind::Bool, "Adds the https listening port to the redirect to https.")
        .setting("use-port-in-redirects", "false"),
    annotation("relative-redirects", Kind::Bool, "Redirects that the proxy itself makes carry a path only.")
        .setting("relative-redirects", "false")
        .refuses(),
    annotation("permanent-redirect", Kind::Chars(Class::Url), "Answers every request with a redirect to this URL.")
        .risk(Risk::Medium)
        .refuses(),
    annotation("permanent-redirect-code", Kind::Int, "Status of permanent-redirect, 300 to 308; any other number is 301.")
        .default("301")
        .refuses(),
    annotation(
        "temporal-redirect",
        Kind::Chars(Class::Url),
        "Answers every request with a temporary redirect to this http or https URL; wins over permanent-redirect.",
    )
    .risk(Risk::Medium)
    .refuses(),
    annotation("temporal-redirect-code", Kind::Int, "Status of temporal-redirect, 300 to 307; any other number is 302.")
        .default("302")
        .refuses(),
    annotation("from-to-www-redirect", Kind::Bool, "Redirects www.HOST to HOST, or HOST to www.HOST when the rule names that.")
        .default("false")
        .refuses(),
];

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
    pub(crate) fn read(reader: &mut Reader) -> Self {
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
