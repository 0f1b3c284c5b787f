//! One writer swaps tables in; many readers take the current one.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use arc_swap::{ArcSwap, Cache};

use crate::RoutingTable;

/// The one handle that publishes. It cannot be cloned.
pub struct Publisher {
    current: Arc<ArcSwap<RoutingTable>>,
    waiting: Arc<Waiting>,
}

/// A handle that reads the current table; for threads that look now and then.
#[derive(Clone)]
pub struct TableReader {
    current: Arc<ArcSwap<RoutingTable>>,
    waiting: Arc<Waiting>,
}

/// Tasks that wait for the next table.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

/// A worker's view of the current table: taking it costs one atomic load and a count that no other thread touches.
///
/// It keeps the table it last saw alive, so an idle worker must call [`LocalTable::current`] now and then.
pub struct LocalTable {
    cache: Cache<Arc<ArcSwap<RoutingTable>>, Arc<RoutingTable>>,
    local: Rc<Arc<RoutingTable>>,
}

/// A publisher that starts with `table`, and a reader.
pub fn publisher(table: Arc<RoutingTable>) -> (Publisher, TableReader) {
    let current = Arc::new(ArcSwap::new(table));
    let waiting = Arc::new(Waiting::default());
    (
        Publisher {
            current: current.clone(),
            waiting: waiting.clone(),
        },
        TableReader { current, waiting },
    )
}

impl Publisher {
    /// Makes `table` the current one; requests that run keep theirs. Gives the former one.
    pub fn publish(&mut self, table: Arc<RoutingTable>) -> Arc<RoutingTable> {
        let former = self.current.swap(table);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
        former
    }
}

impl TableReader {
    /// The current table.
    pub fn current(&self) -> Arc<RoutingTable> {
        self.current.load_full()
    }

    /// Waits until the current table is another one than `known`. Tables between two looks are not seen.
    pub async fn changed(&self, known: &Arc<RoutingTable>) {
        poll_fn(|cx| {
            // Locked before the look: a table that is published after it finds the waker.
            let mut waiting = self.waiting.lock();
            if !Arc::ptr_eq(&self.current.load(), known) {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// A view for one worker thread.
    pub fn local(&self) -> LocalTable {
        let mut cache = Cache::new(self.current.clone());
        let local = Rc::new(cache.load().clone());
        LocalTable { cache, local }
    }
}

impl LocalTable {
    /// The current table; a request takes it once and keeps it to its end.
    pub fn current(&mut self) -> Rc<Arc<RoutingTable>> {
        let latest = self.cache.load();
        if !Arc::ptr_eq(latest, &self.local) {
            self.local = Rc::new(latest.clone());
        }
        self.local.clone()
    }
}

impl Waiting {
    /// Nothing is done under the lock that could panic half-way.
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;
    use crate::Settings;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn table() -> Arc<RoutingTable> {
        Arc::new(RoutingTable::new(Arc::new(Settings::default())))
    }

    #[test]
    fn a_waiting_task_is_woken_once_by_the_next_table() {
        let (mut publisher, reader) = publisher(table());
        let known = reader.current();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut changed = pin!(reader.changed(&known));
        assert!(changed.as_mut().poll(&mut cx).is_pending());
        assert!(changed.as_mut().poll(&mut cx).is_pending());
        publisher.publish(table());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(changed.as_mut().poll(&mut cx).is_ready());
        publisher.publish(table());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "it waits no longer");
        assert!(pin!(reader.changed(&known)).poll(&mut cx).is_ready());
    }
}
