//! Basic, digest and external authentication. [`super::credentials`] has the semantics of the first two.
//!
//! External authentication is not honoured yet. The entries that enable protection close the route; those that only configure
//! it cause a warning.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::family::credentials::{Scheme, UserSource};
use crate::ingress::registry::{Class, Protection, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    AUTH_TYPE: Scheme =
        annotation("auth-type", types::one_of::<Scheme>(), "Requires a user name and password.")
            .refuses().protects(Protection::Authentication);
    AUTH_SECRET: String =
        annotation("auth-secret", types::chars(Class::Basic), "Secret with the users, name or namespace/name.")
            .risk(Risk::Medium).names(ObjectKind::Secret).protects(Protection::Authentication)
            .needs(&[AUTH_TYPE.row()]);
    AUTH_SECRET_TYPE: UserSource =
        annotation("auth-secret-type", types::one_of::<UserSource>(), "How the Secret holds the users.")
            .default("auth-file").refuses();
    AUTH_REALM: String =
        annotation("auth-realm", types::chars(Class::Space), "Realm shown when the password is requested.")
            .risk(Risk::Medium).refuses();
    AUTH_URL: String =
        annotation("auth-url", types::spaced(Class::UrlVariables), "Sends a subrequest to this URL, which decides whether a request may pass.")
            .setting(&settings::security::GLOBAL_AUTH_URL).risk(Risk::High).refuses()
            .protects(Protection::Authentication);
    AUTH_METHOD: &'static str =
        annotation(
            "auth-method",
            types::words(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"]),
            "Method of the request to auth-url.")
            .setting(&settings::security::GLOBAL_AUTH_METHOD).closes();
    AUTH_SIGNIN: String =
        annotation("auth-signin", types::spaced(Class::UrlVariables), "Where a client is redirected when auth-url responds with 401.")
            .setting(&settings::security::GLOBAL_AUTH_SIGNIN).risk(Risk::High);
    AUTH_SIGNIN_REDIRECT_PARAM: String =
        annotation("auth-signin-redirect-param", types::spaced(Class::Url),
            "Query parameter with the original URL for auth-signin.")
            .setting(&settings::security::GLOBAL_AUTH_SIGNIN_REDIRECT_PARAM).risk(Risk::Medium);
    AUTH_RESPONSE_HEADERS: String =
        annotation("auth-response-headers", types::chars(Class::HeaderList),
            "Headers copied from the response of auth-url to the request for the backend.")
            .setting(&settings::security::GLOBAL_AUTH_RESPONSE_HEADERS).risk(Risk::Medium).closes();
    AUTH_PROXY_SET_HEADERS: String =
        annotation("auth-proxy-set-headers", types::chars(Class::Basic),
            "ConfigMap with further headers of the request to auth-url, namespace/name.")
            .risk(Risk::Medium).closes().names(ObjectKind::ConfigMap);
    AUTH_REQUEST_REDIRECT: String =
        annotation("auth-request-redirect", types::spaced(Class::Url),
            "X-Auth-Request-Redirect of the request to auth-url.")
            .setting(&settings::security::GLOBAL_AUTH_REQUEST_REDIRECT).risk(Risk::Medium)
            .closes();
    AUTH_CACHE_KEY: String =
        annotation("auth-cache-key", types::spaced(Class::Variables), "Caches responses of auth-url under this key.")
            .setting(&settings::security::GLOBAL_AUTH_CACHE_KEY).risk(Risk::Medium);
    AUTH_CACHE_DURATION: String =
        annotation("auth-cache-duration", types::chars(Class::Times),
            "How long responses of auth-url are cached, by status.")
            .setting(&settings::security::GLOBAL_AUTH_CACHE_DURATION).risk(Risk::Medium).closes();
    AUTH_ALWAYS_SET_COOKIE: bool =
        annotation("auth-always-set-cookie", types::BOOL,
            "Passes Set-Cookie of auth-url to the client on every status.")
            .setting(&settings::security::GLOBAL_AUTH_ALWAYS_SET_COOKIE).closes();
    AUTH_KEEPALIVE: i64 =
        annotation("auth-keepalive", types::INT, "Idle connections kept to the host of auth-url.")
            .default("0").inert();
    AUTH_KEEPALIVE_REQUESTS: i64 =
        annotation("auth-keepalive-requests", types::INT, "Requests on one connection to auth-url.")
            .default("1000").inert();
    AUTH_KEEPALIVE_TIMEOUT: i64 =
        annotation("auth-keepalive-timeout", types::INT, "Seconds an idle connection to auth-url is kept.")
            .default("60").inert();
    AUTH_KEEPALIVE_SHARE_VARS: bool =
        annotation("auth-keepalive-share-vars", types::BOOL,
            "Shares request variables with the subrequest to auth-url.")
            .default("false").inert();
    AUTH_SNIPPET: String =
        annotation("auth-snippet", types::RAW, "Raw nginx text for auth-url.")
            .setting(&settings::security::GLOBAL_AUTH_SNIPPET).risk(Risk::Critical).not_yet()
            .protects(Protection::Authentication);
    ENABLE_GLOBAL_AUTH: bool =
        annotation("enable-global-auth", types::BOOL, "false exempts the Ingress from global-auth-url.")
            .default("true");
} }
