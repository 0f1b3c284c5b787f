//! Basic, digest and external authentication. [`super::credentials`] has the semantics of the first two.
//!
//! External authentication is not honoured yet. The entries that enable protection close the route; those that only configure
//! it cause a warning.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::family::credentials::{Scheme, UserSource};
use crate::ingress::registry::{Class, Protection, When, differences, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    AUTH_TYPE: Scheme =
        annotation("auth-type", types::one_of::<Scheme>(), "Requires a user name and password.")
            .refuses().protects(Protection::Authentication)
            .differs(differences![
                When::Is(&["digest"]) =>
                    "Nonces are valid for 60 s on every replica and are not counted, and addresses are checked before the password; in ingress-nginx each nonce counts.",
            ]);
    AUTH_SECRET: String =
        annotation("auth-secret", types::chars(Class::Basic), "Secret with the users, name or namespace/name.")
            .risk(Risk::Medium).names(ObjectKind::Secret).protects(Protection::Authentication)
            .needs(&[AUTH_TYPE.row()])
            .differs(differences![
                When::Sometimes =>
                    "Users whose hash is $y$, $7$, $2x$ or _, or bcrypt with a cost above 16, cannot log in, with a finding; in ingress-nginx the C library decides.",
            ]);
    AUTH_SECRET_TYPE: UserSource =
        annotation("auth-secret-type", types::one_of::<UserSource>(), "How the Secret holds the users.")
            .default("auth-file").refuses();
    AUTH_REALM: String =
        annotation("auth-realm", types::chars(Class::Space), "Realm shown when the password is requested.")
            .risk(Risk::Medium).refuses()
            .differs(differences![
                When::Is(&["off"]) =>
                    "A realm like any other; ingress-nginx serves everybody.",
            ]);
    AUTH_URL: String =
        annotation("auth-url", types::spaced(Class::UrlVariables), "Sends a subrequest to this URL, which decides whether a request may pass.")
            .setting(&settings::security::GLOBAL_AUTH_URL).risk(Risk::High).refuses()
            .protects(Protection::Authentication)
            .differs(differences![
                When::Has(&["$"]) =>
                    "Variables are those of the client's request, and one in the host closes the routes with 503, except $host alone; in ingress-nginx $args and $uri are those of the subrequest.",
                When::Has(&[".svc"]) =>
                    "A host NAME.NAMESPACE.svc means the ready endpoints of the Service; in ingress-nginx its address in DNS.",
            ]);
    AUTH_METHOD: &'static str =
        annotation(
            "auth-method",
            types::words(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"]),
            "Method of the request to auth-url.")
            .setting(&settings::security::GLOBAL_AUTH_METHOD).closes()
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
            ]);
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
            .setting(&settings::security::GLOBAL_AUTH_RESPONSE_HEADERS).risk(Risk::Medium).closes()
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
                When::Lists(&["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"]) =>
                    "Fields that frame or route a message close the routes with 503; ingress-nginx sets them.",
            ]);
    AUTH_PROXY_SET_HEADERS: String =
        annotation("auth-proxy-set-headers", types::chars(Class::Basic),
            "ConfigMap with further headers of the request to auth-url, namespace/name.")
            .risk(Risk::Medium).closes().names(ObjectKind::ConfigMap)
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
            ]);
    AUTH_REQUEST_REDIRECT: String =
        annotation("auth-request-redirect", types::spaced(Class::Url),
            "X-Auth-Request-Redirect of the request to auth-url.")
            .setting(&settings::security::GLOBAL_AUTH_REQUEST_REDIRECT).risk(Risk::Medium)
            .closes()
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
            ]);
    AUTH_CACHE_KEY: String =
        annotation("auth-cache-key", types::spaced(Class::Variables), "Caches responses of auth-url under this key.")
            .setting(&settings::security::GLOBAL_AUTH_CACHE_KEY).risk(Risk::Medium)
            .differs(differences![
                When::Set =>
                    "Nothing is cached for a request whose key is empty, and variables are those of the client's request; in ingress-nginx such clients share a response.",
            ]);
    AUTH_CACHE_DURATION: String =
        annotation("auth-cache-duration", types::chars(Class::Times),
            "How long responses of auth-url are cached, by status.")
            .setting(&settings::security::GLOBAL_AUTH_CACHE_DURATION).risk(Risk::Medium).closes()
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
            ]);
    AUTH_ALWAYS_SET_COOKIE: bool =
        annotation("auth-always-set-cookie", types::BOOL,
            "Passes Set-Cookie of auth-url to the client on every status.")
            .setting(&settings::security::GLOBAL_AUTH_ALWAYS_SET_COOKIE).closes()
            .differs(differences![
                When::Invalid =>
                    "Closes the routes with 503; ingress-nginx serves them without authentication.",
            ]);
    AUTH_KEEPALIVE: i64 =
        annotation("auth-keepalive", types::INT, "Idle connections kept to the host of auth-url.")
            .default("0").inert()
            .differs(differences![
                When::Set =>
                    "Connections to auth-url are kept as the upstream-keepalive keys of the ConfigMap say.",
            ]);
    AUTH_KEEPALIVE_REQUESTS: i64 =
        annotation("auth-keepalive-requests", types::INT, "Requests on one connection to auth-url.")
            .default("1000").inert()
            .differs(differences![
                When::Set =>
                    "Connections to auth-url are kept as the upstream-keepalive keys of the ConfigMap say.",
            ]);
    AUTH_KEEPALIVE_TIMEOUT: i64 =
        annotation("auth-keepalive-timeout", types::INT, "Seconds an idle connection to auth-url is kept.")
            .default("60").inert()
            .differs(differences![
                When::Set =>
                    "Connections to auth-url are kept as the upstream-keepalive keys of the ConfigMap say.",
            ]);
    AUTH_KEEPALIVE_SHARE_VARS: bool =
        annotation("auth-keepalive-share-vars", types::BOOL,
            "Shares request variables with the subrequest to auth-url.")
            .default("false").inert()
            .differs(differences![
                When::Set =>
                    "There is no subrequest that could share variables.",
            ]);
    AUTH_SNIPPET: String =
        annotation("auth-snippet", types::RAW,
            "proxy_set_header directives for requests to auth-url; with others the routes respond with 503.")
            .setting(&settings::security::GLOBAL_AUTH_SNIPPET).risk(Risk::Critical)
            .protects(Protection::Authentication)
            .of_no_policy("it is text for nginx");
    ENABLE_GLOBAL_AUTH: bool =
        annotation("enable-global-auth", types::BOOL, "false exempts the Ingress from global-auth-url.")
            .default("true")
            .only_of_ingresses("global-auth-url is for Ingresses alone");
} }
