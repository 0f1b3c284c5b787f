//! A service that is asked about every request, as the Gateway API has it.

use std::sync::Arc;

use http::HeaderName;

use crate::CallTarget;

/// A service that decides for every request whether it is allowed (gateway-api.md 3.11). It gets the method, host, path and
/// `Authorization` of the request. With status 200 the request is allowed; any other response is that to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// Where it is.
    pub target: CallTarget,
    /// What precedes the path of the request, without a final slash.
    pub path: Arc<str>,
    /// Further fields of the request that it gets.
    pub request_fields: Arc<[HeaderName]>,
    /// Fields of its response that the endpoint gets in place of those of the client; `None`: all that are not about the
    /// response itself.
    pub response_fields: Option<Arc<[HeaderName]>>,
}
