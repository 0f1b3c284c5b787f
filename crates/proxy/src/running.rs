//! Runs what hyper starts for the streams of an HTTP/2 connection within the connection's own task: a task for each request would
//! be allocated, scheduled and woken beside it.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::task::coop::has_budget_remaining;

/// How often futures are polled again that others woke meanwhile, before other connections have their turn.
const ROUNDS: usize = 8;

/// Slots that a connection without streams keeps: a burst would otherwise stay in its memory.
const KEPT: usize = 8;

/// The index of the connection, which has no slot.
const CONNECTION: usize = usize::MAX;

/// Futures that were started and have not been polled yet.
pub(crate) struct Started<F>(Rc<RefCell<Vec<F>>>);

impl<F> Started<F> {
    /// Starts `future`.
    pub(crate) fn push(&self, future: F) {
        self.0.borrow_mut().push(future);
    }
}

impl<F> Clone for Started<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F> Default for Started<F> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

/// The futures of one connection; dropping it ends them.
pub(crate) struct Running<F> {
    started: Started<F>,
    slots: Vec<Slot<F>>,
    free: Vec<usize>,
    connection: (Arc<Alarm>, Waker),
    woken: Arc<Woken>,
    /// Indices of slots to poll.
    due: Vec<usize>,
}

/// Room for a future. That of one that has ended is reused, with its waker: a late wake of the old one polls the new one in vain.
struct Slot<F> {
    future: Option<F>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// Wakes the future in a slot.
struct Alarm {
    index: usize,
    /// It is among the woken.
    queued: AtomicBool,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    indices: Vec<usize>,
    /// The task of the connection.
    task: Option<Waker>,
    /// It has to be woken.
    sleeps: bool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, AcqRel) {
            return;
        }
        let mut queue = self.woken.0.lock();
        queue.indices.push(self.index);
        if mem::take(&mut queue.sleeps)
            && let Some(task) = &queue.task
        {
            task.wake_by_ref();
        }
    }
}

impl Alarm {
    /// For the slot `index`.
    fn new(index: usize, woken: &Arc<Woken>) -> (Arc<Self>, Waker) {
        let alarm = Arc::new(Self {
            index,
            queued: AtomicBool::new(false),
            woken: woken.clone(),
        });
        (alarm.clone(), alarm.into())
    }

    /// Whether it is to be polled. From now on it can be woken again.
    fn take(&self) -> bool {
        self.queued.swap(false, AcqRel)
    }
}

impl<F: Future<Output = ()> + Unpin> Running<F> {
    /// All that become `started`, and the connection, which is polled first.
    pub(crate) fn new(started: Started<F>) -> Self {
        let woken = Arc::default();
        let running = Self {
            started,
            slots: Vec::new(),
            free: Vec::new(),
            connection: Alarm::new(CONNECTION, &woken),
            woken,
            due: Vec::new(),
        };
        running.wake_connection();
        running
    }

    /// The connection is polled again with the next poll.
    pub(crate) fn wake_connection(&self) {
        self.connection.1.wake_by_ref();
    }

    /// Polls those that have been woken or have just been started. Ready when none is left. One that panics ends, and no other.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let _ = self.poll_with(cx, |_| Poll::<()>::Pending);
        let none_left = self.free.len() == self.slots.len() && self.started.0.borrow().is_empty();
        match none_left {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// The same with the `connection`, which is polled when it has been woken. Ready when it is. All share the budget of the
    /// task: without any left, their sockets would only wake them again.
    pub(crate) fn poll_with<T>(
        &mut self,
        cx: &Context<'_>,
        mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        for _ in 0..ROUNDS {
            self.find_due(cx);
            if self.due.is_empty() {
                return Poll::Pending;
            }
            if !has_budget_remaining() {
                break;
            }
            let mut due = mem::take(&mut self.due);
            due.drain(..).for_each(|index| self.poll_one(index));
            self.due = due;
            // After the others, so that one write takes what all of them have for the peer.
            let (alarm, waker) = &self.connection;
            if alarm.take()
                && let ready @ Poll::Ready(_) = connection(&mut Context::from_waker(waker))
            {
                return ready;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// If none is due, `cx` is woken when one is.
    fn find_due(&mut self, cx: &Context<'_>) {
        let mut started = self.started.0.borrow_mut();
        let mut queue = self.woken.0.lock();
        self.due.append(&mut queue.indices);
        queue.sleeps = self.due.is_empty() && started.is_empty();
        let task = queue.task.as_ref();
        if queue.sleeps && !task.is_some_and(|task| task.will_wake(cx.waker())) {
            queue.task = Some(cx.waker().clone());
        }
        drop(queue);
        for future in started.drain(..) {
            let index = self.free.pop().unwrap_or_else(|| {
                self.slots.push(Slot::new(self.slots.len(), &self.woken));
                self.slots.len() - 1
            });
            if let Some(slot) = self.slots.get_mut(index) {
                slot.future = Some(future);
                self.due.push(index);
            }
        }
    }

    fn poll_one(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.alarm.take();
        let Some(future) = &mut slot.future else {
            return;
        };
        let cx = &mut Context::from_waker(&slot.waker);
        let poll = catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx)));
        if !matches!(poll, Ok(Poll::Pending)) {
            let ended = slot.future.take();
            // It may panic as well.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
            self.free.push(index);
            if self.slots.len() > KEPT && self.free.len() == self.slots.len() {
                self.slots.truncate(KEPT);
                self.slots.shrink_to_fit();
                self.free = (0..KEPT).collect();
            }
        }
    }
}

impl<F> Drop for Running<F> {
    /// What hyper starts can start more: it would keep itself.
    fn drop(&mut self) {
        let left = mem::take(&mut *self.started.0.borrow_mut());
        drop(left);
    }
}

impl<F> Slot<F> {
    fn new(index: usize, woken: &Arc<Woken>) -> Self {
        let (alarm, waker) = Alarm::new(index, woken);
        Self {
            future: None,
            alarm,
            waker,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};

    use tokio::task::coop::poll_proceed;
    use tokio::task::yield_now;

    use super::*;

    type Boxed = Pin<Box<dyn Future<Output = ()>>>;

    /// What wakes, and how often it was woken.
    #[derive(Default)]
    struct Counter(Mutex<usize>);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            *self.0.lock() += 1;
        }
    }

    #[test]
    fn one_that_panics_ends_alone_and_one_that_is_started_by_another_runs_at_once() {
        let started = Started::<Boxed>::default();
        let mut running = Running::new(started.clone());
        let cx = &Context::from_waker(Waker::noop());
        assert_eq!(running.poll(cx), Poll::Ready(()));
        let ran = Rc::new(Cell::new(false));
        let starts = {
            let (started, ran) = (started.clone(), ran.clone());
            async move { started.push(Box::pin(async move { ran.set(true) })) }
        };
        let waits = Rc::new(());
        let held = waits.clone();
        started.push(Box::pin(async move {
            pending::<()>().await;
            drop(held);
        }));
        started.push(Box::pin(async { panic!("as requested") }));
        started.push(Box::pin(starts));
        assert_eq!(running.poll(cx), Poll::Pending);
        assert!(ran.get());
        assert_eq!(Rc::strong_count(&waits), 2);
        assert_eq!(running.slots.len() - running.free.len(), 1);
        let (held, kept) = (waits.clone(), started.clone());
        started.push(Box::pin(async move { drop((held, kept)) }));
        drop(running);
        assert_eq!(Rc::strong_count(&waits), 1);
    }

    /// The task is woken once for all that are woken before it runs, and not for those that are while it does.
    #[test]
    fn wakes() {
        let started = Started::<Boxed>::default();
        let mut running = Running::new(started.clone());
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let cx = &Context::from_waker(&waker);
        let woken = || mem::take(&mut *counter.0.lock());
        let polls = Rc::new(Cell::new(0));
        let wakers = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..2 {
            let (polls, wakers) = (polls.clone(), wakers.clone());
            started.push(Box::pin(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                wakers.borrow_mut().push(cx.waker().clone());
                match polls.get() {
                    5.. => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })));
        }
        assert_eq!(running.poll(cx), Poll::Pending);
        assert_eq!((polls.get(), woken()), (2, 0));
        wakers.take().into_iter().for_each(Waker::wake);
        assert_eq!(woken(), 1);
        started.push(Box::pin(async move {
            wakers.take().into_iter().for_each(Waker::wake);
        }));
        assert_eq!(running.poll(cx), Poll::Ready(()));
        assert_eq!((polls.get(), woken()), (6, 0));
        let again = Rc::new(Cell::new(0));
        let counted = again.clone();
        started.push(Box::pin(poll_fn(move |cx| {
            counted.set(counted.get() + 1);
            cx.waker().wake_by_ref();
            Poll::Pending
        })));
        assert_eq!(running.poll(cx), Poll::Pending);
        assert_eq!(
            (again.get(), woken()),
            (ROUNDS, 1),
            "others have their turn"
        );
    }

    #[test]
    fn the_slots_of_a_burst_are_given_up_with_its_last_stream() {
        let started = Started::<Boxed>::default();
        let mut running = Running::new(started.clone());
        let cx = &Context::from_waker(Waker::noop());
        let ends = Rc::new(Cell::new(false));
        let wakers = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..100 {
            let (ends, wakers) = (ends.clone(), wakers.clone());
            started.push(Box::pin(poll_fn(move |cx| {
                wakers.borrow_mut().push(cx.waker().clone());
                match ends.get() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })));
        }
        assert_eq!(running.poll(cx), Poll::Pending);
        assert_eq!(running.slots.len(), 100);
        ends.set(true);
        let late = wakers.take();
        late.iter().for_each(Waker::wake_by_ref);
        assert_eq!(running.poll(cx), Poll::Ready(()));
        assert_eq!((running.slots.len(), running.free.len()), (KEPT, KEPT));
        late.iter().for_each(Waker::wake_by_ref);
        started.push(Box::pin(async {}));
        assert_eq!(running.poll(cx), Poll::Ready(()));
    }

    /// Sockets of tokio return nothing once the task has used its budget, and wake it.
    #[tokio::test]
    async fn without_budget_the_task_waits_for_its_next_turn() {
        let started = Started::<Boxed>::default();
        let mut running = Running::new(started.clone());
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        started.push(Box::pin(poll_fn(move |cx| {
            counted.set(counted.get() + 1);
            while let Poll::Ready(progress) = poll_proceed(cx) {
                progress.made_progress();
            }
            Poll::Pending
        })));
        assert_eq!(
            running.poll(&Context::from_waker(Waker::noop())),
            Poll::Pending
        );
        assert_eq!(polls.get(), 1);
        yield_now().await;
        assert_eq!(
            running.poll(&Context::from_waker(Waker::noop())),
            Poll::Pending
        );
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn the_connection_is_polled_once_after_those_that_woke_it() {
        let started = Started::<Boxed>::default();
        let mut running = Running::new(started.clone());
        let cx = &Context::from_waker(Waker::noop());
        let log = Rc::new(RefCell::new(Vec::new()));
        let connection = Rc::new(RefCell::new(Waker::noop().clone()));
        let poll = |running: &mut Running<Boxed>| {
            let poll = running.poll_with(cx, |cx| {
                log.borrow_mut().push("connection");
                connection.replace(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(poll.is_pending());
            log.take()
        };
        assert_eq!(poll(&mut running), ["connection"]);
        assert!(poll(&mut running).is_empty(), "nothing woke it");
        for _ in 0..2 {
            let (log, connection) = (log.clone(), connection.clone());
            started.push(Box::pin(async move {
                log.borrow_mut().push("stream");
                connection.borrow().wake_by_ref();
            }));
        }
        assert_eq!(poll(&mut running), ["stream", "stream", "connection"]);
        running.wake_connection();
        assert_eq!(running.poll_with(cx, |_| Poll::Ready(7)), Poll::Ready(7));
    }
}
