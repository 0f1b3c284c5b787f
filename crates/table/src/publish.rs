//! Publishing of tables: one writer swaps them in, many readers load the current one.

use std::rc::Rc;
use std::sync::Arc;

use crate::RoutingTable;
use crate::sync::{ArcSwap, Cache, Event};

/// The one handle that publishes. It cannot be cloned.
pub struct Publisher {
    current: Arc<ArcSwap<RoutingTable>>,
    published: Arc<Event>,
    /// Also notified if other sockets are open than before.
    sockets: Arc<Event>,
}

/// A handle that loads the current table; for threads that need it only occasionally.
#[derive(Clone)]
pub struct TableReader {
    current: Arc<ArcSwap<RoutingTable>>,
    published: Arc<Event>,
    sockets: Arc<Event>,
}

/// A worker's view of the current table: loading it costs one atomic load and a reference count of this thread alone.
///
/// It keeps the last loaded table alive, so an idle worker must call [`LocalTable::current`] periodically.
pub struct LocalTable {
    cache: Cache<Arc<ArcSwap<RoutingTable>>, Arc<RoutingTable>>,
    local: Rc<Arc<RoutingTable>>,
}

/// A publisher that starts with `table`, and a reader.
pub fn publisher(table: Arc<RoutingTable>) -> (Publisher, TableReader) {
    let current = Arc::new(ArcSwap::new(table));
    let published = Arc::new(Event::new());
    let sockets = Arc::new(Event::new());
    (
        Publisher {
            current: current.clone(),
            published: published.clone(),
            sockets: sockets.clone(),
        },
        TableReader {
            current,
            published,
            sockets,
        },
    )
}

impl Publisher {
    /// Makes `table` the current one and returns the former one; requests in flight keep theirs.
    pub fn publish(&mut self, table: Arc<RoutingTable>) -> Arc<RoutingTable> {
        let has_same_sockets = self.current.load().has_sockets_of(&table);
        let former = self.current.swap(table);
        self.published.notify(usize::MAX);
        if !has_same_sockets {
            self.sockets.notify(usize::MAX);
        }
        former
    }
}

impl TableReader {
    /// The current table.
    pub fn current(&self) -> Arc<RoutingTable> {
        self.current.load_full()
    }

    /// Waits until the current table is not `known`. Tables that were replaced before the call are skipped.
    pub async fn changed(&self, known: &Arc<RoutingTable>) {
        loop {
            // Before the comparison: a table that is published after it ends the wait.
            let published = self.published.listen();
            if !Arc::ptr_eq(&self.current.load(), known) {
                return;
            }
            published.await;
        }
    }

    /// Waits until the current table has other sockets than `known`.
    pub async fn sockets_changed(&self, known: &RoutingTable) {
        loop {
            let changed = self.sockets.listen();
            if !self.current.load().has_sockets_of(known) {
                return;
            }
            changed.await;
        }
    }

    /// A view for one worker thread.
    pub fn local(&self) -> LocalTable {
        let mut cache = Cache::new(self.current.clone());
        let local = Rc::new(cache.load().clone());
        LocalTable { cache, local }
    }
}

impl LocalTable {
    /// The current table; a request loads it once and keeps it to its end.
    pub fn current(&mut self) -> Rc<Arc<RoutingTable>> {
        let latest = self.cache.load();
        if !Arc::ptr_eq(latest, &self.local) {
            self.local = Rc::new(latest.clone());
        }
        self.local.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

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
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "the waker is used once");
        assert!(pin!(reader.changed(&known)).poll(&mut cx).is_ready());
    }

    #[test]
    fn only_other_sockets_end_the_wait_for_sockets() {
        let with = |port: u16| {
            let mut table = RoutingTable::new(Arc::new(Settings::default()));
            table.set_udp_listeners(vec![crate::UdpListener {
                address: ([127, 0, 0, 1], port).into(),
                backends: Arc::new(crate::Split::new(crate::Backend::upstream_only(
                    crate::UpstreamKey::new("dns"),
                ))),
            }]);
            Arc::new(table)
        };
        let (mut publisher, reader) = publisher(with(53));
        let known = reader.current();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut changed = pin!(reader.sockets_changed(&known));
        assert!(changed.as_mut().poll(&mut cx).is_pending());
        publisher.publish(with(53));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        publisher.publish(with(54));
        assert!(changed.as_mut().poll(&mut cx).is_ready());
    }

    /// A task may be polled with another waker each time, and as often as there are requests.
    #[test]
    fn only_the_last_waker_of_a_task_is_kept() {
        let (mut publisher, reader) = publisher(table());
        let known = reader.current();
        let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut changed = pin!(reader.changed(&known));
        for wakes in [&first, &second] {
            let waker = Waker::from(wakes.clone());
            let polled = changed.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        publisher.publish(table());
        let wakes = [first, second].map(|wakes| wakes.0.load(Ordering::Relaxed));
        assert_eq!(wakes, [0, 1]);
    }
}
