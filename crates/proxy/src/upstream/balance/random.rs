//! Random endpoints.

use std::net::SocketAddr;

use super::Shares;

/// How many draws are made for an endpoint that gets the request, before one with a small share does.
pub(super) const DRAWS: usize = 64;

/// A random one of `endpoints`, preferably one that `suits`.
pub(in super::super) fn random(
    endpoints: &[SocketAddr],
    suits: impl Fn(&SocketAddr) -> bool,
) -> Option<SocketAddr> {
    if endpoints.is_empty() {
        return None;
    }
    let start = fastrand::usize(..endpoints.len());
    let mut turn = endpoints.iter().cycle().skip(start).take(endpoints.len());
    turn.find(|endpoint| suits(endpoint))
        .or_else(|| endpoints.get(start))
        .copied()
}

/// Two different random `endpoints` that are not in `tried`, as long as there are some.
///
/// While endpoints are starting, each of the two is drawn by the `shares`. One that gets its whole share may be both: with
/// another that is starting beside it, it still gets most requests.
pub(super) fn two(
    endpoints: &[SocketAddr],
    tried: &[SocketAddr],
    shares: Option<&Shares>,
) -> Option<(SocketAddr, SocketAddr)> {
    let suits = |endpoint: &SocketAddr| !tried.contains(endpoint);
    let one = match shares {
        Some(shares) => draw(endpoints, suits, shares),
        None => random(endpoints, suits),
    }?;
    let others = |endpoint: &SocketAddr| *endpoint != one && suits(endpoint);
    let other = match shares {
        Some(shares) if shares.of(&one) < 1.0 => draw(endpoints, others, shares),
        Some(shares) => draw(endpoints, suits, shares),
        None => random(endpoints, others),
    };
    Some((one, other.filter(suits).unwrap_or(one)))
}

/// A random one of `endpoints` by their `shares`, preferably one that `suits`.
fn draw(
    endpoints: &[SocketAddr],
    suits: impl Fn(&SocketAddr) -> bool,
    shares: &Shares,
) -> Option<SocketAddr> {
    if endpoints.is_empty() {
        return None;
    }
    // Each is independent of the one before: otherwise the neighbours of those that are starting would get the rest.
    let mut draws = (0..DRAWS).filter_map(|_| endpoints.get(fastrand::usize(..endpoints.len())));
    let drawn = draws.find(|endpoint| suits(endpoint) && shares.admit(endpoint));
    drawn.copied().or_else(|| random(endpoints, suits))
}
