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

    /// Whether the address alone is enough where one check is ([`Satisfy::Any`]): it is on the allow list. Not being denied
    /// proves nothing.
    pub fn vouches_for(&self, client: IpAddr) -> bool {
        self.allow.is_some() && self.admits(client)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn only_the_allow_list_vouches_for_a_client() {
        let set =
            |net: &str| -> IpSet { [net.parse::<ipnet::IpNet>().unwrap()].into_iter().collect() };
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let rules = |deny: Option<&str>, allow: Option<&str>| AccessRules {
            deny: deny.map(set).unwrap_or_default(),
            allow: allow.map(set),
        };
        for (deny, allow, admits, vouches) in [
            (None, Some("192.0.2.0/24"), true, true),
            (None, Some("198.51.100.0/24"), false, false),
            (Some("192.0.2.7/32"), Some("192.0.2.0/24"), false, false),
            (Some("198.51.100.0/24"), None, true, false),
            (None, None, true, false),
        ] {
            let rules = rules(deny, allow);
            let found = (rules.admits(client), rules.vouches_for(client));
            assert_eq!(found, (admits, vouches), "{deny:?} {allow:?}");
        }
    }
}
