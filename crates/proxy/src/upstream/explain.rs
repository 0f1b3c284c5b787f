//! How an endpoint would be chosen, without choosing one: no position or score changes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headgate_table::{AffinityMode, Balance, Endpoints, Upstream};

use super::balance::{View, hash};
use super::raw::Client;
use super::report::troubles;
use super::{SelectionInput, Upstreams};

/// The endpoints that may get a request, and how one is chosen.
pub(crate) struct Choice {
    /// In their order.
    pub(crate) endpoints: Vec<String>,
    /// In words.
    pub(crate) balance: String,
    /// Those of the endpoints that have failed, in words.
    pub(crate) troubles: Vec<String>,
}

impl Upstreams {
    /// The choice for a request of `input`.
    pub(crate) fn choice(&self, upstream: &Arc<Upstream>, input: &dyn SelectionInput) -> Choice {
        let addresses = match &upstream.endpoints {
            Endpoints::None(why) => {
                return Choice {
                    endpoints: Vec::new(),
                    balance: why.to_string(),
                    troubles: Vec::new(),
                };
            }
            Endpoints::Addresses(addresses) => addresses.clone(),
            Endpoints::Name { host, port } => match self.environment.resolver.known(host) {
                Some(known) => known.iter().map(|ip| SocketAddr::new(*ip, *port)).collect(),
                None => {
                    let turn = turn(upstream);
                    return Choice {
                        endpoints: vec![format!("{host}:{port}")],
                        balance: format!("the addresses that the name has at run time, {turn}"),
                        troubles: Vec::new(),
                    };
                }
            },
        };
        let view = View::new(&addresses, &upstream.balance, self.environment.loopback);
        let choice = |endpoints: &[SocketAddr], balance: String| Choice {
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
            balance,
            troubles: troubles(upstream, endpoints),
        };
        if let Some((endpoint, why)) = session(upstream, &view, input) {
            return choice(&[endpoint], why);
        }
        match &upstream.balance {
            Balance::Hash { key, subset: None }
                if upstream.affinity.is_none() && upstream.client_ip_affinity.is_none() =>
            {
                let text = input.evaluate(key);
                let endpoint = view.by_hash(hash(text.as_bytes()), |_| true);
                let because = format!("the hash of \"{}\"", text.escape_debug());
                choice(endpoint.as_slice(), because)
            }
            _ => choice(view.endpoints(), turn(upstream)),
        }
    }

    /// The choice for a stream of `client`, which has no cookies.
    pub(crate) fn choice_of_stream(&self, upstream: &Arc<Upstream>, client: IpAddr) -> Choice {
        let choice = self.choice(upstream, &Client(client));
        match upstream.affinity {
            Some(_) => Choice {
                balance: "at random".to_owned(),
                ..choice
            },
            None => choice,
        }
    }
}

/// The endpoint of the session that the request's cookie names.
fn session(
    upstream: &Upstream,
    view: &View,
    input: &dyn SelectionInput,
) -> Option<(SocketAddr, String)> {
    let affinity = upstream.affinity.as_ref()?;
    let mut parts = input.cookie(&affinity.cookie)?.split('|');
    let key = parts.find(|part| !part.is_empty())?;
    let endpoint = match affinity.mode {
        AffinityMode::Balanced => view.by_hash(hash(key.as_bytes()), |_| true),
        AffinityMode::Persistent => view.by_key(&upstream.log_name, key),
    }?;
    let why = format!("the session of cookie {}", affinity.cookie);
    Some((endpoint, why))
}

/// How an endpoint is chosen among all.
pub(super) fn turn(upstream: &Upstream) -> String {
    if let Some(affinity) = &upstream.affinity {
        return format!("at random; then by the cookie {}", affinity.cookie);
    }
    if let Some(time) = upstream.client_ip_affinity {
        let seconds = time.as_secs();
        return format!("by the client's address for {seconds} s (sessionAffinity of the Service)");
    }
    match &upstream.balance {
        Balance::RoundRobin => "in turn".to_owned(),
        Balance::Ewma => "the faster one of two at random".to_owned(),
        Balance::LeastConn => "the one with the fewest requests in flight".to_owned(),
        Balance::Hash { .. } => "a random member of the subset that the hash names".to_owned(),
    }
}
