//! What is remembered of an endpoint that has failed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::quality::RandomState;
use headgate_table::Outliers;
use tokio::time::Instant;

use super::state::EndpointState;

/// How long failures are remembered that neither a success nor another failure follows.
const MEMORY: Duration = Duration::from_secs(600);

/// The records of the endpoints that have failed.
pub(super) type Records = HashMap<SocketAddr, Record, RandomState>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Consecutive failures.
    pub(super) failures: u32,
    /// When the first of them was.
    pub(super) first: Instant,
    /// When the last failure was.
    pub(super) failed: Instant,
    /// Until when it is left out; `None`: it gets requests. After that it is due for a trial.
    pub(super) left_out: Option<Instant>,
    /// Its health checks have failed: it is left out until they pass.
    pub(super) unhealthy: bool,
    /// Until when it is ejected; `None` again after a success.
    ejected: Option<Instant>,
    /// Ejections in a row, and how long the last one was.
    ejections: (u32, Duration),
    /// When these are forgotten; `None` before a success.
    forget: Option<Instant>,
}

impl Record {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            first: now,
            failed: now,
            left_out: None,
            unhealthy: false,
            ejected: None,
            ejections: (0, Duration::ZERO),
            forget: None,
        }
    }

    pub(super) fn fail(&mut self, now: Instant) {
        if self.failures == 0 {
            self.first = now;
        }
        if self.forget.take().is_some_and(|forget| forget <= now) {
            self.ejections = (0, Duration::ZERO);
        }
        self.failures = self.failures.saturating_add(1);
        self.failed = now;
    }

    /// Ejections are forgotten once the endpoint was fine for as long as the last one took.
    pub(super) fn succeed(&mut self, now: Instant) {
        (self.failures, self.left_out, self.ejected) = (0, None, None);
        self.forget = Some(now + self.ejections.1);
    }

    /// Returns how long it is ejected.
    pub(super) fn eject(&mut self, rules: &Outliers, now: Instant) -> Duration {
        let number = self.ejections.0.saturating_add(1);
        let time = rules.ejection_time(number);
        self.ejections = (number, time);
        self.ejected = Some(now + time);
        self.left_out = self.ejected;
        time
    }

    pub(super) fn set_unhealthy(&mut self, unhealthy: bool, now: Instant) {
        self.unhealthy = unhealthy;
        if !unhealthy && self.failures == 0 {
            self.forget.get_or_insert(now);
        }
    }

    pub(super) fn is_left_out(&self, now: Instant) -> bool {
        self.unhealthy || self.left_out.is_some_and(|until| until > now)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.unhealthy && self.left_out.is_some_and(|until| until <= now)
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected.is_some_and(|until| until > now)
    }

    pub(super) fn state(&self, now: Instant) -> EndpointState {
        let left = |until: Instant| until.saturating_duration_since(now);
        match (self.left_out, self.ejected) {
            _ if self.unhealthy => EndpointState::Unhealthy,
            (Some(until), Some(_)) => EndpointState::Ejected(self.failures, left(until)),
            (Some(until), None) => EndpointState::Unreachable(left(until)),
            (None, _) if self.failures > 0 => EndpointState::Failing(self.failures),
            (None, _) => EndpointState::Sound,
        }
    }

    /// Whether it was ejected and had no success since.
    pub(super) fn was_ejected(&self) -> bool {
        self.ejected.is_some()
    }

    /// Whether the endpoint is as good as a new one.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self.forget {
            _ if self.unhealthy => false,
            Some(forget) => forget <= now,
            None => {
                let old = now.saturating_duration_since(self.failed) >= MEMORY;
                old && self.left_out.is_none_or(|until| until <= now)
            }
        }
    }
}
