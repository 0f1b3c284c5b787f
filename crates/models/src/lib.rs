//! Models: the code with which threads share state, run in every order of its steps (loom), also those that the memory model
//! allows and no machine of the tests shows.
//!
//! The modules are the files of other crates, with [`sync`] instead of theirs: nothing is copied, and nothing there is
//! written for a model. `tests/models.rs` runs them.

#![cfg(not(test))] // the unit tests of the modules run in their crates
#![allow(
    dead_code,
    clippy::needless_pass_by_ref_mut,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "parts of other crates; a failed step is a failed model"
)]

#[path = "../../proxy/src/balance.rs"]
mod balance;
#[path = "../../proxy/src/buffers.rs"]
mod buffers;
#[path = "../../limit/src/concurrency.rs"]
mod concurrency;
#[path = "../../limit/src/generations.rs"]
mod generations;
#[path = "../../limit/src/key.rs"]
mod key;
#[path = "../../limit/src/nanos.rs"]
mod nanos;
#[path = "../../proxy/src/process.rs"]
mod process;
#[path = "../../table/src/publish.rs"]
mod publish;
#[path = "../../limit/src/quota.rs"]
mod quota;
#[path = "../../limit/src/rate.rs"]
mod rate;
#[path = "../../limit/src/shards.rs"]
mod shards;
mod sync;
mod upstream;

// The files of the proxy name the limiters by their crate.
extern crate self as headgate_limit;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use loom::thread;

pub use key::Key;
pub use nanos::Nanos;
pub use quota::{Admission, Quota, Rejected};

pub use concurrency::{ConcurrencyLimiter, Permit};
use process::Process;
use rate::{RateLimiter, Rule, admit_all};

/// What is published: a table of this number, whose sockets are those of the same parity.
pub struct RoutingTable(u32);

impl RoutingTable {
    fn has_sockets_of(&self, other: &Self) -> bool {
        self.0 % 2 == other.0 % 2
    }
}

/// Runs `model` in every order with at most three switches of a thread that could go on: the errors of real programs take one or
/// two, and the number of orders stays in the thousands.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn client() -> Key {
    Key::from(IpAddr::from([192, 0, 2, 1]))
}

/// Who waits for the next table gets it, whenever it is published, and a view never goes back.
pub fn a_published_table_ends_every_wait() {
    explore(|| {
        let first = Arc::new(RoutingTable(0));
        let (mut publisher, reader) = publish::publisher(first.clone());
        let waiting = reader.clone();
        let known = first.clone();
        let waiter = thread::spawn(move || {
            loom::future::block_on(waiting.changed(&known));
            waiting.current().0
        });
        let sockets = thread::spawn(move || loom::future::block_on(reader.sockets_changed(&first)));
        assert_eq!(publisher.publish(Arc::new(RoutingTable(1))).0, 0);
        assert_eq!(waiter.join().unwrap(), 1);
        sockets.join().unwrap();
    });
}

/// A worker's view follows the published tables, and none that it saw comes again.
pub fn a_local_view_never_goes_back() {
    explore(|| {
        let (mut publisher, reader) = publish::publisher(Arc::new(RoutingTable(0)));
        let worker = thread::spawn(move || {
            let mut local = reader.local();
            let seen = [local.current().0, local.current().0, local.current().0];
            assert!(seen.is_sorted(), "{seen:?}");
        });
        publisher.publish(Arc::new(RoutingTable(1)));
        publisher.publish(Arc::new(RoutingTable(2)));
        worker.join().unwrap();
    });
}

/// No more connections are open than may be, and all permits come back, also those that another worker has got.
pub fn permits_are_bounded() {
    explore(|| {
        let process = Arc::new(Process::new(2));
        let open = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let workers = [(); 2].map(|()| {
            let (process, open) = (process.clone(), open.clone());
            thread::spawn(move || {
                if let Some(mut permit) = process.permit(0, 1) {
                    let others = open.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(others, 0);
                    permit.hand_over(1);
                    open.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(permit);
                }
                process.next_serial()
            })
        });
        let serials = workers.map(|worker| worker.join().unwrap());
        assert_ne!(serials[0], serials[1]);
        assert_eq!([0, 1].map(|worker| process.lighter(worker)), [None; 2]);
        assert!(process.permit(0, 1).is_some(), "all came back");
    });
}

/// A client has at most as many requests in flight as it may, and is forgotten with the last one.
pub fn requests_in_flight_are_bounded() {
    explore(|| {
        let limiter = Arc::new(ConcurrencyLimiter::default());
        let permits = [(); 2].map(|()| {
            let limiter = limiter.clone();
            thread::spawn(move || limiter.acquire(client(), NonZeroU32::MIN))
        });
        let permits = permits.map(|permit| permit.join().unwrap());
        assert_eq!(permits.iter().flatten().count(), 1);
        drop(permits);
        assert_eq!(limiter.keys(), 0);
    });
}

/// Two requests under two rules, of which the second admits one: the other is not counted by the first rule either.
pub fn a_rejected_request_is_counted_by_no_rule() {
    explore(|| {
        let limiters = Arc::new([RateLimiter::default(), RateLimiter::default()]);
        let second = |burst| Quota::per_second(NonZeroU32::MIN, burst);
        let now = Nanos::new(5_000_000_000);
        let admitted = move |limiters: &[RateLimiter; 2]| {
            let rules = [(0, 2), (1, 0)].map(|(at, burst)| Rule {
                limiter: &limiters[at],
                quota: second(burst),
            });
            admit_all(&rules, client(), now) == Admission::Admitted
        };
        let other = {
            let limiters = limiters.clone();
            thread::spawn(move || admitted(&limiters))
        };
        let own = admitted(&limiters);
        assert!(own ^ other.join().unwrap(), "exactly one is admitted");
        let left = std::iter::repeat_with(|| limiters[0].admit(client(), second(2), now));
        let left = left
            .take(5)
            .filter(|admission| *admission == Admission::Admitted);
        assert_eq!(left.count(), 2, "one of three is counted");
    });
}

/// What responses of two connections hold is counted exactly, and nothing is left when it was written.
pub fn buffers_are_counted_exactly() {
    explore(|| {
        let process = Arc::new(buffers::ResponseBuffers::new(10 << 10));
        let connections = [(); 2].map(|()| {
            let process = process.clone();
            thread::spawn(move || {
                let connection = buffers::ConnectionBuffers::new(process.clone());
                let mut gate = buffers::Gate::new(connection);
                let piece = gate.hold(vec![0; 12 << 10].into());
                assert!(process.full(), "while one is held");
                let waker = futures_util::task::noop_waker();
                let context = std::task::Context::from_waker(&waker);
                assert!(gate.poll_open(&context).is_pending());
                drop(piece);
                assert!(
                    gate.poll_open(&context).is_ready(),
                    "a response always gets one piece"
                );
            })
        });
        for connection in connections {
            connection.join().unwrap();
        }
        assert!(!process.full());
    });
}

pub use upstream::{
    a_failure_is_known_to_every_later_request, a_retry_budget_is_exceeded_by_other_workers_at_most,
    a_trial_is_claimed_once, requests_of_a_service_are_bounded,
};
