//! The types of the `sync` modules of other crates, for loom: a step of a thread is a step that it explores.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc as Shared, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use loom::sync::{Mutex as Lock, MutexGuard};

/// As `parking_lot::Mutex`.
#[derive(Default)]
pub(crate) struct Mutex<T>(Lock<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As `arc_swap::ArcSwapOption`: loads and stores are single steps.
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Shared<T>>>);

impl<T> Default for ArcSwapOption<T> {
    fn default() -> Self {
        Self(Mutex(Lock::new(None)))
    }
}

impl<T> ArcSwapOption<T> {
    pub(crate) fn load(&self) -> Option<Shared<T>> {
        self.0.lock().clone()
    }

    pub(crate) fn load_full(&self) -> Option<Shared<T>> {
        self.load()
    }

    pub(crate) fn store(&self, value: Option<Shared<T>>) {
        *self.0.lock() = value;
    }
}

/// As `arc_swap::ArcSwap`.
pub(crate) struct ArcSwap<T>(Mutex<Shared<T>>);

impl<T> ArcSwap<T> {
    pub(crate) fn new(value: Shared<T>) -> Self {
        Self(Mutex(Lock::new(value)))
    }

    pub(crate) fn load(&self) -> Shared<T> {
        self.0.lock().clone()
    }

    pub(crate) fn load_full(&self) -> Shared<T> {
        self.load()
    }

    pub(crate) fn swap(&self, value: Shared<T>) -> Shared<T> {
        std::mem::replace(&mut *self.0.lock(), value)
    }
}

/// As `arc_swap::Cache`, of what an [`ArcSwap`] holds.
pub(crate) struct Cache<S, T> {
    source: S,
    cached: T,
}

impl<T> Cache<Shared<ArcSwap<T>>, Shared<T>> {
    pub(crate) fn new(source: Shared<ArcSwap<T>>) -> Self {
        let cached = source.load();
        Self { source, cached }
    }

    pub(crate) fn load(&mut self) -> &Shared<T> {
        self.cached = self.source.load();
        &self.cached
    }
}

/// As `event_listener::Event`: a listener is notified by what comes after [`Event::listen`].
pub(crate) struct Event(Mutex<VecDeque<Shared<Mutex<Notified>>>>);

#[derive(Default)]
struct Notified {
    is: bool,
    waker: Option<Waker>,
}

/// As `event_listener::EventListener`.
pub(crate) struct Listener(Shared<Mutex<Notified>>);

impl Event {
    pub(crate) fn new() -> Self {
        Self(Mutex(Lock::new(VecDeque::new())))
    }

    pub(crate) fn listen(&self) -> Listener {
        let notified = Shared::new(Mutex::default());
        self.0.lock().push_back(notified.clone());
        Listener(notified)
    }

    pub(crate) fn notify(&self, most: usize) {
        let mut listeners = self.0.lock();
        let count = most.min(listeners.len());
        for listener in listeners.drain(..count) {
            let mut notified = listener.lock();
            notified.is = true;
            let waker = notified.waker.take();
            drop(notified);
            waker.iter().for_each(Waker::wake_by_ref);
        }
    }
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut notified = self.0.lock();
        if notified.is {
            return Poll::Ready(());
        }
        notified.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
