//! The limit of open connections. When it is reached, the connection that has been idle longest is closed, so that idle
//! connections cannot lock the API server out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// All connections.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    present: usize,
    /// Stamps are given in rising order.
    last_stamp: u64,
    /// Connections that wait for their handshake or for a request, by the stamp of when they began to.
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// The permit of one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limit: Arc<ConnectionLimit>,
    leave: Arc<Notify>,
    stamp: Mutex<Option<u64>>,
}

impl ConnectionLimit {
    /// Room for `most`.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    /// A permit for one more, which waits. At the limit the one that has waited longest is evicted; if none waits,
    /// there is no permit.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        if state.present >= self.most {
            let (_, longest) = state.waiting.pop_first()?;
            longest.notify_one();
        }
        state.present += 1;
        let leave = Arc::new(Notify::new());
        let stamp = state.wait(leave.clone());
        drop(state);
        Some(Permit {
            limit: self.clone(),
            leave,
            stamp: Mutex::new(Some(stamp)),
        })
    }

    #[cfg(test)]
    fn present(&self) -> usize {
        self.state.lock().present
    }
}

impl State {
    fn wait(&mut self, leave: Arc<Notify>) -> u64 {
        self.last_stamp += 1;
        self.waiting.insert(self.last_stamp, leave);
        self.last_stamp
    }
}

impl Permit {
    /// A request is being served: the connection is not evicted.
    pub(super) fn busy(&self) {
        if let Some(stamp) = self.stamp.lock().take() {
            self.limit.state.lock().waiting.remove(&stamp);
        }
    }

    /// It waits again.
    pub(super) fn idle(&self) {
        let stamp = self.limit.state.lock().wait(self.leave.clone());
        if let Some(former) = self.stamp.lock().replace(stamp) {
            self.limit.state.lock().waiting.remove(&former);
        }
    }

    /// Resolves when the connection must close to make room.
    pub(super) async fn evicted(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.busy();
        self.limit.state.lock().present -= 1;
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
    fn who_waited_longest_makes_room() {
        let limit = ConnectionLimit::new(3);
        let enter = || limit.enter().expect("there is room");
        let (first, second, third) = (enter(), enter(), enter());
        first.busy();
        second.idle();
        let fourth = enter();
        assert!(is_evicted(&third) && !is_evicted(&first) && !is_evicted(&second));
        first.idle();
        second.busy();
        fourth.busy();
        drop(third);
        let fifth = enter();
        assert!(is_evicted(&first));
        drop((first, second, fourth, fifth));
        assert_eq!(limit.present(), 0);
        assert!(limit.state.lock().waiting.is_empty());
    }

    #[test]
    fn nobody_is_interrupted() {
        let limit = ConnectionLimit::new(1);
        let permit = limit.enter().expect("there is room");
        permit.busy();
        assert!(limit.enter().is_none());
        permit.idle();
        let other = limit.enter();
        assert!(other.is_some() && is_evicted(&permit));
    }
}
