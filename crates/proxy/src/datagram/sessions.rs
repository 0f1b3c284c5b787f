//! The bound on UDP sessions. Every session is an open file with a port of its own, and anyone can begin one with a forged
//! address.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::flow::Flow;
use crate::process::Permit;

/// Share of the connections that may be open at once which is for UDP sessions, so that they leave room for others.
const SHARE: usize = 4;
/// Most sessions, however many connections may be open.
const MOST: usize = 16 << 10;
/// The ports that Linux gives to sockets by default.
const DEFAULT_PORTS: usize = 28_232;

/// Most sessions of all workers where up to `max_connections` may be open and the system has `ports` for sockets: half of
/// them are left to others.
pub(super) fn most(max_connections: usize, ports: usize) -> usize {
    (max_connections / SHARE).min(MOST).min(ports / 2)
}

/// The number of ports that the system gives to sockets.
pub(super) fn ephemeral_ports() -> usize {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| count(&range))
        .unwrap_or(DEFAULT_PORTS)
}

/// The number of ports in a range such as `32768 60999`.
fn count(range: &str) -> Option<usize> {
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.trim().parse().ok()?);
    Some(last.checked_sub(first)? + 1)
}

/// The UDP sessions of one worker.
pub(super) struct Sessions {
    most: usize,
    open: Cell<usize>,
    serial: Cell<u64>,
    closed: Cell<bool>,
    /// Sessions without a response, oldest first: they end first when there are too many.
    unanswered: RefCell<BTreeMap<u64, Rc<Flow>>>,
    /// Those with a response, oldest first.
    answered: RefCell<BTreeMap<u64, Rc<Flow>>>,
}

impl Sessions {
    /// With room for `most` sessions.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            open: Cell::new(0),
            serial: Cell::new(0),
            closed: Cell::new(false),
            unanswered: RefCell::default(),
            answered: RefCell::default(),
        }
    }

    /// No session begins any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The permit for another session: a new one, or that of an old session, which ends. `None`: there is no room.
    pub(super) fn admit(&self, permit: impl FnOnce() -> Option<Permit>) -> Option<Permit> {
        if self.open.get() < self.most
            && let Some(permit) = permit()
        {
            return Some(permit);
        }
        // Sessions that end are open until their task runs.
        let ending = (self.most / 4).max(1);
        if self.open.get() >= self.most + ending {
            return None;
        }
        self.end_unanswered(u64::MAX)
            .or_else(|| end_oldest(&self.answered, u64::MAX))
    }

    /// Ends the oldest session without a response, if it began before the one with this serial number. Returns its permit.
    pub(super) fn end_unanswered(&self, before: u64) -> Option<Permit> {
        end_oldest(&self.unanswered, before)
    }

    pub(super) fn next_serial(&self) -> u64 {
        let serial = self.serial.get();
        self.serial.set(serial.wrapping_add(1));
        serial
    }

    /// A session begins.
    pub(super) fn begin(&self, flow: Rc<Flow>) {
        self.open.set(self.open.get() + 1);
        self.unanswered.borrow_mut().insert(flow.serial, flow);
    }

    /// A session has its first response.
    pub(super) fn answered(&self, serial: u64) {
        // Not there: it ends.
        if let Some(flow) = self.unanswered.borrow_mut().remove(&serial) {
            self.answered.borrow_mut().insert(serial, flow);
        }
    }

    /// A session has ended.
    pub(super) fn ended(&self, serial: u64) {
        self.open.set(self.open.get().saturating_sub(1));
        self.unanswered.borrow_mut().remove(&serial);
        self.answered.borrow_mut().remove(&serial);
    }
}

fn end_oldest(sessions: &RefCell<BTreeMap<u64, Rc<Flow>>>, before: u64) -> Option<Permit> {
    let mut sessions = sessions.borrow_mut();
    let oldest = sessions.first_entry()?;
    let flow = (*oldest.key() < before).then(|| oldest.remove())?;
    flow.end();
    flow.permit.take()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use super::*;
    use crate::process::Process;
    use crate::stream::tests::session;

    #[test]
    fn half_of_the_ports_are_left_to_others() {
        assert_eq!(most(100, 28_232), 25);
        assert_eq!(most(1 << 20, 28_232), 14_116);
        assert_eq!(most(1 << 20, 64_512), 16_384);
        assert_eq!(count("32768\t60999\n"), Some(28_232));
        assert_eq!(count("1024 65535"), Some(64_512));
        assert_eq!(count("none"), None);
    }

    /// The session with the next serial number, with the permit for it.
    fn begin(sessions: &Sessions, process: &Arc<Process>, max: usize) -> Option<Rc<Flow>> {
        let permit = sessions.admit(|| process.permit(0, max))?;
        let address = "127.0.0.1:9".parse().unwrap();
        let serial = sessions.next_serial();
        let flow = Rc::new(Flow::new(session(), (address, None), serial, permit));
        sessions.begin(flow.clone());
        Some(flow)
    }

    #[tokio::test]
    async fn the_oldest_ends_first_those_with_a_response_last() {
        let (sessions, process) = (Sessions::new(8), Arc::new(Process::new(1)));
        let mut flows: Vec<_> = (0..8)
            .map(|_| begin(&sessions, &process, 100).unwrap())
            .collect();
        for serial in 1..8 {
            sessions.answered(serial);
        }
        let ended = |flows: &[Rc<Flow>]| -> Vec<u64> {
            let ended = flows.iter().filter(|flow| flow.is_ended());
            ended.map(|flow| flow.serial).collect()
        };
        for (next, expected) in [(8, vec![0]), (9, vec![0, 8])] {
            flows.push(begin(&sessions, &process, 100).unwrap());
            assert_eq!(ended(&flows), expected, "{next}");
        }
        // Two more than there may be: those that were ended have not gone yet.
        assert!(begin(&sessions, &process, 100).is_none());
        for serial in [0, 8] {
            sessions.ended(serial);
        }
        sessions.answered(9);
        flows.push(begin(&sessions, &process, 100).unwrap());
        assert_eq!(ended(&flows), [0, 1, 8], "all have a response");
    }

    #[tokio::test]
    async fn a_session_takes_the_permit_of_another_when_there_is_none() {
        let (sessions, process) = (Sessions::new(8), Arc::new(Process::new(1)));
        let connection = process.permit(0, 2);
        assert!(connection.is_some());
        let first = begin(&sessions, &process, 2).unwrap();
        assert!(process.permit(0, 2).is_none(), "it counts as a connection");
        let second = begin(&sessions, &process, 2).unwrap();
        assert!(first.is_ended() && !second.is_ended());
        drop((first, second));
        sessions.ended(0);
        assert!(process.permit(0, 2).is_none());
        sessions.ended(1);
        assert!(process.permit(0, 2).is_some());
    }
}
