//! The referenced upstreams: their Service ports, and which to rebuild.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use headgate_table::UpstreamKey;

use super::service_port::{ServicePort, Transport};
use super::sorted::Sorted;
use crate::Name;

/// The referenced upstreams, with reference counts.
#[derive(Default)]
pub(super) struct Upstreams {
    referenced: HashMap<UpstreamKey, Referenced, RandomState>,
    of_service: HashMap<Name, Sorted<UpstreamKey>, RandomState>,
    dirty: BTreeSet<UpstreamKey>,
}

struct Referenced {
    upstream: UpstreamDraft,
    count: u32,
}

/// The Service port of an upstream and its transport.
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
    /// Adds a reference to an upstream; the first one marks it for building.
    pub(super) fn acquire(&mut self, key: &UpstreamKey, draft: impl FnOnce() -> UpstreamDraft) {
        if let Some(referenced) = self.referenced.get_mut(key) {
            referenced.count = referenced.count.saturating_add(1);
            return;
        }
        let upstream = draft();
        let service = upstream.port.service.clone();
        self.of_service
            .entry(service)
            .or_default()
            .insert(key.clone());
        self.referenced
            .insert(key.clone(), Referenced { upstream, count: 1 });
        self.dirty.insert(key.clone());
    }

    /// Removes a reference; after the last one the next [`Upstreams::take_dirty`] removes the upstream.
    pub(super) fn release(&mut self, key: &UpstreamKey) {
        let Some(referenced) = self.referenced.get_mut(key) else {
            return;
        };
        referenced.count = referenced.count.saturating_sub(1);
        if referenced.count == 0 {
            self.dirty.insert(key.clone());
        }
    }

    /// The Service port and transport of an upstream.
    pub(super) fn get(&self, key: &UpstreamKey) -> Option<&UpstreamDraft> {
        self.referenced
            .get(key)
            .map(|referenced| &referenced.upstream)
    }

    /// Marks the upstreams of a Service for rebuilding.
    pub(super) fn touch(&mut self, service: &Name) {
        let of_service = self.of_service.get(service).into_iter().flatten();
        self.dirty.extend(of_service.cloned());
    }

    /// Marks all upstreams for rebuilding.
    pub(super) fn touch_all(&mut self) {
        self.dirty.extend(self.referenced.keys().cloned());
    }

    /// The upstreams to build or, if [`Upstreams::get`] returns `None`, to remove.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<UpstreamKey> {
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            let referenced = self.referenced.get(key);
            if referenced.is_some_and(|referenced| referenced.count == 0) {
                self.remove(key);
            }
        }
        dirty
    }

    fn remove(&mut self, key: &UpstreamKey) {
        let Some(referenced) = self.referenced.remove(key) else {
            return;
        };
        let service = &referenced.upstream.port.service;
        if let Some(keys) = self.of_service.get_mut(service) {
            keys.remove(key);
            if keys.is_empty() {
                self.of_service.remove(service);
            }
        }
    }
}
