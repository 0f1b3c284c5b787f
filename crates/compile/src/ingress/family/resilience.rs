//! Bounds on the requests to a Service, and the ejection of its failing endpoints. ingress-nginx has neither.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{HealthCheck, Outliers, Resilience, RetryBudget};
use http::StatusCode;
use http::uri::PathAndQuery;

use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::family::retry::unless_zero;
use crate::ingress::registry::{Class, Key, OnInvalid, Reader, excerpt, keys, types};
use crate::ingress::settings::resilience as settings;

keys! { Annotation {
    MAX_CONNECTIONS: i64 =
        annotation("headgate.dev/upstream-max-connections", types::INT,
            "Requests that use a connection to the Service, or wait for one; beyond, 503 at once. 0 is unlimited.")
            .setting(&settings::MAX_CONNECTIONS).ingress().on_canary();
    MAX_PENDING: i64 =
        annotation("headgate.dev/upstream-max-pending-requests", types::INT,
            "Requests that wait for a new connection to the Service; beyond, 503 at once. 0 is unlimited.")
            .setting(&settings::MAX_PENDING).ingress().on_canary();
    RETRY_BUDGET_PERCENT: i64 =
        annotation("headgate.dev/retry-budget-percent", types::INT,
            "Share of the active requests of the Service that may be retries of requests that were sent, beside \
             retry-budget-minimum. 100 is unlimited.")
            .setting(&settings::RETRY_BUDGET_PERCENT).ingress().on_canary();
    RETRY_BUDGET_MINIMUM: i64 =
        annotation("headgate.dev/retry-budget-minimum", types::INT,
            "Retries at once that are always allowed.")
            .setting(&settings::RETRY_BUDGET_MINIMUM).ingress().on_canary();
    OUTLIER_FAILURES: i64 =
        annotation("headgate.dev/outlier-ejection-failures", types::INT,
            "Consecutive failures after which an endpoint is left out for a time; 0 never does.")
            .setting(&settings::OUTLIER_FAILURES).ingress().on_canary();
    OUTLIER_TIME: Duration =
        annotation("headgate.dev/outlier-ejection-time", types::DURATION,
            "How long it is left out, times the number of ejections in a row; 5m at most.")
            .setting(&settings::OUTLIER_TIME).ingress().on_canary();
    OUTLIER_MAX_PERCENT: i64 =
        annotation("headgate.dev/outlier-ejection-max-percent", types::INT,
            "Share of the endpoints that are left out at most. One always stays.")
            .setting(&settings::OUTLIER_MAX_PERCENT).ingress().on_canary();
    OUTLIER_5XX: bool =
        annotation("headgate.dev/outlier-ejection-5xx", types::BOOL,
            "Responses of 500 and above are failures too.")
            .setting(&settings::OUTLIER_5XX).ingress().on_canary();
    SLOW_START: Duration =
        annotation("headgate.dev/slow-start", types::DURATION,
            "How long an endpoint that joins others, or comes back after an ejection or failed health checks, gets fewer \
             requests than they do: a tenth at first, then steadily more. 0s: as many at once. Not for upstream-hash-by.")
            .setting(&settings::SLOW_START).ingress().on_canary();
    CHECK_PATH: String =
        annotation("headgate.dev/health-check-path", types::chars(Class::Url),
            "Path of requests that check each endpoint; unhealthy ones are left out while there are others.")
            .ingress().on_canary();
    CHECK_INTERVAL: Duration =
        annotation("headgate.dev/health-check-interval", types::DURATION,
            "Time from one check of an endpoint to the next; 1s at least.")
            .default("10s").ingress().on_canary().needs(&[CHECK_PATH.row()]);
    CHECK_TIMEOUT: Duration =
        annotation("headgate.dev/health-check-timeout", types::DURATION, "Time for the response of a check.")
            .default("2s").ingress().on_canary().needs(&[CHECK_PATH.row()]);
    CHECK_UNHEALTHY: i64 =
        annotation("headgate.dev/health-check-unhealthy-threshold", types::INT,
            "Failed checks in a row after which an endpoint is unhealthy.")
            .default("3").ingress().on_canary().needs(&[CHECK_PATH.row()]);
    CHECK_HEALTHY: i64 =
        annotation("headgate.dev/health-check-healthy-threshold", types::INT,
            "Checks in a row after which it is healthy again.")
            .default("2").ingress().on_canary().needs(&[CHECK_PATH.row()]);
    CHECK_STATUS: Vec<String> =
        annotation("headgate.dev/health-check-status", types::LIST,
            "Statuses of a healthy endpoint, such as 200,204; 200 to 399 when not set.")
            .ingress().on_canary().needs(&[CHECK_PATH.row()]);
} }

/// What is set; the rest has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Overrides {
    max_connections: Option<u32>,
    max_pending: Option<u32>,
    retry_percent: Option<u32>,
    retry_minimum: Option<u32>,
    failures: Option<u32>,
    time: Option<Duration>,
    max_percent: Option<u32>,
    status_5xx: Option<bool>,
    slow_start: Option<Duration>,
    check: Option<HealthCheck>,
}

impl Overrides {
    /// `None` when nothing is set.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let overrides = Self {
            max_connections: reader.count(&MAX_CONNECTIONS),
            max_pending: reader.count(&MAX_PENDING),
            retry_percent: reader.count(&RETRY_BUDGET_PERCENT),
            retry_minimum: reader.count(&RETRY_BUDGET_MINIMUM),
            failures: reader.count(&OUTLIER_FAILURES),
            time: reader.get(&OUTLIER_TIME),
            max_percent: reader.count(&OUTLIER_MAX_PERCENT),
            status_5xx: reader.get(&OUTLIER_5XX),
            slow_start: reader.get(&SLOW_START),
            check: check(reader),
        };
        (overrides != Self::default()).then_some(overrides)
    }

    /// The rules of a Service port with these `defaults`.
    pub(crate) fn over(&self, defaults: &Resilience) -> Arc<Resilience> {
        let number = |own: Option<u32>, default| own.map_or(default, NonZeroU32::new);
        let (retries, outliers) = (defaults.retries, defaults.outliers);
        Arc::new(Resilience {
            max_connections: number(self.max_connections, defaults.max_connections),
            max_pending: number(self.max_pending, defaults.max_pending),
            retries: RetryBudget {
                percent: self.retry_percent.unwrap_or(retries.percent),
                minimum: self.retry_minimum.unwrap_or(retries.minimum),
            },
            retry_rate: None,
            outliers: Outliers {
                failures: number(self.failures, outliers.failures),
                time: self.time.unwrap_or(outliers.time),
                max_percent: self.max_percent.unwrap_or(outliers.max_percent),
                status_5xx: self.status_5xx.unwrap_or(outliers.status_5xx),
            },
            slow_start: self.slow_start.map_or(defaults.slow_start, unless_zero),
            check: self.check.clone(),
        })
    }
}

/// Checks more often would be load.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Bound on all times, so that sums of them never overflow.
const LONGEST: Duration = Duration::from_secs(86_400);

fn check(reader: &mut Reader) -> Option<HealthCheck> {
    let path = reader.parsed(&CHECK_PATH, |text| match text.starts_with('/') {
        true => PathAndQuery::try_from(text).map_err(|error| error.to_string()),
        false => Err(format!("\"{text}\" does not begin with /")),
    })?;
    let defaults = HealthCheck::new(path);
    let interval = time(reader, &CHECK_INTERVAL, SHORTEST_INTERVAL);
    let timeout = time(reader, &CHECK_TIMEOUT, Duration::from_millis(1));
    let number = |number: u32, default| NonZeroU32::new(number).unwrap_or(default);
    Some(HealthCheck {
        interval: interval.unwrap_or(defaults.interval).min(LONGEST),
        timeout: timeout.unwrap_or(defaults.timeout).min(LONGEST),
        unhealthy_after: number(
            reader.positive_or_default(&CHECK_UNHEALTHY),
            defaults.unhealthy_after,
        ),
        healthy_after: number(
            reader.positive_or_default(&CHECK_HEALTHY),
            defaults.healthy_after,
        ),
        statuses: reader.each(&CHECK_STATUS, status).unwrap_or_default(),
        ..defaults
    })
}

/// A time of at least `least`; a shorter one is reported and ignored.
fn time(reader: &mut Reader, key: &Key<Duration>, least: Duration) -> Option<Duration> {
    let time = reader.get(key)?;
    if time < least {
        let reason = format!("{time:?} is not at least {least:?}");
        reader.reject(key, OnInvalid::Ignore, &reason);
        return None;
    }
    Some(time)
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = text.trim().parse::<u16>().ok();
    let code = code.filter(|code| (200..600).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| format!("\"{}\" is not a status from 200 to 599", excerpt(text)))
}
