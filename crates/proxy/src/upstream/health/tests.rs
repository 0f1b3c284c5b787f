//! Which endpoints are left out, and for how long.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;

fn endpoints(n: u8) -> Arc<[SocketAddr]> {
    (1..=n)
        .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
        .collect()
}

/// A health with its own clock, of milliseconds.
struct World {
    health: Health,
    all: Arc<[SocketAddr]>,
    rules: Outliers,
    start: Instant,
}

impl World {
    fn new(n: u8) -> Self {
        Self {
            health: Health::default(),
            all: endpoints(n),
            rules: Outliers::default(),
            start: Instant::now(),
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Seconds of the ejection that a failure of the endpoint of this index leads to.
    fn fail(&self, endpoint: usize, how: Failed, millis: u64) -> Option<u64> {
        let rules = (&self.rules, self.all.len());
        let ejection = self
            .health
            .failed(self.all[endpoint], how, rules, self.at(millis));
        ejection.map(|ejection| ejection.time.as_secs())
    }

    /// The endpoints, by their number from 1, that may get retries, and those that may get first attempts.
    fn left(&self, millis: u64) -> (Vec<u8>, Vec<u8>) {
        let numbers = |endpoints: &[SocketAddr]| {
            let ips = endpoints.iter().map(|endpoint| match endpoint.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            });
            ips.collect::<Vec<_>>()
        };
        let standing = self.health.standing_at(&self.all, self.at(millis));
        standing.map_or_else(
            || (numbers(&self.all), numbers(&self.all)),
            |standing| (numbers(standing.sound()), numbers(standing.open())),
        )
    }
}

use Failed::{NoResponse, Unreachable};

#[test]
fn a_report_has_the_state_of_each_endpoint() {
    let world = World::new(5);
    let states = |millis| world.health.states(&world.all, world.at(millis));
    assert_eq!(states(0), [EndpointState::Sound; 5]);
    world.fail(0, Unreachable, 0);
    world.fail(1, NoResponse, 0);
    for millis in [0, 500, 1000, 1500, 2000] {
        world.fail(2, NoResponse, millis);
    }
    world.health.checked(world.all[3], false, world.at(0));
    let millis = Duration::from_millis;
    let expected = [
        EndpointState::Unreachable(Duration::ZERO),
        EndpointState::Failing(1),
        EndpointState::Ejected(5, millis(29_500)),
        EndpointState::Unhealthy,
        EndpointState::Sound,
    ];
    assert_eq!(states(2500), expected);
    assert_eq!(states(400)[0], EndpointState::Unreachable(millis(600)));
    let texts = expected.map(|state| state.to_string());
    assert_eq!(
        texts,
        [
            "cannot be connected to, left out until a request has tried it",
            "1 failure",
            "5 failures in a row, ejected for 30 s",
            "left out until its health checks pass",
            "sound",
        ]
    );
    world.health.succeeded(world.all[2], world.at(3000));
    assert_eq!(states(3000)[2], EndpointState::Sound);
}

#[test]
fn an_unreachable_endpoint_is_left_out_and_then_tried_by_one_request_at_a_time() {
    let world = World::new(3);
    let (health, second) = (&world.health, world.all[1]);
    assert!(health.standing(&world.all).is_none());
    world.fail(1, Unreachable, 0);
    assert_eq!(world.left(999), (vec![1, 3], vec![1, 3]));
    assert!(!health.claim(second, world.at(999)), "not due yet");
    assert_eq!(world.left(1000), (vec![1, 3], vec![1, 2, 3]));
    assert!(health.claim(second, world.at(1000)) && !health.claim(second, world.at(1001)));
    assert_eq!(
        world.left(1001),
        (vec![1, 3], vec![1, 3]),
        "another request has the trial"
    );
    health.connected(second, world.at(1000));
    assert_eq!(world.left(1002), (vec![1, 2, 3], vec![1, 2, 3]));
    health.succeeded(second, world.at(1000));
    world.left(1003);
    assert!(
        health.standing(&world.all).is_none(),
        "a request reads one flag again"
    );
}

#[test]
fn an_attempt_that_began_before_the_failure_proves_nothing() {
    let world = World::new(2);
    world.fail(0, Unreachable, 2);
    world.health.succeeded(world.all[0], world.at(1));
    world.health.succeeded(world.all[1], world.at(3));
    assert_eq!(world.left(4).0, [2]);
}

#[test]
fn what_is_known_follows_the_endpoints() {
    let mut world = World::new(3);
    world.fail(0, Unreachable, 0);
    world.fail(2, Unreachable, 0);
    // The first endpoint stays, the last is removed, and is new when it comes back.
    world.all = endpoints(2);
    assert_eq!(world.left(1).0, [2]);
    world.all = endpoints(3);
    assert_eq!(world.left(1).0, [2, 3]);
    world.all = endpoints(3)[1..].into();
    assert_eq!(world.left(1).0, [2, 3]);
    assert!(world.health.standing(&world.all).is_none());
}

#[test]
fn an_endpoint_that_fails_again_and_again_is_ejected_for_longer_each_time() {
    let world = World::new(4);
    for (failure, millis) in (0..5).zip((0..).step_by(600)) {
        assert_eq!(world.left(millis).0, [1, 2, 3, 4], "failure {failure}");
        let ejected = world.fail(1, NoResponse, millis);
        assert_eq!(ejected, (failure == 4).then_some(30));
    }
    assert_eq!(world.health.ejected(), 1);
    assert_eq!(
        world.fail(1, NoResponse, 3000),
        None,
        "a request that was under way"
    );
    assert_eq!(world.left(32_000), (vec![1, 3, 4], vec![1, 3, 4]));
    // One request tries it again; the first failure ejects it again.
    assert_eq!(world.left(33_000), (vec![1, 3, 4], vec![1, 2, 3, 4]));
    assert!(world.health.claim(world.all[1], world.at(33_000)));
    assert_eq!(world.fail(1, NoResponse, 33_500), Some(60));
    assert_eq!(world.left(93_000).1, [1, 3, 4]);
    assert!(world.health.claim(world.all[1], world.at(94_000)));
    assert!(
        world.health.succeeded(world.all[1], world.at(94_000)),
        "the ejection is over"
    );
    assert_eq!(world.left(95_000).0, [1, 2, 3, 4]);
}

#[test]
fn a_success_ends_a_series_of_failures_and_a_burst_is_none() {
    let world = World::new(2);
    for millis in 0..20 {
        assert_eq!(world.fail(0, NoResponse, millis), None, "a burst");
    }
    world.health.succeeded(world.all[0], world.at(20));
    for millis in [1000, 2000, 3000, 4000] {
        assert_eq!(world.fail(0, NoResponse, millis), None);
    }
    assert_eq!(world.fail(0, NoResponse, 5000), Some(30));
}

#[test]
fn a_share_of_the_endpoints_is_ejected_and_never_the_only_one() {
    for (n, ejected) in [(1, 0), (2, 1), (5, 2)] {
        let world = World::new(n);
        for millis in (0..20_000).step_by(500) {
            for endpoint in 0..usize::from(n) {
                world.fail(endpoint, NoResponse, millis);
            }
        }
        assert_eq!(
            world.left(20_000).0.len(),
            usize::from(n) - ejected,
            "{n} endpoints"
        );
    }
}

#[test]
fn without_a_number_of_failures_nothing_is_ejected() {
    let mut world = World::new(2);
    world.rules.failures = None;
    for millis in (0..20_000).step_by(500) {
        assert_eq!(world.fail(0, Unreachable, millis), None);
        assert_eq!(world.fail(1, NoResponse, millis), None);
    }
    assert_eq!(world.left(20_000).0, [2]);
}

#[test]
fn an_unhealthy_endpoint_is_left_out_until_its_checks_pass() {
    let world = World::new(2);
    let (health, first) = (&world.health, world.all[0]);
    health.checked(first, true, world.at(0));
    assert!(health.standing(&world.all).is_none());
    health.checked(first, false, world.at(0));
    assert_eq!(
        (world.left(700_000), health.unhealthy()),
        ((vec![2], vec![2]), 1)
    );
    assert!(
        !health.claim(first, world.at(700_000)),
        "no request tries it"
    );
    health.succeeded(first, world.at(700_000));
    assert_eq!(world.left(700_001).0, [2], "only its checks count");
    health.checked(world.all[1], false, world.at(700_002));
    assert_eq!(world.left(700_003), (vec![], vec![]), "all are used then");
    health.checked(world.all[1], true, world.at(700_004));
    health.checked(first, true, world.at(700_004));
    assert_eq!((world.left(700_005).0, health.unhealthy()), (vec![1, 2], 0));
    assert!(health.standing(&world.all).is_none());
}

#[test]
fn shortages_of_this_process_are_no_fault_of_an_endpoint() {
    use rustix::io::Errno;
    let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
    for (error, how) in [
        (Errno::CONNREFUSED.into(), Some(Unreachable)),
        (Errno::HOSTUNREACH.into(), Some(Unreachable)),
        (Errno::TIMEDOUT.into(), Some(Unreachable)),
        (tls, Some(NoResponse)),
        (Errno::MFILE.into(), None),
        (Errno::ADDRNOTAVAIL.into(), None),
        (Errno::NOBUFS.into(), None),
    ] {
        assert_eq!(failed_by(&error), how, "{error}");
    }
}
