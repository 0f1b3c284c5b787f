//! How an upstream is protected, where that differs from the defaults.

use std::num::NonZeroU32;

use super::facts::Facts;
use crate::{HealthCheck, Outliers, Resilience, RetryBudget, RetryRate};

pub(super) fn resilience_facts(resilience: &Resilience, facts: &mut Facts) {
    let defaults = Resilience::default();
    let Resilience {
        max_connections,
        max_pending,
        retries: RetryBudget { percent, minimum },
        retry_rate,
        outliers:
            Outliers {
                failures,
                time,
                max_percent,
                status_5xx,
            },
        slow_start,
        check,
    } = resilience;
    let number = |number: &Option<NonZeroU32>| number.map_or(0, NonZeroU32::get);
    let (retries, outliers) = (&defaults.retries, &defaults.outliers);
    for (name, value, default) in [
        (
            "max-connections",
            number(max_connections),
            number(&defaults.max_connections),
        ),
        (
            "max-pending",
            number(max_pending),
            number(&defaults.max_pending),
        ),
        ("retry-percent", *percent, retries.percent),
        ("retry-minimum", *minimum, retries.minimum),
        (
            "ejected-after",
            number(failures),
            number(&outliers.failures),
        ),
        ("ejected-percent", *max_percent, outliers.max_percent),
    ] {
        facts.differs(name, &value, &default);
    }
    facts.differs("ejected-for", time, &outliers.time);
    facts.holds("5xx ejects", *status_5xx);
    if let Some(time) = slow_start {
        facts.push(format!("slow-start {time:?}"));
    }
    if let Some(rate) = retry_rate {
        let RetryRate {
            percent,
            interval,
            minimum,
            per,
        } = rate;
        facts.push(format!(
            "retries {percent}% in {interval:?} or {minimum} in {per:?}"
        ));
    }
    if let Some(check) = check {
        facts.push(check_fact(check));
    }
}

/// `checked PATH every TIME`, and what differs from the defaults.
fn check_fact(check: &HealthCheck) -> String {
    let HealthCheck {
        path,
        interval,
        timeout,
        unhealthy_after,
        healthy_after,
        statuses,
    } = check;
    let defaults = HealthCheck::new(path.clone());
    let mut facts = Facts::default();
    facts.push(format!("checked {path} every {interval:?}"));
    facts.differs("timeout", timeout, &defaults.timeout);
    facts.differs(
        "unhealthy-after",
        unhealthy_after,
        &defaults.unhealthy_after,
    );
    facts.differs("healthy-after", healthy_after, &defaults.healthy_after);
    facts.differs("statuses", statuses, &defaults.statuses);
    facts.list().join(" ")
}
