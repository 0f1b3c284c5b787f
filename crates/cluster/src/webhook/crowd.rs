//! How many connections there are. When there is no room, the one that has waited longest goes: whoever only keeps
//! connections open does not keep the API server out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// All connections.
#[derive(Debug)]
pub(super) struct Crowd {
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

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    leave: Arc<Notify>,
    stamp: Mutex<Option<u64>>,
}

impl Crowd {
    /// Room for `most`.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    /// A place for one more, which waits. If that is too many, the one that has waited longest is told to leave; if none
    /// waits, there is no place.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state.lock();
        if state.present >= self.most {
            let (_, longest) = state.waiting.pop_first()?;
            longest.notify_one();
        }
        state.present += 1;
        let leave = Arc::new(Notify::new());
        let stamp = state.wait(leave.clone());
        drop(state);
        Some(Place {
            crowd: self.clone(),
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

impl Place {
    /// A request is being answered: the connection is not told to leave.
    pub(super) fn busy(&self) {
        if let Some(stamp) = self.stamp.lock().take() {
            self.crowd.state.lock().waiting.remove(&stamp);
        }
    }

    /// It waits again.
    pub(super) fn idle(&self) {
        let stamp = self.crowd.state.lock().wait(self.leave.clone());
        if let Some(former) = self.stamp.lock().replace(stamp) {
            self.crowd.state.lock().waiting.remove(&former);
        }
    }

    /// Resolves when it is to make room.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy();
        self.crowd.state.lock().present -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_told(place: &Place) -> bool {
        place.told_to_leave().now_or_never().is_some()
    }

    #[test]
    fn who_waited_longest_makes_room() {
        let crowd = Crowd::new(3);
        let enter = || crowd.enter().expect("there is room");
        let (first, second, third) = (enter(), enter(), enter());
        first.busy();
        second.idle();
        let fourth = enter();
        assert!(is_told(&third) && !is_told(&first) && !is_told(&second));
        first.idle();
        second.busy();
        fourth.busy();
        drop(third);
        let fifth = enter();
        assert!(is_told(&first));
        drop((first, second, fourth, fifth));
        assert_eq!(crowd.present(), 0);
        assert!(crowd.state.lock().waiting.is_empty());
    }

    #[test]
    fn nobody_is_interrupted() {
        let crowd = Crowd::new(1);
        let place = crowd.enter().expect("there is room");
        place.busy();
        assert!(crowd.enter().is_none());
        place.idle();
        let other = crowd.enter();
        assert!(other.is_some() && is_told(&place));
    }
}
