#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use super::*;

/// The default of `--time-buckets`.
const TIMES: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Counters that grow.
#[derive(Clone)]
struct Counter {
    route: u64,
    host: Arc<str>,
    canary: Option<Arc<str>>,
    errors: [u64; 2],
    times: [u64; 12],
}

impl Counter {
    fn new(route: u64, host: &str) -> Self {
        Self {
            route,
            host: host.into(),
            canary: None,
            errors: [0; 2],
            times: [0; 12],
        }
    }

    fn canary(mut self, name: &str) -> Self {
        self.canary = Some(name.into());
        self
    }

    /// Counts requests of a bucket.
    fn count(&mut self, bucket: usize, requests: u64) {
        self.times[bucket] += requests;
    }
}

fn tick(history: &mut History, now: u64, counters: &[Counter]) {
    let mut tick = history.tick(now).unwrap();
    for counter in counters {
        tick.add(&Sample {
            route: counter.route,
            host: Some(&counter.host),
            canary: counter.canary.as_ref(),
            client_errors: counter.errors[0],
            server_errors: counter.errors[1],
            times: &counter.times,
        });
    }
    tick.finish();
}

fn rates(series: &Series) -> Vec<f64> {
    let points = series.points.iter();
    points
        .map(|point| point.requests_per_second.unwrap_or(-1.0))
        .collect()
}

#[test]
fn growth_is_kept_by_step_and_minute() {
    let mut history = History::new(&TIMES);
    let mut counters = [Counter::new(7, "a.test"), Counter::new(9, "b.test")];
    counters[0].count(0, 1000);
    tick(&mut history, 600, &counters);
    assert_eq!(history.traffic().window_seconds, 0, "nothing is known yet");
    for step in 1..=7 {
        counters[0].count(0, 20);
        counters[1].count(2, 10);
        counters[1].errors[1] += 10;
        tick(&mut history, 600 + step * STEP, &counters);
    }
    let traffic = history.traffic();
    assert_eq!((traffic.window_seconds, traffic.requests), (10, 30));
    assert_eq!(traffic.server_error_share, Some(1.0 / 3.0));
    assert_eq!(rates(&history.recent()), [3.0; 7]);
    assert_eq!(rates(&history.route(7)), [2.0; 7]);
    assert_eq!(rates(&history.hour()), [3.0]);
    assert_eq!(rates(&history.host("b.test")), [1.0]);
    assert_eq!(rates(&history.host("other.test")), [0.0]);
    assert_eq!(history.hour().end_unix_seconds, 660);
    assert_eq!(history.recent().end_unix_seconds, 670);
    let window = history.window();
    assert_eq!(window.seconds(), 60);
    assert_eq!(window.route(9).unwrap().requests(), 60);
    assert_eq!(
        window.routes([7, 9, 11].into_iter()).unwrap().requests(),
        180
    );
    assert_eq!(window.route(11).unwrap().requests(), 0);
}

#[test]
fn both_sides_of_a_canary_are_kept() {
    let mut history = History::new(&TIMES);
    let mut counters = [
        Counter::new(1, "a.test"),
        Counter::new(1, "a.test").canary("next"),
        Counter::new(1, "a.test").canary("other"),
    ];
    tick(&mut history, 0, &counters);
    for (counter, requests) in counters.iter_mut().zip([90, 9, 1]) {
        counter.count(0, requests);
    }
    tick(&mut history, 10, &counters);
    let window = history.window();
    let side = |canary| window.side(1, canary).unwrap().requests();
    assert_eq!([None, Some("next"), Some("other")].map(side), [90, 9, 1]);
    assert_eq!(side(Some("gone")), 0);
    assert_eq!(window.route(1).unwrap().requests(), 100);
}

#[test]
fn a_route_that_is_gone_takes_nothing_with_it() {
    let mut history = History::new(&TIMES);
    let mut counters = vec![Counter::new(1, "a.test"), Counter::new(2, "a.test")];
    counters[0].count(0, 100);
    tick(&mut history, 0, &counters);
    counters.remove(0);
    counters[0].count(0, 5);
    tick(&mut history, 10, &counters);
    assert_eq!(history.traffic().requests, 5);
    // A new route: all its requests are new.
    counters.push(Counter::new(3, "a.test"));
    counters[1].count(0, 7);
    tick(&mut history, 20, &counters);
    assert_eq!(history.traffic().requests, 7);
}

#[test]
fn missed_ticks_are_gaps_and_an_early_one_is_none() {
    let mut history = History::new(&TIMES);
    let mut counters = [Counter::new(1, "a.test")];
    tick(&mut history, 1000, &counters);
    assert!(history.tick(1005).is_none());
    assert!(history.tick(900).is_none(), "the clock was set back");
    counters[0].count(0, 10);
    tick(&mut history, 1030, &counters);
    assert_eq!(rates(&history.recent()), [0.0, 0.0, 1.0]);
    counters[0].count(0, 10);
    tick(&mut history, 1_000_000, &counters);
    let recent = rates(&history.recent());
    assert_eq!((recent.len(), recent[59]), (60, 1.0));
    assert_eq!(rates(&history.hour()).len(), 60);
}

#[test]
fn quantiles_are_between_the_bounds() {
    let mut history = History::new(&TIMES);
    let mut counters = [Counter::new(1, "a.test")];
    tick(&mut history, 0, &counters);
    assert_eq!(history.traffic().p50_seconds, None);
    counters[0].count(0, 50);
    counters[0].count(3, 49);
    counters[0].count(11, 1);
    tick(&mut history, 10, &counters);
    let traffic = history.traffic();
    assert_eq!(traffic.p50_seconds, Some(0.005));
    assert_eq!(traffic.p99_seconds, Some(0.05));
    counters[0].count(11, 10);
    tick(&mut history, 20, &counters);
    assert_eq!(history.traffic().p99_seconds, Some(10.0), "the last bound");
}

#[test]
fn more_buckets_are_put_together() {
    let bounds: Vec<f64> = (1..=47).map(f64::from).collect();
    let mut history = History::new(&bounds);
    let mut times = vec![0; 48];
    for (step, at) in [(0, 0), (1, 5)] {
        times[at] += 1;
        let mut tick = history.tick(step * STEP).unwrap();
        tick.add(&Sample {
            route: 1,
            host: None,
            canary: None,
            client_errors: 0,
            server_errors: 0,
            times: &times,
        });
        tick.finish();
    }
    let traffic = history.traffic();
    assert_eq!(traffic.requests, 1);
    let p99 = traffic.p99_seconds.unwrap();
    assert!((4.0..=8.0).contains(&p99), "{p99}");
}

#[test]
fn counters_may_wrap() {
    let mut history = History::new(&TIMES);
    let mut counters = [Counter::new(1, "a.test")];
    counters[0].times[0] = u64::from(u32::MAX);
    tick(&mut history, 0, &counters);
    counters[0].count(0, 3);
    tick(&mut history, 10, &counters);
    assert_eq!(history.traffic().requests, 3);
}

/// 20,000 routes of as many hosts, all of them busy at each step, with large numbers in many buckets.
#[test]
fn memory_is_bounded() {
    const ROUTES: u64 = 20_000;
    let mut counters: Vec<Counter> = (0..ROUTES)
        .map(|route| Counter::new(route, &format!("host-{route}.example.com")))
        .collect();
    let mut history = None;
    let used = allocation_counter::measure(|| {
        let mut all = History::new(&TIMES);
        // An hour of minutes, then ten minutes of steps.
        let minutes = (0..=60).map(|minute| minute * MINUTE);
        let steps = (1..=60).map(|step| 60 * MINUTE + step * STEP);
        for now in minutes.chain(steps) {
            for (index, counter) in counters.iter_mut().enumerate() {
                for bucket in 0..6 {
                    counter.count(bucket, 1 + (index as u64 % 500) * 300);
                }
                counter.errors[0] += index as u64 % 7;
            }
            tick(&mut all, now, &counters);
        }
        history = Some(all);
    });
    let history = history.unwrap();
    let most = used.bytes_max;
    println!("{most} bytes, of which {} stay", used.bytes_current);
    assert!(most <= 8 << 20, "{most} bytes at most, {used:?}");
    // The busiest are kept, and what is not kept is not 0.
    let busy = history.route(499);
    assert!(
        busy.points
            .iter()
            .all(|point| point.requests_per_second.is_some())
    );
    let quiet = history.route(0);
    assert!(
        quiet
            .points
            .iter()
            .all(|point| point.requests_per_second.is_none())
    );
    assert_eq!(history.window().route(0), None);
    let hour = history.host("host-499.example.com");
    assert_eq!(hour.points.len(), 60);
    assert!(
        hour.points
            .iter()
            .all(|point| point.requests_per_second.is_some())
    );
    assert_eq!(
        history.host("host-0.example.com").points[59].requests_per_second,
        None
    );
}

/// As is usual: 20,000 routes, of which a few get most requests.
#[test]
fn quiet_hosts_fit_beside_busy_ones() {
    let mut counters: Vec<Counter> = (0..20_000)
        .map(|route| Counter::new(route, &format!("host-{route}.example.com")))
        .collect();
    let mut history = History::new(&TIMES);
    for step in 0..=12 {
        for (index, counter) in counters.iter_mut().enumerate() {
            // Each host has a request every eight minutes, and every hundredth ten a second.
            let is_due = (index as u64 + step).is_multiple_of(48);
            counter.count(
                index % 3,
                u64::from(is_due) + u64::from(index.is_multiple_of(100)) * 100,
            );
        }
        tick(&mut history, step * STEP, &counters);
    }
    assert_eq!(
        history.window().route(1).unwrap().requests(),
        0,
        "all are kept"
    );
    assert_eq!(history.window().route(200).unwrap().requests(), 600);
    let host = history.host("host-1.example.com");
    assert!(
        host.points
            .iter()
            .all(|point| point.requests_per_second.is_some())
    );
}
