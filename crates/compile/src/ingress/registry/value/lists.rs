//! Lists: networks, status codes, server names, TLS versions and conditions for a retry.

use headgate_table::RetryOn;
use http::StatusCode;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{ValueError, excerpt};
use crate::ingress::registry::Class;

const CIDR: &str = "an IP address or CIDR";
const CODES: &str = "a comma list of status codes from 400 to 599";
const NEXT_UPSTREAM: &str = "a list of error, timeout, invalid_header, http_500, http_502, http_503, http_504, \
                             http_403, http_404, http_429, non_idempotent, off";
const SERVER_NAMES: &str = "a comma list of host names";

/// The trimmed, non-empty members of a comma list.
pub(crate) fn members(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

/// One network; a single address is a network of one address, and host bits are cleared.
pub(crate) fn parse_cidr(text: &str) -> Result<IpNet, ValueError> {
    let invalid = || ValueError::invalid(text, CIDR);
    if text.contains('/') {
        text.parse::<IpNet>()
            .map(|net| net.trunc())
            .map_err(|_| invalid())
    } else {
        text.parse::<IpAddr>()
            .map(IpNet::from)
            .map_err(|_| invalid())
    }
}

/// A comma list of networks. One invalid or empty member makes the list invalid: it might be an allow list, which would allow
/// every client.
pub(crate) fn parse_cidrs(text: &str) -> Result<Vec<IpNet>, ValueError> {
    let members = text.split(',').map(str::trim);
    let mut nets = members.map(parse_cidr).collect::<Result<Vec<_>, _>>()?;
    nets.sort();
    nets.dedup();
    Ok(nets)
}

/// A comma list of status codes that an error page can replace. Codes that only spaces separate are admitted, as in
/// ingress-nginx, but such a list is none: it is empty.
pub(crate) fn parse_codes(text: &str) -> Result<Vec<StatusCode>, ValueError> {
    let code = |text: &str| {
        let number: u16 = text.parse().ok()?;
        let code = StatusCode::from_u16(number).ok()?;
        (400..=599).contains(&number).then_some(code)
    };
    let mut codes = Vec::new();
    let mut is_list = true;
    let list = text.trim();
    let list = list.strip_suffix(',').unwrap_or(list);
    for member in list.split(',').map(str::trim) {
        if member.is_empty() {
            return Err(ValueError::invalid(text, CODES));
        }
        is_list &= !member.contains(char::is_whitespace);
        for word in member.split_whitespace() {
            codes.push(code(word).ok_or_else(|| ValueError::invalid(text, CODES))?);
        }
    }
    Ok(if is_list { codes } else { Vec::new() })
}

/// A comma list of server names or regexes, each with only the characters of its class.
pub(crate) fn parse_server_names(text: &str) -> Result<Vec<String>, ValueError> {
    let mut names = Vec::new();
    for member in members(text) {
        if !Class::Regex.admits(member) {
            return Err(ValueError::invalid(member, SERVER_NAMES));
        }
        names.push(member.to_owned());
    }
    if names.is_empty() {
        return Err(ValueError::invalid(text, SERVER_NAMES));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Conditions under which another endpoint is tried, before the response has begun. `off` overrides all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NextUpstream {
    /// Conditions.
    pub(crate) on: RetryOn,
    /// Also retry methods that are not idempotent, after they were sent.
    pub(crate) non_idempotent: bool,
}

/// A space list of conditions for a retry.
pub(crate) fn parse_next_upstream(text: &str) -> Result<NextUpstream, ValueError> {
    let invalid = || ValueError::invalid(text, NEXT_UPSTREAM);
    let mut parsed = NextUpstream::default();
    let mut off = false;
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        return Err(invalid());
    }
    for word in words {
        if let Some(status) = status_of(word) {
            parsed.on.statuses.insert(status);
            continue;
        }
        let condition = match word {
            "error" => &mut parsed.on.error,
            "timeout" => &mut parsed.on.timeout,
            "invalid_header" => &mut parsed.on.invalid_header,
            "non_idempotent" => &mut parsed.non_idempotent,
            "off" => &mut off,
            _ => return Err(invalid()),
        };
        *condition = true;
    }
    Ok(if off { NextUpstream::default() } else { parsed })
}

/// The statuses that nginx has conditions for.
fn status_of(word: &str) -> Option<u16> {
    let status = word.strip_prefix("http_")?.parse().ok()?;
    matches!(status, 403 | 404 | 429 | 500 | 502..=504).then_some(status)
}

/// Which TLS versions may be negotiated; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlsVersions {
    /// TLS 1.2.
    pub(crate) tls12: bool,
    /// TLS 1.3.
    pub(crate) tls13: bool,
}

impl TlsVersions {
    /// TLS 1.2 and 1.3.
    pub(crate) const BOTH: Self = Self {
        tls12: true,
        tls13: true,
    };

    /// The supported versions of a list, and its other members: older versions, which are not supported, and typing errors.
    /// `None` if no supported version is listed.
    pub(crate) fn parse(text: &str) -> (Option<Self>, Vec<&str>) {
        let mut versions = Self {
            tls12: false,
            tls13: false,
        };
        let mut unknown = Vec::new();
        for word in text
            .split([' ', ',', '\t', '\n'])
            .filter(|word| !word.is_empty())
        {
            match word {
                "TLSv1.2" => versions.tls12 = true,
                "TLSv1.3" => versions.tls13 = true,
                other => unknown.push(other),
            }
        }
        (
            (versions.tls12 || versions.tls13).then_some(versions),
            unknown,
        )
    }

    /// The message about members of a list beside the versions that `self` offers.
    pub(crate) fn not_offered(self, unknown: &[&str]) -> String {
        let offered = match (self.tls12, self.tls13) {
            (true, false) => "TLSv1.2 is",
            (false, true) => "TLSv1.3 is",
            _ => "TLSv1.2 and TLSv1.3 are",
        };
        let unknown = excerpt(&unknown.join(" "));
        format!("{unknown}: not offered; {offered}. There are no other versions here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_separated_by_commas() {
        let codes = |text: &str| -> Option<Vec<u16>> {
            let codes = parse_codes(text).ok()?;
            Some(codes.iter().map(StatusCode::as_u16).collect())
        };
        assert_eq!(codes("404, 503,"), Some(vec![404, 503]));
        assert_eq!(codes("404 503"), Some(Vec::new()));
        for invalid in [
            "404,,503", ",404", "404,,", "301", "200,404", "4040", "x", ",",
        ] {
            assert_eq!(codes(invalid), None, "{invalid}");
        }
    }
}
