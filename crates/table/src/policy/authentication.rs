//! How clients prove who they are.

use std::sync::Arc;

use super::credentials::Credentials;
use super::external_auth::ExternalAuth;

/// The authentication of a route. Paths that are exempt from it have a policy without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authentication {
    /// A user name and a password (behaviour.md 1.6).
    pub credentials: Option<Arc<Credentials>>,
    /// An authentication service (behaviour.md 1.7).
    pub external: Option<Arc<ExternalAuth>>,
}
