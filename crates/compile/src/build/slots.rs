//! Run-time state that is carried over to the next table.

use std::collections::HashMap;
use std::sync::Arc;

use headgate_table::{Host, HostBehaviour, Origin, PathKind, Slot};

/// The run-time state of a host's former routes, for the routes that replace them: the same path of the same object.
pub(super) struct Slots(HashMap<SlotKey, Slot>);

type SlotKey = (Arc<str>, PathKind, Arc<str>, Arc<str>);

impl Slots {
    /// The slots of `former`.
    pub(super) fn of(former: Option<&Host>) -> Self {
        let paths = former.and_then(|host| match &host.behaviour {
            HostBehaviour::Routes { paths, .. } => Some(paths),
            HostBehaviour::Redirect { .. } => None,
        });
        let routes = paths.into_iter().flat_map(|paths| paths.routes());
        let slots = routes.map(|route| {
            let key = key(route.path.clone(), route.kind, &route.origin);
            (key, route.slot.clone())
        });
        Self(slots.collect())
    }

    /// The slot of the former version of the route, or a new one.
    pub(super) fn take(&mut self, path: &Arc<str>, kind: PathKind, origin: &Origin) -> Slot {
        if self.0.is_empty() {
            return Slot::default();
        }
        let former = self.0.remove(&key(path.clone(), kind, origin));
        former.unwrap_or_default()
    }
}

fn key(path: Arc<str>, kind: PathKind, origin: &Origin) -> SlotKey {
    (path, kind, origin.namespace.clone(), origin.name.clone())
}
