//! XBackendTrafficPolicies: sessions and retries of requests to Services (gateway-api.md 5.2).
//!
//! A policy that cannot be used does not apply: it protects nothing, so that requests go on without it.

use std::time::Duration;

use headgate_table::RetryRate;

use super::condition::{Condition, Problem};
use super::http::{duration, session};
use super::policies::{Attachment, Policies, ServicePolicy};
use crate::objects::custom::{
    BackendTrafficPolicySpec, Custom, RetryConstraint, SessionPersistence,
};
use crate::{Name, Snapshot};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// Largest number of a rate.
const MOST: u32 = 1_000_000;

/// A policy.
#[derive(Debug)]
pub(crate) struct TrafficPolicy {
    attachment: Attachment,
    /// Bound on retries.
    pub(super) retries: Option<RetryRate>,
    /// The session of rules that have none.
    pub(super) session: Option<SessionPersistence>,
}

impl ServicePolicy for TrafficPolicy {
    type Spec = BackendTrafficPolicySpec;

    fn read(object: &Custom<BackendTrafficPolicySpec>, _: &Snapshot) -> Self {
        let spec = &object.spec;
        let rate = spec.retry_constraint.as_ref().map(rate).transpose();
        let session = spec.session_persistence.clone();
        let usable = session
            .as_ref()
            .map(|spec| session::session(spec, "".into(), ""));
        let refused = rate.as_ref().err().cloned();
        let refused = refused.or_else(|| usable.and_then(Result::err));
        let refused = refused.map(|problem| Problem::new("Invalid", &*problem.message));
        Self {
            attachment: Attachment::of(object, &spec.target_refs, refused),
            retries: rate.ok().flatten(),
            session,
        }
    }

    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn config_maps(&self) -> &[Name] {
        &[]
    }

    fn condition(&self) -> Option<Condition> {
        None
    }
}

impl Policies<TrafficPolicy> {
    /// The policy that applies to a Service.
    pub(super) fn of(&self, service: &Name) -> Option<&TrafficPolicy> {
        let policy = self.of_port(service, None);
        policy.filter(|policy| policy.attachment.refused.is_none())
    }
}

fn rate(spec: &RetryConstraint) -> Result<RetryRate, Problem> {
    let (budget, least) = (&spec.budget, &spec.min_retry_rate);
    let percent = budget.percent.unwrap_or(20);
    if percent > 100 {
        return Err(invalid("budget.percent", &percent.to_string(), "0 to 100"));
    }
    let count = least.count.unwrap_or(10);
    if !(1..=MOST).contains(&count) {
        return Err(invalid(
            "minRetryRate.count",
            &count.to_string(),
            "1 to 1000000",
        ));
    }
    Ok(RetryRate {
        percent,
        interval: interval(
            "budget.interval",
            budget.interval.as_deref(),
            10 * SECOND,
            SECOND,
        )?,
        minimum: count,
        per: interval(
            "minRetryRate.interval",
            least.interval.as_deref(),
            SECOND,
            Duration::from_millis(1),
        )?,
    })
}

fn interval(
    field: &str,
    text: Option<&str>,
    default: Duration,
    least: Duration,
) -> Result<Duration, Problem> {
    let Some(text) = text else {
        return Ok(default);
    };
    let found = duration(&format!("retryConstraint.{field}"), text)?;
    match (least..=HOUR).contains(&found) {
        true => Ok(found),
        false => Err(invalid(field, text, &format!("{least:?} to 1h"))),
    }
}

fn invalid(field: &str, value: &str, right: &str) -> Problem {
    let message =
        format!("retryConstraint.{field} \"{value}\" is not supported; it must be {right}");
    Problem::new("Invalid", message)
}
