//! External names that do not resolve, as findings for Events: only requests show them, not the objects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::{Finding, Options, Snapshot, unresolved_names};
use headgate_proxy::ResolvedNames;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two checks.
const INTERVAL: Duration = Duration::from_secs(2);

/// The findings about external names.
#[derive(Default)]
pub(super) struct UnresolvedNames {
    /// `None` before requests are served.
    followed: Option<(ResolvedNames, Interval)>,
    /// The names that did not resolve at the last check, unless objects changed since.
    checked: Option<BTreeSet<Arc<str>>>,
    findings: Vec<Finding>,
}

impl UnresolvedNames {
    pub(super) fn follow(&mut self, names: ResolvedNames) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.followed = Some((names, ticks));
    }

    /// Other Ingresses may need the names now.
    pub(super) fn objects_changed(&mut self) {
        self.checked = None;
    }

    /// Waits for the next check. Cancel safe.
    pub(super) async fn tick(&mut self) {
        match &mut self.followed {
            Some((_, ticks)) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// The findings that are new and those that are gone; `None`: there is no change.
    pub(super) fn difference(
        &mut self,
        snapshot: &Snapshot,
        options: &Options,
    ) -> Option<(Vec<Finding>, Vec<Finding>)> {
        let names = self.followed.as_ref()?.0.unresolved();
        if self.checked.as_ref() == Some(&names) {
            return None;
        }
        let findings = unresolved_names(&names, snapshot, options);
        self.checked = Some(names);
        let before = std::mem::replace(&mut self.findings, findings);
        let only = |these: &[Finding], those: &[Finding]| -> Vec<Finding> {
            let new = these.iter().filter(|one| those.binary_search(one).is_err());
            new.cloned().collect()
        };
        let (appeared, gone) = (only(&self.findings, &before), only(&before, &self.findings));
        (!appeared.is_empty() || !gone.is_empty()).then_some((appeared, gone))
    }
}
