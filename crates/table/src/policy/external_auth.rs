//! An authentication service.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::{CallTarget, Template};

/// A service that decides for every request whether it may pass (behaviour.md 1.7).
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalAuth {
    /// Where it is.
    pub target: CallTarget,
    /// `Host` of requests to it.
    pub host: HeaderValue,
    /// Path and query of requests to it.
    pub path: Template,
    /// Method of requests to it; `None`: GET, without the fields that nginx adds for a configured method.
    pub method: Option<Method>,
    /// Further fields of requests to it.
    pub request_fields: Arc<[(HeaderName, Template)]>,
    /// `X-Auth-Request-Redirect`; `None`: the path and query of the client.
    pub redirect: Option<Template>,
    /// Where the client is sent for a 401 response.
    pub sign_in: Option<SignIn>,
    /// Fields of its response that the backend gets in place of those of the client.
    pub response_fields: Arc<[HeaderName]>,
    /// Pass its cookies to the client with every status, not only with success and redirects.
    pub always_set_cookie: bool,
    /// Responses are kept; `None`: every request is a request to the service.
    pub cache: Option<AuthCache>,
}

/// Where a client signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The URL.
    pub url: Template,
    /// What comes between it and the URL of the request, such as `?rd=`; `None`: the URL says where to return to.
    pub parameter: Option<Arc<str>>,
}

/// Which responses are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthCache {
    /// Requests of one host and path with equal texts share a response.
    pub key: Template,
    /// The first rule with the status of a response applies.
    pub rules: Arc<[CacheRule]>,
}

/// How long responses are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    /// Their statuses.
    pub statuses: Arc<[StatusCode]>,
    /// How long.
    pub lifetime: Duration,
}

impl AuthCache {
    /// How long a response with `status` is kept; `None`: not at all.
    pub fn lifetime(&self, status: StatusCode) -> Option<Duration> {
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.statuses.contains(&status))?;
        Some(rule.lifetime).filter(|lifetime| !lifetime.is_zero())
    }
}
