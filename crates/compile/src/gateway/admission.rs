//! Reviews of routes: whether their rules can be served as written.
//!
//! What a route refers to is not looked at: it may be created after the route. Gateways and ListenerSets have no reviews: the API
//! wants what is wrong with their listeners in their statuses, and conflicts depend on other objects.

use super::attach;
use super::backend::{Inputs, Origin};
use super::route::WrittenRoute;
use super::state::State;
use crate::{Name, Snapshot};

impl State {
    /// Reviews a route; `None`: none of its parents is served here.
    ///
    /// # Errors
    /// What the status of the route would say of a rule that responds with 500.
    pub(crate) fn review(
        &self,
        route: WrittenRoute<'_>,
        name: &Name,
        snapshot: &Snapshot,
    ) -> Option<Result<(), String>> {
        let mut parents = route.parents().iter();
        let is_served = parents.any(|parent| {
            let parent = attach::parent(parent, &name.namespace);
            let gateway = parent.and_then(|parent| self.gateway_of(&parent));
            gateway.is_some_and(|gateway| self.serves(&gateway))
        });
        if !is_served {
            return None;
        }
        let compiled = route.compile(Inputs {
            snapshot,
            grants: &self.grants,
            policies: &self.policies,
            traffic: &self.traffic,
            origin: &Origin::default(),
            applied: &[],
        });
        let problem = compiled.refused.or(compiled.partially);
        Some(match problem {
            Some(problem) => Err(format!("spec.rules: {}", problem.message)),
            None => Ok(()),
        })
    }
}
