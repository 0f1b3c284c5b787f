//! Server names whose TLS connections are passed through to a backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{SharedMap, TlsRoute};

use super::draft::{SplitDraft, Universe};
use super::hosts;
use super::upstreams::Upstreams;

/// The names that are passed through, by universe. Other names are in no map.
#[derive(Default)]
pub(super) struct Passthrough(BTreeMap<Universe, SharedMap<TlsRoute>>);

impl Passthrough {
    /// The routes of a universe by name.
    pub(super) fn routes(&self, universe: &Universe) -> SharedMap<TlsRoute> {
        self.0.get(universe).cloned().unwrap_or_default()
    }

    /// Removes all names of a universe.
    pub(super) fn remove(&mut self, universe: &Universe, upstreams: &mut Upstreams) {
        let routes = self.0.remove(universe).unwrap_or_default();
        for (_, route) in routes.iter() {
            for key in route
                .passthrough()
                .into_iter()
                .flat_map(|split| split.upstreams())
            {
                upstreams.release(key);
            }
        }
    }

    /// Passes `name` through to backends, or terminates its TLS without any.
    pub(super) fn set(
        &mut self,
        universe: &Universe,
        name: &Arc<str>,
        split: Option<&SplitDraft>,
        upstreams: &mut Upstreams,
    ) {
        if split.is_none() && !self.0.contains_key(universe) {
            return;
        }
        let routes = self.0.entry(universe.clone()).or_default();
        let former = match split {
            Some(split) => {
                let split = hosts::split(split, upstreams);
                routes.insert(name.clone(), TlsRoute::Passthrough(Arc::new(split)))
            }
            None => routes.remove(name),
        };
        let former = former.as_ref().and_then(TlsRoute::passthrough);
        for key in former.iter().flat_map(|split| split.upstreams()) {
            upstreams.release(key);
        }
    }
}
