//! Connections of a worker before their first request: one that has waited long makes room for a new one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use headgate_limit::Key;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The share of these connections, as a divisor, beyond which a client makes room for itself, not others for it.
const SHARE: usize = 8;

/// Connections that begin.
#[derive(Default)]
pub(crate) struct Openings(RefCell<Waiting>);

#[derive(Default)]
struct Waiting {
    /// By serial number, so oldest first.
    all: BTreeMap<u64, (Key, Rc<Notify>)>,
    /// The serial numbers of each client.
    clients: HashMap<Key, BTreeSet<u64>>,
    serial: u64,
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
    /// A connection of `client` begins. If there are `most` already, one ends: the oldest of this client if it has more than
    /// its share, else the oldest of all.
    pub(super) fn begin(self: &Rc<Self>, client: Key, most: usize) -> Opens {
        let mut waiting = self.0.borrow_mut();
        while waiting.all.len() >= most.max(1) {
            waiting.displace_for(client, most);
        }
        Opens {
            all: self.clone(),
            displaced: waiting.add(client),
            serial: waiting.serial,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().all.len()
    }
}

impl Waiting {
    fn add(&mut self, client: Key) -> Rc<Notify> {
        self.serial += 1;
        let displaced = Rc::new(Notify::new());
        self.all.insert(self.serial, (client, displaced.clone()));
        self.clients.entry(client).or_default().insert(self.serial);
        displaced
    }

    fn remove(&mut self, serial: u64) -> Option<Rc<Notify>> {
        let (client, displaced) = self.all.remove(&serial)?;
        if let Some(serials) = self.clients.get_mut(&client) {
            serials.remove(&serial);
            if serials.is_empty() {
                self.clients.remove(&client);
            }
        }
        Some(displaced)
    }

    fn displace_for(&mut self, client: Key, most: usize) {
        let own = self.clients.get(&client);
        let own = own.filter(|serials| serials.len() > most / SHARE);
        let oldest = match own {
            Some(serials) => serials.first(),
            None => self.all.keys().next(),
        };
        if let Some(displaced) = oldest.copied().and_then(|oldest| self.remove(oldest)) {
            displaced.notify_one();
        }
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
        self.all.0.borrow_mut().remove(self.serial);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::IpAddr;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn client(address: [u8; 4]) -> Key {
        IpAddr::from(address).into()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let openings = Rc::new(Openings::default());
        let deadline = Instant::now() + Duration::from_secs(10);
        let begin = |number| openings.begin(client([192, 0, 2, number]), 2);
        let (first, second) = (begin(1), begin(2));
        let third = begin(3);
        let outcome = |opens: &Opens| opens.step(deadline, pending::<()>()).now_or_never();
        assert_eq!(outcome(&first), Some(Err(Stopped::Displaced)));
        assert_eq!((outcome(&second), outcome(&third)), (None, None));
        drop((first, second));
        assert_eq!(openings.count(), 1);
        let _fourth = begin(4);
        assert_eq!(outcome(&third), None, "there was room");
        assert_eq!(
            third.step(deadline, pending::<()>()).await,
            Err(Stopped::Late)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_with_more_than_its_share_makes_room_for_itself() {
        const MOST: usize = 16;
        let openings = Rc::new(Openings::default());
        let deadline = Instant::now() + Duration::from_secs(10);
        let begin = |address| openings.begin(client(address), MOST);
        let is_displaced = |opens: &Opens| {
            let outcome = opens.step(deadline, pending::<()>()).now_or_never();
            outcome == Some(Err(Stopped::Displaced))
        };
        let modest = begin([192, 0, 2, 1]);
        let greedy: Vec<Opens> = (0..100).map(|_| begin([192, 0, 2, 2])).collect();
        assert_eq!(
            greedy.iter().filter(|opens| !is_displaced(opens)).count(),
            MOST - 1
        );
        assert!(!is_displaced(&modest));
        let _other = begin([192, 0, 2, 3]);
        assert!(is_displaced(&modest), "the oldest of all");
        drop((modest, greedy));
        let waiting = openings.0.borrow();
        assert_eq!((waiting.all.len(), waiting.clients.len()), (1, 1));
    }
}
