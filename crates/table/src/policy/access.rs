//! Which clients may use a route.

use std::net::IpAddr;

use crate::IpSet;

/// Which client addresses are allowed. The deny list takes precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Clients whose requests get a 403 response.
    pub deny: IpSet,
    /// Only these clients are allowed; `None`: all that are not denied.
    pub allow: Option<IpSet>,
}

impl AccessRules {
    /// Whether `client` is allowed.
    pub fn admits(&self, client: IpAddr) -> bool {
        !self.deny.contains(client)
            && self
                .allow
                .as_ref()
                .is_none_or(|allow| allow.contains(client))
    }
}

/// How the checks of addresses, passwords and the authentication service are combined (nginx `satisfy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Satisfy {
    /// A request must pass every check.
    #[default]
    All,
    /// A request must pass one of them.
    Any,
}
