//! The limit of open connections. When it is reached, the connection that has been idle longest is closed, so that idle
//! connections cannot lock the API server out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct ConnectionLimit {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// Stamps increase.
    last_stamp: u64,
    /// Connections that wait for their handshake or for a request, in the order in which they began to.
    idle: BTreeMap<u64, Arc<Notify>>,
}

/// The permit of one connection; released when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limit: Arc<ConnectionLimit>,
    evict: Arc<Notify>,
    stamp: Mutex<Option<u64>>,
}

impl ConnectionLimit {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            state: Mutex::default(),
        })
    }

    /// A permit for one more connection, which is idle. At the limit the connection that has been idle longest is evicted;
    /// if none is idle, there is no permit.
    pub(super) fn acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        if state.open >= self.max {
            let (_, longest) = state.idle.pop_first()?;
            longest.notify_one();
        }
        state.open += 1;
        let evict = Arc::new(Notify::new());
        let stamp = state.add_idle(evict.clone());
        drop(state);
        Some(Permit {
            limit: self.clone(),
            evict,
            stamp: Mutex::new(Some(stamp)),
        })
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.state.lock().open
    }
}

impl State {
    fn add_idle(&mut self, evict: Arc<Notify>) -> u64 {
        self.last_stamp += 1;
        self.idle.insert(self.last_stamp, evict);
        self.last_stamp
    }
}

impl Permit {
    /// A request is being served: the connection is not evicted.
    pub(super) fn busy(&self) {
        if let Some(stamp) = self.stamp.lock().take() {
            self.limit.state.lock().idle.remove(&stamp);
        }
    }

    /// The connection may be evicted again.
    pub(super) fn idle(&self) {
        let stamp = self.limit.state.lock().add_idle(self.evict.clone());
        if let Some(former) = self.stamp.lock().replace(stamp) {
            self.limit.state.lock().idle.remove(&former);
        }
    }

    /// Resolves when the connection must close to make room.
    pub(super) async fn evicted(&self) {
        self.evict.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.busy();
        self.limit.state.lock().open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_evicted(permit: &Permit) -> bool {
        permit.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_longest_idle_connection_is_evicted() {
        let limit = ConnectionLimit::new(3);
        let acquire = || limit.acquire().expect("below the limit");
        let (first, second, third) = (acquire(), acquire(), acquire());
        first.busy();
        second.idle();
        let fourth = acquire();
        assert!(is_evicted(&third) && !is_evicted(&first) && !is_evicted(&second));
        first.idle();
        second.busy();
        fourth.busy();
        drop(third);
        let fifth = acquire();
        assert!(is_evicted(&first));
        drop((first, second, fourth, fifth));
        assert_eq!(limit.open(), 0);
        assert!(limit.state.lock().idle.is_empty());
    }

    #[test]
    fn busy_connections_are_not_evicted() {
        let limit = ConnectionLimit::new(1);
        let permit = limit.acquire().expect("below the limit");
        permit.busy();
        assert!(limit.acquire().is_none());
        permit.idle();
        let other = limit.acquire();
        assert!(other.is_some() && is_evicted(&permit));
    }
}
