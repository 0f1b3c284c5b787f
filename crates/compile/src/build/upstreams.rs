//! Which upstreams are needed, of which Service port each is, and which to build again.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use headgate_table::UpstreamKey;

use super::service_port::{ServicePort, Transport};
use super::sorted::Sorted;
use crate::Name;

/// The upstreams that are needed. Each is counted as often as it was acquired and not released again.
#[derive(Default)]
pub(super) struct Upstreams {
    needed: HashMap<UpstreamKey, Needed, RandomState>,
    of_service: HashMap<Name, Sorted<UpstreamKey>, RandomState>,
    dirty: BTreeSet<UpstreamKey>,
}

struct Needed {
    upstream: UpstreamDraft,
    times: u32,
}

/// What an upstream is of and how it is spoken to.
#[derive(Clone, Debug)]
pub struct UpstreamDraft {
    /// The Service port.
    pub port: ServicePort,
    /// Protocol and TLS.
    pub transport: Transport,
}

impl UpstreamDraft {
    /// The key of the upstream.
    pub fn key(&self) -> UpstreamKey {
        self.port.id().upstream(&self.transport)
    }
}

impl Upstreams {
    /// Counts one more use of an upstream; the first one marks it for building.
    pub(super) fn acquire(&mut self, key: &UpstreamKey, draft: impl FnOnce() -> UpstreamDraft) {
        if let Some(needed) = self.needed.get_mut(key) {
            needed.times = needed.times.saturating_add(1);
            return;
        }
        let upstream = draft();
        let service = upstream.port.service.clone();
        self.of_service
            .entry(service)
            .or_default()
            .insert(key.clone());
        self.needed
            .insert(key.clone(), Needed { upstream, times: 1 });
        self.dirty.insert(key.clone());
    }

    /// Counts one use less; after the last one the upstream goes with the next [`Upstreams::take_dirty`].
    pub(super) fn release(&mut self, key: &UpstreamKey) {
        let Some(needed) = self.needed.get_mut(key) else {
            return;
        };
        needed.times = needed.times.saturating_sub(1);
        if needed.times == 0 {
            self.dirty.insert(key.clone());
        }
    }

    /// What a key stands for.
    pub(super) fn get(&self, key: &UpstreamKey) -> Option<&UpstreamDraft> {
        self.needed.get(key).map(|needed| &needed.upstream)
    }

    /// Marks the upstreams of a Service for building.
    pub(super) fn touch(&mut self, service: &Name) {
        let of_service = self.of_service.get(service).into_iter().flatten();
        self.dirty.extend(of_service.cloned());
    }

    /// Marks all upstreams for building.
    pub(super) fn touch_all(&mut self) {
        self.dirty.extend(self.needed.keys().cloned());
    }

    /// The upstreams to build, or to remove: those for which [`Upstreams::get`] gives nothing any more.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<UpstreamKey> {
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            if self.needed.get(key).is_some_and(|needed| needed.times == 0) {
                self.forget(key);
            }
        }
        dirty
    }

    fn forget(&mut self, key: &UpstreamKey) {
        let Some(needed) = self.needed.remove(key) else {
            return;
        };
        let service = &needed.upstream.port.service;
        if let Some(keys) = self.of_service.get_mut(service) {
            keys.remove(key);
            if keys.is_empty() {
                self.of_service.remove(service);
            }
        }
    }
}
