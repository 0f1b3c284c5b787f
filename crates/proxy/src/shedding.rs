//! What a worker refuses while memory, time or connections are short.
//!
//! The worker looks with every tick whether they are; its requests and connections read the result, which is one cell.
//!
//! Time is short when tasks that are ready wait for long before they run. The tick is such a task: how late it runs is how long
//! all others wait. As in CoDel (RFC 8289) a queue that is long once is a burst, and goes unnoticed; one that is still long with
//! the next tick does not get shorter by itself. Then what a request costs most is no longer spent on new ones. A refusal costs
//! something, too, so only a few connections are served with each tick, and fewer with the next; others are reset, which costs
//! least. Left in the backlog of the kernel they would age: when their turn came, their clients would have given up, and the
//! worker would be busy with responses that no client waits for. Only what cannot even be reset in time stays there.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;

use crate::limit::Limit;
use crate::memory::Pressure;

/// Late ticks in a row after which a worker is overloaded.
const LATE_TICKS: u32 = 2;

/// Connections that an overloaded worker serves with the first tick; with each later one half as many.
const SERVED: u32 = 64;
/// The fewest: they show whether there is time again.
const FEWEST: u32 = 8;
/// Connections that it resets with each tick, which takes a tenth of the time between two.
const RESET: u32 = 1000;

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    /// It is served; its requests may get 503.
    Serve,
    /// It is reset.
    Refuse,
}

/// What is refused now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shed {
    /// Connections end after their current responses.
    pub(crate) keep_alive: bool,
    /// New requests get 503, which counts under this limit.
    pub(crate) requests: Option<Limit>,
    /// Idle connections are closed.
    pub(crate) idle: bool,
}

impl Shed {
    fn of(pressure: Pressure, overloaded: bool, connections_short: bool) -> Self {
        let memory = (pressure >= Pressure::Critical).then_some(Limit::Memory);
        Self {
            keep_alive: overloaded || connections_short || pressure >= Pressure::High,
            requests: memory.or_else(|| overloaded.then_some(Limit::Overload)),
            idle: connections_short || pressure == Pressure::Extreme,
        }
    }
}

/// The state of one worker.
#[derive(Default)]
pub(crate) struct Shedding {
    shed: Cell<Shed>,
    /// Late ticks in a row.
    late: Cell<u32>,
    /// A new connection has waited for idle ones to close since connections are short.
    has_waited: Cell<bool>,
    /// Connections to serve with a tick while the worker is overloaded, and those that are left of them.
    served: Cell<u32>,
    left: Cell<u32>,
    /// Connections that are left to reset.
    resets: Cell<u32>,
    /// Notified when connections are accepted again.
    accepts: Notify,
}

/// What a tick has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// How late the tick is.
    pub(crate) late: Duration,
    /// How late it may be; `None`: any time.
    pub(crate) queue_time: Option<Duration>,
    /// How short memory is.
    pub(crate) pressure: Pressure,
    /// Nearly all connections that may be open are.
    pub(crate) connections_short: bool,
}

impl Shedding {
    /// What is refused now.
    pub(crate) fn current(&self) -> Shed {
        self.shed.get()
    }

    /// Decides what is refused until the next tick. Returns whether idle connections have to close that did not before.
    pub(crate) fn update(&self, found: Found) -> bool {
        let was = self.overloaded();
        let late = found.queue_time.is_some_and(|bound| found.late > bound);
        let ticks = if late { self.late.get() + 1 } else { 0 };
        self.late.set(ticks.min(LATE_TICKS));
        let short = found.connections_short;
        let shed = Shed::of(found.pressure, ticks >= LATE_TICKS, short);
        let before = self.shed.replace(shed);
        self.has_waited.set(short && self.has_waited.get());
        let served = match was {
            true => (self.served.get() / 2).max(FEWEST),
            false => SERVED,
        };
        self.served.set(served);
        self.left.set(served);
        self.resets.set(RESET);
        self.accepts.notify_waiters();
        match (was, self.overloaded()) {
            (false, true) => {
                tracing::warn!(waited = ?found.late, "requests wait too long: shedding load");
            }
            (true, false) => {
                tracing::info!(waited = ?found.late, "requests no longer wait too long");
            }
            _ => {}
        }
        self.shed.get().idle && !before.idle
    }

    /// Connections have become short since the last tick. Returns as [`Self::update`].
    pub(crate) fn connections_short(&self) -> bool {
        let before = self.shed.get();
        self.shed.set(Shed {
            keep_alive: true,
            idle: true,
            ..before
        });
        !before.idle
    }

    /// Whether a new connection may wait for idle ones to close: the first for which there is no room.
    pub(crate) fn may_wait(&self) -> bool {
        !self.has_waited.replace(true)
    }

    /// Waits until the worker may accept another connection.
    pub(crate) async fn until_accepting(&self) {
        while self.overloaded() && self.left.get() == 0 && self.resets.get() == 0 {
            self.accepts.notified().await;
        }
    }

    /// What becomes of a connection that was just accepted.
    pub(crate) fn accept(&self) -> Accept {
        if !self.overloaded() {
            return Accept::Serve;
        }
        if let Some(left) = self.left.get().checked_sub(1) {
            self.left.set(left);
            return Accept::Serve;
        }
        self.resets.set(self.resets.get().saturating_sub(1));
        Accept::Refuse
    }

    fn overloaded(&self) -> bool {
        self.late.get() >= LATE_TICKS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use futures_util::FutureExt;

    use super::*;

    const BOUND: Duration = Duration::from_millis(50);

    fn found(late: u64) -> Found {
        Found {
            late: Duration::from_millis(late),
            queue_time: Some(BOUND),
            pressure: Pressure::None,
            connections_short: false,
        }
    }

    #[test]
    fn a_queue_that_stays_long_sheds_load_until_it_is_short() {
        let shedding = Shedding::default();
        for (late, overloaded) in [
            (51, false), // a burst
            (50, false),
            (900, false),
            (51, true),
            (2000, true),
            (50, false),
            (51, false),
        ] {
            shedding.update(found(late));
            let shed = shedding.current();
            assert_eq!(shed.requests.is_some(), overloaded, "{late} ms");
            assert_eq!((shed.keep_alive, shed.idle), (overloaded, false));
        }
        let unlimited = Found {
            queue_time: None,
            ..found(5000)
        };
        (0..3).for_each(|_| assert!(!shedding.update(unlimited)));
        assert_eq!(shedding.current(), Shed::default());
    }

    #[tokio::test]
    async fn few_connections_are_served_meanwhile_and_others_reset() {
        let shedding = Shedding::default();
        let accept = || {
            let accepts = shedding.until_accepting().now_or_never().is_some();
            accepts.then(|| shedding.accept())
        };
        // Of 2000: served, reset, and left in the backlog.
        let counts = || {
            let all: Vec<_> = (0..2000).map(|_| accept()).collect();
            let count = |wanted| all.iter().filter(|one| **one == wanted).count();
            [
                count(Some(Accept::Serve)),
                count(Some(Accept::Refuse)),
                count(None),
            ]
        };
        assert_eq!(counts(), [2000, 0, 0]);
        (0..2).for_each(|_| assert!(!shedding.update(found(60))));
        assert_eq!(counts(), [64, 1000, 936]);
        for (late, served) in [(60, 32), (60, 16), (60, 8), (60, 8)] {
            shedding.update(found(late));
            assert_eq!(counts(), [served, 1000, 1000 - served]);
        }
        for (late, expected) in [(0, [2000, 0, 0]), (60, [2000, 0, 0]), (60, [64, 1000, 936])] {
            shedding.update(found(late));
            assert_eq!(counts(), expected);
        }
        let mut accepting = Box::pin(shedding.until_accepting());
        assert!(accepting.as_mut().now_or_never().is_none());
        shedding.update(found(0));
        accepting.now_or_never().unwrap();
    }

    #[test]
    fn idle_connections_close_while_connections_are_short() {
        let shedding = Shedding::default();
        let short = Found {
            connections_short: true,
            ..found(0)
        };
        assert!(shedding.connections_short() && !shedding.update(short));
        let shed = shedding.current();
        assert!(shed.idle && shed.keep_alive && shed.requests.is_none());
        assert!(shedding.may_wait() && !shedding.update(short) && !shedding.may_wait());
        assert!(!shedding.update(found(0)) && shedding.may_wait());
        assert_eq!(shedding.current(), Shed::default());
        assert!(shedding.update(short));
    }

    #[test]
    fn memory_sheds_more_and_more() {
        let shedding = Shedding::default();
        let shed = |keep_alive, requests, idle| Shed {
            keep_alive,
            requests,
            idle,
        };
        let memory = Some(Limit::Memory);
        for (pressure, expected, closes) in [
            (Pressure::High, shed(true, None, false), false),
            (Pressure::Critical, shed(true, memory, false), false),
            (Pressure::Extreme, shed(true, memory, true), true),
            (Pressure::Extreme, shed(true, memory, true), false),
            (Pressure::None, Shed::default(), false),
        ] {
            let found = Found {
                pressure,
                ..found(0)
            };
            assert_eq!(shedding.update(found), closes, "{pressure:?}");
            assert_eq!(shedding.current(), expected, "{pressure:?}");
        }
    }
}
