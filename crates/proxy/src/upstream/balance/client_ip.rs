//! Affinity by client address: a Service's `sessionAffinity: ClientIP`.

use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use foldhash::quality::RandomState;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Candidates;

/// Shards, each with its own lock, so that workers rarely contend.
const SHARDS: usize = 16;

/// Most sessions of a shard. Beyond, a new client replaces one that was not seen for long.
const SHARD_CLIENTS: usize = 8192;

/// Time between two searches of a full shard for sessions that have timed out.
const SWEEP: Duration = Duration::from_secs(1);

/// Sessions of a full shard of which the one that was not seen for longest is replaced.
const SAMPLE: usize = 8;

/// The session of each client; shared by the workers.
pub(super) struct Clients {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    sessions: IndexMap<IpAddr, Session, RandomState>,
    /// When sessions that have timed out were last searched for.
    swept: Option<Instant>,
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
    pub(super) candidates: &'r Candidates<'r>,
}

impl Clients {
    /// The endpoint of `client`'s session, or of a new one with the endpoint that `pick` returns.
    pub(super) fn pick(
        &self,
        client: IpAddr,
        rules: Rules<'_>,
        pick: impl FnOnce() -> Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        let mut shard = self
            .shards
            .get(self.hasher.hash_one(client) as usize % SHARDS)?
            .lock();
        if let Some(session) = shard.sessions.get_mut(&client)
            && rules.lives(session)
            && rules.candidates.suits(&session.endpoint)
            && rules
                .candidates
                .view
                .endpoints()
                .contains(&session.endpoint)
        {
            session.seen = rules.now;
            return Some(session.endpoint);
        }
        let endpoint = pick()?;
        if !shard.sessions.contains_key(&client) {
            shard.make_room(&rules);
        }
        let seen = rules.now;
        shard.sessions.insert(client, Session { endpoint, seen });
        Some(endpoint)
    }
}

impl Rules<'_> {
    fn lives(&self, session: &Session) -> bool {
        self.now.saturating_duration_since(session.seen) < self.timeout
    }
}

impl Shard {
    /// Makes room for another session. The cost is bounded: anyone can be a new client at any time, and others wait.
    fn make_room(&mut self, rules: &Rules<'_>) {
        let is_full = |shard: &Self| shard.sessions.len() >= SHARD_CLIENTS;
        let since = |swept| rules.now.saturating_duration_since(swept);
        if is_full(self) && self.swept.is_none_or(|swept| since(swept) >= SWEEP) {
            self.swept = Some(rules.now);
            self.sessions.retain(|_, session| rules.lives(session));
        }
        if is_full(self) {
            let seen = |index: &usize| Some(self.sessions.get_index(*index)?.1.seen);
            let sample = (0..SAMPLE).map(|_| fastrand::usize(..self.sessions.len()));
            if let Some(replaced) = sample.min_by_key(seen) {
                self.sessions.swap_remove_index(replaced);
            }
        }
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
    use super::super::{Health, View};
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
                candidates: &Candidates::new(&Health::default(), view, tried),
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
    #[test]
    fn new_clients_find_room_in_a_full_shard_at_a_bounded_cost() {
        let endpoints: Arc<[SocketAddr]> = Arc::new([SocketAddr::from(([10, 0, 0, 1], 80))]);
        let view = View::new(&endpoints, &Balance::RoundRobin, false);
        let start = Instant::now();
        let mut shard = Shard::default();
        let mut add = |client: u32, millis| {
            let now = start + Duration::from_millis(millis);
            let rules = Rules {
                timeout: Duration::from_secs(10),
                now,
                candidates: &Candidates::new(&Health::default(), &view, &[]),
            };
            shard.make_room(&rules);
            let endpoint = endpoints[0];
            let session = Session {
                endpoint,
                seen: now,
            };
            shard.sessions.insert(IpAddr::V4(client.into()), session);
            let swept = shard.swept.map(|swept| swept.duration_since(start));
            (shard.sessions.len(), swept.map(|swept| swept.as_millis()))
        };
        let full = SHARD_CLIENTS as u32;
        for client in 0..full {
            assert_eq!(add(client, 0), (client as usize + 1, None));
        }
        assert_eq!(add(full, 5_000), (SHARD_CLIENTS, Some(5_000)));
        assert_eq!(add(full + 1, 5_999), (SHARD_CLIENTS, Some(5_000)));
        assert_eq!(add(full + 2, 6_000), (SHARD_CLIENTS, Some(6_000)));
        let (left, swept) = add(full + 3, 10_000);
        assert!((2..=4).contains(&left), "{left} left");
        assert_eq!(swept, Some(10_000));
    }
}
