//! Connections of a worker before their first request: the one that has waited longest makes room for a new one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Connections that begin.
#[derive(Default)]
pub(crate) struct Openings {
    /// By serial number, so oldest first.
    waiting: RefCell<BTreeMap<u64, Rc<Notify>>>,
    serial: Cell<u64>,
}

/// One of them, until it is dropped.
pub(super) struct Opens {
    all: Rc<Openings>,
    serial: u64,
    displaced: Rc<Notify>,
}

/// Why a step has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It took too long.
    Late,
    /// The connection made room for another.
    Displaced,
}

impl Openings {
    /// A connection begins, and the oldest ends if there are `most` already.
    pub(super) fn begin(self: &Rc<Self>, most: usize) -> Opens {
        let mut waiting = self.waiting.borrow_mut();
        while waiting.len() >= most.max(1) {
            let Some((_, oldest)) = waiting.pop_first() else {
                break;
            };
            oldest.notify_one();
        }
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        let displaced = Rc::new(Notify::new());
        waiting.insert(serial, displaced.clone());
        Opens {
            all: self.clone(),
            serial,
            displaced,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.waiting.borrow().len()
    }
}

impl Opens {
    /// The result of `step`, if it has one before `deadline` and before the connection is displaced.
    pub(super) async fn step<T>(
        &self,
        deadline: Instant,
        step: impl Future<Output = T>,
    ) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            () = self.displaced.notified() => Err(Stopped::Displaced),
            done = timeout_at(deadline, step) => done.map_err(|_| Stopped::Late),
        }
    }
}

impl Drop for Opens {
    fn drop(&mut self) {
        self.all.waiting.borrow_mut().remove(&self.serial);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let openings = Rc::new(Openings::default());
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        let [first, second] = [(); 2].map(|()| openings.begin(2));
        let third = openings.begin(2);
        let outcome = |opens: &Opens| opens.step(deadline, pending::<()>()).now_or_never();
        assert_eq!(outcome(&first), Some(Err(Stopped::Displaced)));
        assert_eq!((outcome(&second), outcome(&third)), (None, None));
        drop((first, second));
        assert_eq!(openings.count(), 1);
        let _fourth = openings.begin(2);
        assert_eq!(outcome(&third), None, "there was room");
        assert_eq!(
            third.step(deadline, pending::<()>()).await,
            Err(Stopped::Late)
        );
    }
}
