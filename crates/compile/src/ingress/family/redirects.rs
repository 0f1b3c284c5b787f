//! Redirects.

use headgate_table::{Location, Redirect};
use http::StatusCode;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{
    Class, Key, OnInvalid, Reader, When, differences, keys, parse_header_value, types,
};
use crate::ingress::settings;

/// Why policies of routes cannot have these.
const OF_ROUTES: &str = "routes have the filter RequestRedirect";

keys! { Annotation {
    SSL_REDIRECT: bool =
        annotation("ssl-redirect", types::BOOL, "Redirects http to https when the host has a certificate.")
            .setting(&settings::redirects::SSL_REDIRECT)
            .only_of_ingresses(OF_ROUTES);
    FORCE_SSL_REDIRECT: bool =
        annotation("force-ssl-redirect", types::BOOL,
            "Redirects http to https even without a certificate for the host.")
            .setting(&settings::redirects::FORCE_SSL_REDIRECT).risk(Risk::Medium)
            .only_of_ingresses(OF_ROUTES);
    PRESERVE_TRAILING_SLASH: bool =
        annotation("preserve-trailing-slash", types::BOOL, "Keeps the final slash in the redirect to https.")
            .setting(&settings::redirects::PRESERVE_TRAILING_SLASH).risk(Risk::Medium)
            .only_of_ingresses(OF_ROUTES);
    USE_PORT_IN_REDIRECTS: bool =
        annotation("use-port-in-redirects", types::BOOL, "Adds the https listening port to the redirect to https.")
            .setting(&settings::redirects::USE_PORT_IN_REDIRECTS)
            .only_of_ingresses(OF_ROUTES);
    RELATIVE_REDIRECTS: bool =
        annotation("relative-redirects", types::BOOL, "Redirects of the proxy itself have only a path in Location.")
            .setting(&settings::redirects::RELATIVE_REDIRECTS).refuses()
            .only_of_ingresses(OF_ROUTES);
    PERMANENT_REDIRECT: String =
        annotation("permanent-redirect", types::chars(Class::Url),
            "Redirects every request to this URL.")
            .risk(Risk::Medium).refuses().unread_beside(TEMPORAL_REDIRECT.row())
            .only_of_ingresses(OF_ROUTES);
    PERMANENT_REDIRECT_CODE: i64 =
        annotation("permanent-redirect-code", types::INT,
            "Status of permanent-redirect, 300 to 308; any other number is 301.")
            .default("301").refuses().unread_beside(TEMPORAL_REDIRECT.row())
            .differs(differences![
                When::Is(&["300", "305", "306"]) =>
                    "Location, and no body; ingress-nginx sends no Location for 300, 305 and 306, and the URL as the body.",
            ])
            .only_of_ingresses(OF_ROUTES);
    TEMPORAL_REDIRECT: String =
        annotation("temporal-redirect", types::chars(Class::Url),
            "Redirects every request temporarily to this http or https URL; takes precedence over permanent-redirect.")
            .risk(Risk::Medium).refuses()
            .only_of_ingresses(OF_ROUTES);
    TEMPORAL_REDIRECT_CODE: i64 =
        annotation("temporal-redirect-code", types::INT,
            "Status of temporal-redirect, 300 to 307; any other number is 302.")
            .default("302").refuses().unread_without(TEMPORAL_REDIRECT.row())
            .only_of_ingresses(OF_ROUTES);
    FROM_TO_WWW_REDIRECT: bool =
        annotation("from-to-www-redirect", types::BOOL,
            "Redirects www.HOST to HOST, or HOST to www.HOST if the host of the rule is www.HOST.")
            .default("false").refuses()
            .only_of_ingresses(OF_ROUTES);
} }

/// Redirects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Redirects {
    /// http to https if the host has a certificate.
    pub(crate) ssl: Option<bool>,
    /// http to https in any case.
    pub(crate) force_ssl: Option<bool>,
    /// Keep the final slash of the path in redirects to https.
    pub(crate) preserve_trailing_slash: Option<bool>,
    /// Add the https port to redirects to https.
    pub(crate) use_port: Option<bool>,
    /// Redirects of the proxy itself have only a path in `Location`.
    pub(crate) relative: Option<bool>,
    /// Redirect between the host with and without `www.`. Off when not set.
    pub(crate) from_to_www: Option<bool>,
    /// The redirect for every request.
    pub(crate) fixed: Option<Redirect>,
}

impl Redirects {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut redirects = Self {
            ssl: reader.get(&SSL_REDIRECT),
            force_ssl: reader.get(&FORCE_SSL_REDIRECT),
            preserve_trailing_slash: reader.get(&PRESERVE_TRAILING_SLASH),
            use_port: reader.get(&USE_PORT_IN_REDIRECTS),
            ..Self::default()
        };
        // One parser reads these together in ingress-nginx, so one invalid value drops all of them.
        if let Ok(fixed) = fixed(reader) {
            redirects.fixed = fixed;
            redirects.relative = reader.get(&RELATIVE_REDIRECTS);
            redirects.from_to_www = reader.get(&FROM_TO_WWW_REDIRECT);
        }
        redirects
    }
}

/// A temporal redirect whose target is not an http or https URL.
struct WrongScheme;

fn fixed(reader: &mut Reader) -> Result<Option<Redirect>, WrongScheme> {
    let (key, code_key, highest, default) = if let Some(target) = reader.text(&TEMPORAL_REDIRECT) {
        if !target.starts_with("http://") && !target.starts_with("https://") {
            let reason = "the target must begin with http:// or https://; all redirect annotations beside it are ignored too";
            reader.reject(&TEMPORAL_REDIRECT, OnInvalid::Ignore, reason);
            return Err(WrongScheme);
        }
        let code = &TEMPORAL_REDIRECT_CODE;
        (&TEMPORAL_REDIRECT, code, 307, StatusCode::FOUND)
    } else {
        let code = &PERMANENT_REDIRECT_CODE;
        (
            &PERMANENT_REDIRECT,
            code,
            308,
            StatusCode::MOVED_PERMANENTLY,
        )
    };
    let Some(location) = reader.parsed(key, parse_header_value) else {
        return Ok(None);
    };
    let status = code(reader, code_key, highest, default);
    Ok(Some(Redirect {
        status,
        location: Location::Fixed(location),
    }))
}

/// The configured status, from 300 to `highest`, else the default.
fn code(reader: &mut Reader, key: &Key<i64>, highest: i64, default: StatusCode) -> StatusCode {
    let Some(configured) = reader.get(key) else {
        return default;
    };
    let in_range = (300..=highest).contains(&configured);
    let code = u16::try_from(configured)
        .ok()
        .filter(|_| in_range)
        .and_then(|code| StatusCode::from_u16(code).ok());
    code.unwrap_or_else(|| {
        reader.reject(
            key,
            OnInvalid::Ignore,
            &format!("{configured} is not from 300 to {highest}"),
        );
        default
    })
}
