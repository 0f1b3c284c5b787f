//! The end of a request, whichever way it comes.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::WorkerTelemetry;
use crate::record::Record;

/// A request that is being served. Dropping this writes its record to log and metrics, once: so that a client that goes
/// away is recorded too.
pub(crate) struct Recording {
    record: Box<Record>,
    telemetry: Rc<WorkerTelemetry>,
}

impl Recording {
    /// `record`, to be written to `telemetry`.
    pub(crate) fn new(record: Record, telemetry: Rc<WorkerTelemetry>) -> Self {
        Self {
            record: Box::new(record),
            telemetry,
        }
    }
}

impl Deref for Recording {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl DerefMut for Recording {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.record
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.telemetry.observe(&self.record);
    }
}
