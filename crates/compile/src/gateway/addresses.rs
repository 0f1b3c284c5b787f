//! The addresses of a Gateway: those that it asks for, and those that it has (gateway-api.md 2.12).

use super::condition::Problem;
use crate::Address;
use crate::objects::custom::GatewayAddress;

/// Most addresses of a status.
const MAX: usize = 16;

/// An address of a Gateway, for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusAddress {
    /// `IPAddress` or `Hostname`.
    pub kind: &'static str,
    /// The address, as the spec has it if it does.
    pub value: String,
}

/// The addresses of a Gateway, with what is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Those that clients can use.
    pub(crate) list: Vec<StatusAddress>,
    /// Why the Gateway is not accepted.
    pub(crate) refused: Option<Problem>,
    /// Why it is not programmed.
    pub(crate) problem: Option<Problem>,
}

impl Addresses {
    /// Those of a Gateway that asks for `requested` (none: for any) and has `available`, or why it has none.
    pub(crate) fn of(requested: &[GatewayAddress], available: Result<&[Address], Problem>) -> Self {
        let unsupported = requested.iter().find(|address| kind(address).is_none());
        if let Some(address) = unsupported {
            let text = address.kind.as_deref().unwrap_or_default().escape_debug();
            let message =
                format!("addresses of type {text} are not supported; IPAddress and Hostname are");
            return Self {
                refused: Some(Problem::new("UnsupportedAddress", message)),
                ..Self::default()
            };
        }
        let (available, mut problem) = match available {
            Ok(available) => (available, None),
            Err(problem) => (&[][..], Some(problem)),
        };
        let mut list: Vec<StatusAddress> = Vec::new();
        for address in requested {
            match requested_one(address, available, &list) {
                Ok(found) => list.push(found),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        if requested.is_empty() {
            list.extend(available.iter().take(MAX).map(status));
            let none = || Problem::new("AddressNotAssigned", "no address is assigned yet");
            problem = problem.or_else(|| list.is_empty().then(none));
        }
        Self {
            list,
            refused: None,
            problem,
        }
    }
}

/// The address that is asked for, or any of its type that is not in `used` if the request has no value.
fn requested_one(
    request: &GatewayAddress,
    available: &[Address],
    used: &[StatusAddress],
) -> Result<StatusAddress, Problem> {
    let kind = kind(request).unwrap_or_default();
    let value = request.value.as_deref().filter(|value| !value.is_empty());
    let mut of_kind = available.iter().map(status).filter(|one| one.kind == kind);
    let Some(value) = value else {
        let found = of_kind.find(|one| !used.contains(one));
        return found.ok_or_else(|| {
            let message = format!("no address of type {kind} is assigned");
            Problem::new("AddressNotAssigned", message)
        });
    };
    let is_available = available.iter().any(|one| match one {
        Address::Ip(ip) => kind == IP && value.parse() == Ok(*ip),
        Address::Hostname(name) => kind == HOSTNAME && value.eq_ignore_ascii_case(name),
    });
    let found = StatusAddress {
        kind,
        value: value.to_owned(),
    };
    is_available.then_some(found).ok_or_else(|| {
        let message = format!(
            "the Gateway does not have the address {}",
            value.escape_debug()
        );
        Problem::new("AddressNotUsable", message)
    })
}

const IP: &str = "IPAddress";
const HOSTNAME: &str = "Hostname";

fn kind(address: &GatewayAddress) -> Option<&'static str> {
    match address.kind.as_deref() {
        None | Some(IP) => Some(IP),
        Some(HOSTNAME) => Some(HOSTNAME),
        Some(_) => None,
    }
}

fn status(address: &Address) -> StatusAddress {
    match address {
        Address::Ip(ip) => StatusAddress {
            kind: IP,
            value: ip.to_string(),
        },
        Address::Hostname(name) => StatusAddress {
            kind: HOSTNAME,
            value: name.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_addresses_must_be_available() {
        let request = |kind: Option<&str>, value: &str| GatewayAddress {
            kind: kind.map(str::to_owned),
            value: Some(value.to_owned()),
        };
        let available = [
            Address::Ip([192, 0, 2, 1].into()),
            Address::Ip([192, 0, 2, 2].into()),
            Address::Hostname("lb.example".into()),
        ];
        let (any, ip, name) = (None, Some("IPAddress"), Some("Hostname"));
        let shown = |requested: &[GatewayAddress]| {
            let all = Addresses::of(requested, Ok(&available));
            let values: Vec<_> = all.list.iter().map(|one| &*one.value).collect();
            let why = all.refused.or(all.problem);
            (values.join(" "), why.map_or("", |problem| problem.reason))
        };
        let cases = [
            (vec![], "192.0.2.1 192.0.2.2 lb.example", ""),
            (vec![request(any, "192.0.2.2")], "192.0.2.2", ""),
            (vec![request(name, "LB.example")], "LB.example", ""),
            (
                vec![request(ip, "192.0.2.2"), request(ip, "192.0.2.9")],
                "192.0.2.2",
                "AddressNotUsable",
            ),
            (vec![request(any, "lb.example")], "", "AddressNotUsable"),
            (
                vec![request(ip, ""), request(ip, "")],
                "192.0.2.1 192.0.2.2",
                "",
            ),
            (
                vec![request(name, ""), request(name, "")],
                "lb.example",
                "AddressNotAssigned",
            ),
            (
                vec![request(any, "192.0.2.1"), request(Some("test/x"), "y")],
                "",
                "UnsupportedAddress",
            ),
        ];
        for (requested, values, reason) in cases {
            assert_eq!(
                shown(&requested),
                (values.to_owned(), reason),
                "{requested:?}"
            );
        }
        let none = Addresses::of(&[], Ok(&[]));
        assert_eq!(
            none.problem.map(|problem| problem.reason),
            Some("AddressNotAssigned")
        );
    }
}
