//! Affinity by client address: a Service's `sessionAffinity: ClientIP`.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::View;

/// Shards, each with its own lock, so that workers rarely contend.
const SHARDS: usize = 16;

/// Most sessions of a shard. Clients beyond have no affinity.
const SHARD_CLIENTS: usize = 8192;

/// The session of each client; shared by the workers.
pub(super) struct Clients {
    shards: [Mutex<HashMap<IpAddr, Session, RandomState>>; SHARDS],
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Session {
    endpoint: SocketAddr,
    /// Time of the client's last request.
    seen: Instant,
}

pub(super) struct Rules<'r> {
    /// Idle timeout of a session.
    pub(super) timeout: Duration,
    pub(super) now: Instant,
    pub(super) view: &'r View,
    /// Endpoints that have failed this request.
    pub(super) tried: &'r [SocketAddr],
}

impl Clients {
    /// The endpoint of `client`'s session, or of a new one with the endpoint that `pick` returns.
    pub(super) fn pick(
        &self,
        client: IpAddr,
        rules: Rules<'_>,
        pick: impl FnOnce() -> Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        let mut sessions = self
            .shards
            .get(self.hasher.hash_one(client) as usize % SHARDS)?
            .lock();
        let lives =
            |session: &Session| rules.now.saturating_duration_since(session.seen) < rules.timeout;
        if let Some(session) = sessions.get_mut(&client)
            && lives(session)
            && !rules.tried.contains(&session.endpoint)
            && rules.view.endpoints().contains(&session.endpoint)
        {
            session.seen = rules.now;
            return Some(session.endpoint);
        }
        let endpoint = pick()?;
        if sessions.len() >= SHARD_CLIENTS && !sessions.contains_key(&client) {
            sessions.retain(|_, session| lives(session));
        }
        if sessions.len() < SHARD_CLIENTS || sessions.contains_key(&client) {
            sessions.insert(
                client,
                Session {
                    endpoint,
                    seen: rules.now,
                },
            );
        }
        Some(endpoint)
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_table::Balance;
    use std::sync::Arc;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_client_keeps_its_endpoint_until_removal_failure_or_timeout() {
        let endpoints: Arc<[SocketAddr]> = (1..=3)
            .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
            .collect();
        let view = View::new(&endpoints, &Balance::RoundRobin, false);
        let fewer = View::new(&endpoints[..2].into(), &Balance::RoundRobin, false);
        let (clients, start) = (Clients::default(), Instant::now());
        let at = |seconds, view, tried, next: usize| {
            let now = start + Duration::from_secs(seconds);
            let rules = Rules {
                timeout: Duration::from_secs(10),
                now,
                view,
                tried,
            };
            clients.pick(CLIENT, rules, || endpoints.get(next).copied())
        };
        assert_eq!(at(0, &view, &[], 2), Some(endpoints[2]));
        assert_eq!(at(9, &view, &[], 0), Some(endpoints[2]));
        assert_eq!(at(18, &view, &[], 0), Some(endpoints[2]));
        assert_eq!(at(19, &fewer, &[], 0), Some(endpoints[0]));
        assert_eq!(at(20, &view, &endpoints[..1], 1), Some(endpoints[1]));
        assert_eq!(at(31, &view, &[], 2), Some(endpoints[2]));
    }
}
