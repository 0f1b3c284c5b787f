//! The statuses of Gateways and ListenerSets, with the numbers of their routes.

use super::Pass;
use crate::gateway::status;
use crate::{Kind, ObjectRef};

impl Pass<'_> {
    /// Makes the statuses of the Gateways and ListenerSets that changed, or whose routes did.
    pub(crate) fn count_all(&mut self) {
        for parent in std::mem::take(&mut self.state.uncounted) {
            self.count(&parent);
        }
    }

    /// Makes the status of a Gateway or ListenerSet, with the number of routes of each listener.
    fn count(&mut self, parent: &ObjectRef) {
        let gateway = self.state.gateway_of(parent);
        let Some(gateway) = gateway.and_then(|name| self.state.gateways.get(&name)) else {
            return;
        };
        let counts = self.state.counts.of(&gateway.gateway.name);
        let status = match parent.kind {
            Kind::ListenerSet => {
                let set = gateway.set(&parent.name);
                set.map(|set| status::of_set(gateway, set, counts))
            }
            _ => Some(status::of_gateway(gateway, counts)),
        };
        if let Some(status) = status {
            self.state.statuses.insert(parent.clone(), status);
        }
    }
}
