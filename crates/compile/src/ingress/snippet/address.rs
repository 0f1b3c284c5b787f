//! `allow` and `deny`.

use std::net::IpAddr;

use headgate_table::AddressRule;
use ipnet::IpNet;

use super::directive::Directive;
use super::values::shown;

/// `allow` or `deny` with an address, a network or `all`.
pub(super) fn rule(allow: bool, arguments: &[String]) -> Result<Directive, String> {
    let [text] = arguments else {
        return Err("expected one address, network or \"all\"".to_owned());
    };
    let net = match text.as_str() {
        "all" => None,
        text => {
            Some(network(text).ok_or_else(|| format!("\"{}\" is not an address", shown(text)))?)
        }
    };
    Ok(Directive::Address(AddressRule { allow, net }))
}

fn network(text: &str) -> Option<IpNet> {
    let net: Option<IpNet> = text.parse().ok();
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    net.map(|net| net.trunc()).or_else(address)
}
