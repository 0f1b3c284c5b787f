//! What is known besides objects.

use std::sync::Arc;

use headgate_compile::Fact;

/// Facts as they are known, and what of them is to be told.
#[derive(Default)]
pub(super) struct Facts {
    /// `None`: not found out.
    classes_readable: Option<bool>,
    zone: Option<Arc<str>>,
    untold: Vec<Fact>,
}

impl Facts {
    /// Those that are known.
    pub(super) fn known(&self) -> Vec<Fact> {
        let readable = self.classes_readable.map(Fact::ClassesReadable);
        let zone = self.zone.clone().map(|zone| Fact::Zone(Some(zone)));
        readable.into_iter().chain(zone).collect()
    }

    /// Whether one is to be told.
    pub(super) fn has_news(&self) -> bool {
        !self.untold.is_empty()
    }

    /// What is to be told.
    pub(super) fn take(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.untold)
    }

    /// Classes can be read, or not.
    pub(super) fn learn_readable(&mut self, readable: bool) {
        if self.classes_readable.replace(readable) != Some(readable) {
            self.untold.push(Fact::ClassesReadable(readable));
        }
    }

    /// The zone is this.
    pub(super) fn learn_zone(&mut self, zone: Option<Arc<str>>) {
        if self.zone != zone {
            self.zone.clone_from(&zone);
            self.untold.push(Fact::Zone(zone));
        }
    }

    /// An earlier run knew this. It is told, and counts as not found out.
    pub(super) fn seed(&mut self, fact: Fact) {
        match fact {
            Fact::ClassesReadable(_) if self.classes_readable.is_none() => self.untold.push(fact),
            Fact::Zone(zone) if self.zone.is_none() => self.learn_zone(zone),
            Fact::ClassesReadable(_) | Fact::Zone(_) => {}
        }
    }
}
