//! The connections of one worker, and notifying them that the process is stopping.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The connections of a worker. Each checks the stage of the stop when it is woken; requests cost nothing.
#[derive(Default)]
pub(crate) struct Connections {
    /// Since when the stop has been announced.
    announced: Cell<Option<Instant>>,
    draining: Cell<bool>,
    open: Cell<usize>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    emptied: Notify,
}

/// A connection among [`Connections`], until it is dropped.
pub(crate) struct Registration {
    connections: Rc<Connections>,
    index: usize,
}

impl Connections {
    /// Registers a connection until the registration is dropped.
    pub(crate) fn register(self: &Rc<Self>) -> Registration {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut wakers = self.wakers.borrow_mut();
            wakers.push(None);
            wakers.len() - 1
        });
        self.open.set(self.open.get() + 1);
        Registration {
            connections: self.clone(),
            index,
        }
    }

    /// The process is about to stop. From now on responses carry `Connection: close`, and HTTP/2 clients get a GOAWAY, but new
    /// connections are served, so that clients and balancers can move without losing a request (RFC 9112 section 9.6).
    pub(crate) fn announce(&self) {
        if self.announced.get().is_none() {
            self.announced.set(Some(Instant::now()));
            self.wake();
        }
    }

    /// There are no new connections any more: the others end after their current requests.
    pub(crate) fn drain(&self) {
        self.announce();
        self.draining.set(true);
        self.wake();
    }

    /// Lets all connections check what they wait for.
    pub(crate) fn wake(&self) {
        self.wakers
            .borrow()
            .iter()
            .flatten()
            .for_each(Waker::wake_by_ref);
    }

    /// Waits until no connection is registered.
    pub(crate) async fn until_empty(&self) {
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }
}

impl Registration {
    /// The task to wake when draining begins.
    pub(crate) fn wake_with(&self, waker: &Waker) {
        if let Some(slot) = self.connections.wakers.borrow_mut().get_mut(self.index) {
            *slot = Some(waker.clone());
        }
    }

    /// Since when the stop of the process has been announced.
    pub(crate) fn announced(&self) -> Option<Instant> {
        self.connections.announced.get()
    }

    /// Whether the connection must end after its current requests, and without one.
    pub(crate) fn draining(&self) -> bool {
        self.connections.draining.get()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let connections = &self.connections;
        if let Some(slot) = connections.wakers.borrow_mut().get_mut(self.index) {
            *slot = None;
        }
        connections.free.borrow_mut().push(self.index);
        connections
            .open
            .set(connections.open.get().saturating_sub(1));
        if connections.open.get() == 0 {
            connections.emptied.notify_waiters();
            connections.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn waits_for_the_last_connection() {
        let connections = Rc::new(Connections::default());
        connections.until_empty().await;
        let first = connections.register();
        let second = connections.register();
        assert!(connections.until_empty().now_or_never().is_none());
        drop(first);
        assert!(connections.until_empty().now_or_never().is_none());
        drop(second);
        connections.until_empty().now_or_never().unwrap();
        let again = connections.register();
        assert!(
            connections.until_empty().now_or_never().is_none(),
            "an old notification is ignored"
        );
        assert_eq!(connections.wakers.borrow().len(), 2, "indices are reused");
        drop(again);
    }
}
