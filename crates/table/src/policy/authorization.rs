//! A service that is asked about every request, as the Gateway API has it.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::CallTarget;

/// A service that decides for every request whether it is allowed (gateway-api.md 3.11).
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// Where it is.
    pub target: CallTarget,
    /// How it is asked.
    pub protocol: AuthorizationProtocol,
    /// Longest body of a request that it gets, bytes: a longer one is refused. `None`: it gets none.
    pub body_limit: Option<NonZeroU32>,
}

/// How an authorization service is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthorizationProtocol {
    /// By a request with the method, host, path and `Authorization` of the one that it is about. Status 200 allows that; any
    /// other response is the response to the client.
    Http {
        /// What precedes the path of the request, without a final slash.
        path: Arc<str>,
        /// Further fields of the request that it gets.
        request_fields: Arc<[HeaderName]>,
        /// Fields of its response that the endpoint gets in place of those of the client; `None`: all that are not about the
        /// response itself.
        response_fields: Option<Arc<[HeaderName]>>,
    },
    /// By a call of `envoy.service.auth.v3.Authorization/Check`.
    Grpc {
        /// `:authority` of the calls.
        authority: HeaderValue,
        /// Fields of the request that it gets; `None`: all.
        request_fields: Option<Arc<[HeaderName]>>,
    },
}
