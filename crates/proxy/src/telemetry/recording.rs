//! Recording of requests, however they end.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::WorkerTelemetry;
use crate::record::Record;

/// The record of a request in progress. Dropping it writes the record to log and metrics, once; so a request is recorded
/// also if its client closes the connection.
pub(crate) struct Recording {
    record: Box<Record>,
    telemetry: Rc<WorkerTelemetry>,
    is_discarded: bool,
}

impl Recording {
    /// Writes `record` to `telemetry` at the end.
    pub(crate) fn new(record: Record, telemetry: Rc<WorkerTelemetry>) -> Self {
        Self {
            record: Box::new(record),
            telemetry,
            is_discarded: false,
        }
    }

    /// Nothing will be written: the request is not one of a client.
    pub(crate) fn discard(&mut self) {
        self.is_discarded = true;
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
        if !self.is_discarded {
            self.telemetry.observe(&self.record);
        }
    }
}
