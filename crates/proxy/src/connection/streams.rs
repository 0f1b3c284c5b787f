//! The streams of an HTTP/2 connection: which of them wait for their client, and how many the client resets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

/// Resets are counted over this time.
const WINDOW: Duration = Duration::from_secs(10);
/// Requests that a client may reset before their response in that time, if they are also most of its requests.
const RESETS: u32 = 100;

/// The streams of a connection on which requests are being served.
pub(super) struct Streams {
    entries: RefCell<Vec<Entry>>,
    free: RefCell<Vec<usize>>,
    newest: Cell<Option<Task>>,
    open: Cell<usize>,
    idle_since: Cell<Instant>,
    resets: Cell<Resets>,
    connection: RefCell<Option<Waker>>,
}

/// The state of a stream. The entry of a stream that has ended is reused.
struct Entry {
    state: State,
    /// Number of streams that have used the entry.
    serial: u64,
    /// The task that serves it.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// Waits for the pipeline or the endpoint.
    Working,
    /// The connection took its last frame then; it polls for the next one when the client opens the window.
    Waiting(Instant),
    /// The client stalled for too long.
    Aborted,
}

/// Identifies the stream that a task serves.
#[derive(Clone, Copy)]
pub(super) struct Task {
    index: usize,
    serial: u64,
}

#[derive(Clone, Copy)]
struct Resets {
    since: Instant,
    opened: u32,
    reset: u32,
}

/// One request, until its response body has ended.
pub(super) struct Stream {
    streams: Rc<Streams>,
    index: usize,
    responded: bool,
}

impl Streams {
    /// No streams.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            entries: RefCell::default(),
            free: RefCell::default(),
            newest: Cell::default(),
            open: Cell::new(0),
            idle_since: Cell::new(now),
            resets: Cell::new(Resets {
                since: now,
                opened: 0,
                reset: 0,
            }),
            connection: RefCell::default(),
        }
    }

    /// The task of the connection.
    pub(super) fn wake_with(&self, waker: &Waker) {
        self.connection.replace(Some(waker.clone()));
    }

    /// A request begins.
    pub(super) fn open(self: &Rc<Self>) -> Stream {
        let mut entries = self.entries.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            entries.push(Entry {
                state: State::Free,
                serial: 0,
                waker: None,
            });
            entries.len() - 1
        });
        if let Some(entry) = entries.get_mut(index) {
            let serial = entry.serial.wrapping_add(1);
            *entry = Entry {
                state: State::Working,
                serial,
                waker: None,
            };
            self.newest.set(Some(Task { index, serial }));
        }
        self.open.set(self.open.get() + 1);
        self.count(|resets| resets.opened += 1);
        Stream {
            streams: self.clone(),
            index,
            responded: false,
        }
    }

    /// There has been no request.
    pub(super) fn fresh(&self) -> bool {
        self.newest.get().is_none()
    }

    /// Number of requests that are being served.
    pub(super) fn open_count(&self) -> usize {
        self.open.get()
    }

    /// Since when no request is being served.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.idle_since.get())
    }

    /// Start of the longest wait for the client.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting().min()
    }

    /// Since when all streams wait for their client; `None` when one does not, or there are none.
    pub(super) fn all_waiting_since(&self) -> Option<Instant> {
        let (count, last) = self.waiting().fold((0, None), |(count, last), since| {
            (count + 1, last.max(Some(since)))
        });
        last.filter(|_| count == self.open.get())
    }

    fn waiting(&self) -> impl Iterator<Item = Instant> {
        let waiting = |entry: &Entry| match entry.state {
            State::Waiting(since) => Some(since),
            State::Free | State::Working | State::Aborted => None,
        };
        let entries = self.entries.borrow();
        let waiting: SmallVec<[Instant; 8]> = entries.iter().filter_map(waiting).collect();
        waiting.into_iter()
    }

    /// The task for the stream that was opened last. Returned once, to the executor that starts it.
    pub(super) fn newest(&self) -> Option<Task> {
        self.newest.take()
    }

    /// Aborts the streams that have waited for their client since `since` or longer; returns their number.
    pub(super) fn abort_stalled(&self, since: Instant) -> usize {
        let mut entries = self.entries.borrow_mut();
        let stalled = entries
            .iter_mut()
            .filter(|entry| matches!(entry.state, State::Waiting(start) if start <= since));
        let mut count = 0;
        for entry in stalled {
            entry.state = State::Aborted;
            count += 1;
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
        count
    }

    /// Whether the stream of `task` has been aborted. If not, `cx` is woken when it is.
    pub(super) fn poll_aborted(&self, task: Task, cx: &Context<'_>) -> bool {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(task.index);
        let is_open =
            |entry: &&mut Entry| entry.serial == task.serial && entry.state != State::Free;
        let Some(entry) = entry.filter(is_open) else {
            return false;
        };
        if entry.state == State::Aborted {
            return true;
        }
        let woken = entry.waker.as_ref();
        if !woken.is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        false
    }

    /// The client resets most of its requests, and many of them.
    pub(super) fn abusive(&self) -> bool {
        let resets = self.resets.get();
        resets.reset >= RESETS && resets.reset > resets.opened / 2
    }

    fn count(&self, count: impl FnOnce(&mut Resets)) {
        let mut resets = self.resets.get();
        let now = Instant::now();
        if now.saturating_duration_since(resets.since) > WINDOW && !self.abusive() {
            resets = Resets {
                since: now,
                opened: 0,
                reset: 0,
            };
        }
        count(&mut resets);
        self.resets.set(resets);
    }

    fn set(&self, index: usize, now: State) {
        if let Some(entry) = self.entries.borrow_mut().get_mut(index) {
            entry.state = now;
        }
    }

    /// A waker that stayed would keep the memory of its task.
    fn free(&self, index: usize) {
        if let Some(entry) = self.entries.borrow_mut().get_mut(index) {
            (entry.state, entry.waker) = (State::Free, None);
        }
        self.free.borrow_mut().push(index);
    }

    fn wake(&self) {
        if let Some(waker) = &*self.connection.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Stream {
    /// Its response has begun: from now on its end does not count as a reset.
    pub(super) fn responded(&mut self) {
        self.responded = true;
    }

    /// The connection polled the body: it had a frame (`ready`) or not.
    pub(super) fn polled(&self, ready: bool) {
        self.streams.set(
            self.index,
            if ready {
                State::Waiting(Instant::now())
            } else {
                State::Working
            },
        );
    }

    /// Wakes the connection, which checks whether it must end.
    pub(super) fn wake_connection(&self) {
        self.streams.wake();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.free(self.index);
        streams.open.set(streams.open.get().saturating_sub(1));
        if streams.open.get() == 0 {
            streams.idle_since.set(Instant::now());
        }
        if !self.responded {
            streams.count(|resets| resets.reset += 1);
            if streams.abusive() {
                streams.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_resets_of_most_requests_are_abuse() {
        let streams = Rc::new(Streams::new());
        (0..99).for_each(|_| drop(streams.open()));
        assert!(!streams.abusive());
        let responded: Vec<Stream> = (0..100).map(|_| streams.open()).collect();
        responded
            .into_iter()
            .for_each(|mut stream| stream.responded());
        drop(streams.open());
        assert!(!streams.abusive(), "100 resets, but of 200 requests");
        drop(streams.open());
        assert!(streams.abusive());

        let slow = Rc::new(Streams::new());
        for _ in 0..300 {
            drop(slow.open());
            tokio::time::advance(Duration::from_millis(120)).await;
        }
        assert!(!slow.abusive(), "83 in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_since_is_the_longest_wait_for_the_client() {
        let streams = Rc::new(Streams::new());
        let begin = Instant::now();
        let (first, second) = (streams.open(), streams.open());
        assert_eq!(
            (streams.waiting_since(), streams.idle_since()),
            (None, None)
        );
        first.polled(true);
        tokio::time::advance(Duration::from_secs(1)).await;
        second.polled(true);
        assert_eq!(streams.waiting_since(), Some(begin));
        first.polled(false);
        assert_eq!(
            streams.waiting_since(),
            Some(begin + Duration::from_secs(1))
        );
        drop(second);
        assert_eq!(streams.waiting_since(), None);
        drop(first);
        assert_eq!(streams.idle_since(), Some(begin + Duration::from_secs(1)));
        drop(streams.open());
        assert_eq!(streams.entries.borrow().len(), 2, "entries are reused");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abort_reaches_its_task_and_no_later_one() {
        let streams = Rc::new(Streams::new());
        let (stalled, busy) = (streams.open(), streams.open());
        let busy_task = streams.newest();
        assert!(busy_task.is_some() && streams.newest().is_none());
        stalled.polled(true);
        assert_eq!(streams.all_waiting_since(), None, "one works");
        let begin = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        busy.polled(true);
        assert_eq!(streams.all_waiting_since(), Some(Instant::now()));
        assert_eq!(streams.abort_stalled(begin), 1);
        assert_eq!(streams.abort_stalled(begin), 0, "once");
        let cx = Context::from_waker(Waker::noop());
        let task = |index, serial| Task { index, serial };
        assert!(streams.poll_aborted(task(0, 1), &cx));
        assert!(!streams.poll_aborted(task(1, 1), &cx));
        drop(stalled);
        let _later = streams.open();
        assert!(!streams.poll_aborted(task(0, 2), &cx));
        assert!(
            !streams.poll_aborted(task(0, 1), &cx),
            "its entry is reused"
        );
    }

    #[test]
    fn the_entry_of_a_stream_that_has_ended_keeps_no_task() {
        struct Task;
        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }
        let held = Arc::new(Task);
        let waker = held.clone().into();
        let cx = Context::from_waker(&waker);
        let streams = Rc::new(Streams::new());
        let stream = streams.open();
        let task = streams.newest().unwrap();
        assert!(!streams.poll_aborted(task, &cx));
        assert_eq!(Arc::strong_count(&held), 3);
        drop(stream);
        assert_eq!(Arc::strong_count(&held), 2);
        // hyper polls it once more, to its end.
        assert!(!streams.poll_aborted(task, &cx));
        assert_eq!(Arc::strong_count(&held), 2);
    }
}
