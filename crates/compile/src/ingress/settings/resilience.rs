//! Bounds on the requests to each Service, and the ejection of failing endpoints. Keys of Headgate alone.

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table::{Outliers, Resilience, RetryBudget};

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::family::retry::unless_zero;
use crate::ingress::registry::{keys, types};

const DEFAULT_OF: &str = "Default of the annotation headgate.dev/ of this name.";

keys! { Setting {
    MAX_CONNECTIONS: i64 = setting("upstream-max-connections", types::INT, "16384", DEFAULT_OF);
    MAX_PENDING: i64 = setting("upstream-max-pending-requests", types::INT, "8192", DEFAULT_OF);
    RETRY_BUDGET_PERCENT: i64 = setting("retry-budget-percent", types::INT, "20", DEFAULT_OF);
    RETRY_BUDGET_MINIMUM: i64 = setting("retry-budget-minimum", types::INT, "100", DEFAULT_OF);
    OUTLIER_FAILURES: i64 = setting("outlier-ejection-failures", types::INT, "5", DEFAULT_OF);
    OUTLIER_TIME: Duration = setting("outlier-ejection-time", types::DURATION, "30s", DEFAULT_OF);
    OUTLIER_MAX_PERCENT: i64 = setting("outlier-ejection-max-percent", types::INT, "50", DEFAULT_OF);
    OUTLIER_5XX: bool = setting("outlier-ejection-5xx", types::BOOL, "false", DEFAULT_OF);
    SLOW_START: Duration = setting("slow-start", types::DURATION, "0s", DEFAULT_OF);
} }

/// The rules of every Service port whose Ingress has none of its own.
pub(super) fn read(source: &mut Source<'_>) -> Resilience {
    Resilience {
        max_connections: NonZeroU32::new(source.count(&MAX_CONNECTIONS)),
        max_pending: NonZeroU32::new(source.count(&MAX_PENDING)),
        retries: RetryBudget {
            percent: source.count(&RETRY_BUDGET_PERCENT),
            minimum: source.count(&RETRY_BUDGET_MINIMUM),
        },
        retry_rate: None,
        outliers: Outliers {
            failures: NonZeroU32::new(source.count(&OUTLIER_FAILURES)),
            time: source.get(&OUTLIER_TIME),
            max_percent: source.count(&OUTLIER_MAX_PERCENT),
            status_5xx: source.get(&OUTLIER_5XX),
        },
        slow_start: unless_zero(source.get(&SLOW_START)),
        check: None,
    }
}
