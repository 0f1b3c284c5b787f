//! Sessions of the Gateway API: clients stay with the endpoint that served them first.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

/// Keeps a client with an endpoint, also where weights would choose another backend (gateway-api.md 3.14). The client proves
/// which one by a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// How the client carries the token.
    pub carrier: SessionCarrier,
    /// How long a session lasts at most; `None`: as long as the client likes.
    pub timeout: Option<Duration>,
    /// What distinguishes it from other sessions; tokens are sealed with it. It should not be known to clients.
    pub id: Arc<str>,
}

/// How a client carries a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCarrier {
    /// In a cookie.
    Cookie {
        /// Its name.
        name: Arc<str>,
        /// It outlives the client, as long as the session lasts.
        permanent: bool,
    },
    /// In a header field of responses and requests.
    Field(HeaderName),
}
