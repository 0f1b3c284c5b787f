//! Models of what workers know of an upstream.

#[path = "../../proxy/src/upstream/health/mod.rs"]
mod health;
#[path = "../../proxy/src/upstream/load.rs"]
mod load;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Outliers, RetryBudget};
use loom::thread;
use tokio::time::Instant;

use self::health::{Failed, Health};
use self::load::Load;
use super::explore;

/// Two workers admit at the same moment: at most one request more than the bound, and all come back.
pub fn requests_of_a_service_are_bounded() {
    explore(|| {
        let load = Arc::new(Load::new(2));
        let admitted = [0, 1].map(|worker| {
            let load = load.clone();
            thread::spawn(move || {
                let first = load.admit(worker, NonZeroU32::new(2));
                let second = load.admit(worker, NonZeroU32::new(2));
                [first, second]
            })
        });
        let admitted = admitted.map(|worker| worker.join().unwrap());
        let count = admitted.iter().flatten().flatten().count();
        assert!((2..=3).contains(&count), "{count}");
        drop(admitted);
        let again: Vec<_> = (0..4)
            .filter_map(|_| load.admit(0, NonZeroU32::new(2)))
            .collect();
        assert_eq!(again.len(), 2);
    });
}

/// As for requests: one more by the other worker.
pub fn a_retry_budget_is_exceeded_by_other_workers_at_most() {
    explore(|| {
        let budget = RetryBudget {
            percent: 0,
            minimum: 1,
        };
        let load = Arc::new(Load::new(2));
        let retries = [(); 2].map(|()| {
            let load = load.clone();
            thread::spawn(move || [load.retry(budget), load.retry(budget)])
        });
        let retries = retries.map(|worker| worker.join().unwrap());
        let count = retries.iter().flatten().flatten().count();
        assert!((1..=2).contains(&count), "{count}");
        drop(retries);
        assert!(load.retry(budget).is_some());
    });
}

fn endpoints() -> Arc<[SocketAddr]> {
    [1, 2]
        .map(|port| SocketAddr::from(([192, 0, 2, 1], port)))
        .into()
}

/// While one worker asks for the standing of endpoints, another reports a failure: who asks later sees it.
pub fn a_failure_is_known_to_every_later_request() {
    explore(|| {
        let (health, endpoints) = (Arc::new(Health::default()), endpoints());
        let (failed, now) = (endpoints[0], Instant::now());
        let rules = Outliers::default();
        // There is a standing before, which the failure makes wrong.
        health.failed(endpoints[1], Failed::Unreachable, (&rules, 2), now);
        let asking = {
            let (health, endpoints) = (health.clone(), endpoints.clone());
            thread::spawn(move || drop(health.standing(&endpoints)))
        };
        health.failed(failed, Failed::Unreachable, (&rules, 2), now);
        assert!(!health.standing(&endpoints).unwrap().is_sound(&failed));
        asking.join().unwrap();
        assert!(!health.standing(&endpoints).unwrap().is_sound(&failed));
    });
}

/// Of two workers that find an endpoint due, one tries it.
pub fn a_trial_is_claimed_once() {
    explore(|| {
        let health = Arc::new(Health::default());
        let (endpoint, now) = (endpoints()[0], Instant::now());
        let rules = Outliers::default();
        health.failed(endpoint, Failed::Unreachable, (&rules, 2), now);
        let later = now + Duration::from_secs(5);
        let other = {
            let health = health.clone();
            thread::spawn(move || health.claim(endpoint, later))
        };
        let own = health.claim(endpoint, later);
        assert!(own ^ other.join().unwrap());
    });
}
