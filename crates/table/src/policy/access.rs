//! Which clients may use a route.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::IpSet;

/// Which client addresses are allowed. The deny list takes precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Clients whose requests get a 403 response.
    pub deny: IpSet,
    /// Only these clients are allowed; `None`: all that are not denied.
    pub allow: Option<IpSet>,
    /// Rules for clients on no list, if there is no allow list; the first one for a client decides.
    pub rules: Box<[AddressRule]>,
}

/// Whether the clients of a network are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRule {
    /// They are; otherwise they get a 403 response.
    pub allow: bool,
    /// The network; `None`: every client.
    pub net: Option<IpNet>,
}

impl AddressRule {
    fn decides(&self, client: IpAddr) -> bool {
        self.net
            .is_none_or(|net| net.contains(&client.to_canonical()))
    }
}

impl AccessRules {
    /// Whether `client` is allowed.
    pub fn admits(&self, client: IpAddr) -> bool {
        !self.deny.contains(client)
            && match &self.allow {
                Some(allow) => allow.contains(client),
                None => self.rule(client).is_none_or(|rule| rule.allow),
            }
    }

    /// Whether the address alone is enough where one check is ([`Satisfy::Any`]): it is on the allow list. Not being denied
    /// proves nothing.
    pub fn vouches_for(&self, client: IpAddr) -> bool {
        let listed = self.allow.is_some() || self.rule(client).is_some();
        listed && self.admits(client)
    }

    fn rule(&self, client: IpAddr) -> Option<&AddressRule> {
        self.rules.iter().find(|rule| rule.decides(client))
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
        let set = |net: &str| -> IpSet { [net.parse::<IpNet>().unwrap()].into_iter().collect() };
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let rules = |deny: Option<&str>, allow: Option<&str>| AccessRules {
            deny: deny.map(set).unwrap_or_default(),
            allow: allow.map(set),
            rules: Box::default(),
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

    #[test]
    fn the_first_rule_for_a_client_decides() {
        let rule = |allow: bool, net: Option<&str>| AddressRule {
            allow,
            net: net.map(|net| net.parse().unwrap()),
        };
        let rules = AccessRules {
            rules: [
                rule(false, Some("192.0.2.1/32")),
                rule(true, Some("192.0.2.0/24")),
                rule(true, Some("2001:db8::/32")),
                rule(false, None),
            ]
            .into(),
            ..AccessRules::default()
        };
        for (client, admits) in [
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("::ffff:192.0.2.2", true),
            ("2001:db8::1", true),
            ("198.51.100.1", false),
        ] {
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(rules.admits(client), admits, "{client}");
            assert_eq!(rules.vouches_for(client), admits, "{client}");
        }
        let denied = AccessRules {
            rules: [rule(false, Some("192.0.2.1/32"))].into(),
            ..AccessRules::default()
        };
        assert!(denied.admits("192.0.2.2".parse().unwrap()));
        assert!(!denied.vouches_for("192.0.2.2".parse().unwrap()));
    }
}
