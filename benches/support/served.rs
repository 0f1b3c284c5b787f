//! A cluster that is served: a change of it up to the swapped table.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_compile::{Compiled, Options, Snapshot, compile};
use headgate_table::{Certificate, Publisher, RoutingTable, publisher};

/// The state of the process.
pub(crate) struct Served {
    options: Options,
    fallback: Arc<Certificate>,
    snapshot: Snapshot,
    compiled: Option<Compiled>,
    publisher: Publisher,
}

impl Served {
    /// Compiles everything.
    pub(crate) fn new(mut snapshot: Snapshot, options: Options) -> Self {
        let fallback = super::fallback();
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &fallback);
        let (publisher, _reader) = publisher(compiled.table().clone());
        Self {
            options,
            fallback,
            snapshot,
            compiled: Some(compiled),
            publisher,
        }
    }

    /// The time from a change to the swapped table.
    pub(crate) fn time(&mut self, change: impl FnOnce(&mut Snapshot)) -> Duration {
        let former = self.compiled.take();
        let start = Instant::now();
        let compiled = self.swap(former, change);
        let time = start.elapsed();
        self.compiled = Some(compiled);
        time
    }

    /// Not inlined, so that profilers can count it alone.
    #[inline(never)]
    fn swap(&mut self, former: Option<Compiled>, change: impl FnOnce(&mut Snapshot)) -> Compiled {
        change(&mut self.snapshot);
        let changes = self.snapshot.take_changes();
        let (snapshot, options) = (&self.snapshot, &self.options);
        let compiled = compile(snapshot, &changes, former, options, &self.fallback);
        // The last reference frees the parts of the former table that the new one does not share.
        drop(black_box(self.publisher.publish(compiled.table().clone())));
        compiled
    }

    /// The table in service.
    pub(crate) fn table(&self) -> &Arc<RoutingTable> {
        let compiled = self.compiled.as_ref();
        compiled.expect("put back after each change").table()
    }

    /// The table alone: everything else is freed.
    pub(crate) fn into_table(self) -> Arc<RoutingTable> {
        self.table().clone()
    }
}
