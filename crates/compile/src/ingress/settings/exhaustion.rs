//! Bounds on what clients can use up. Keys of Headgate alone.

use std::time::Duration;

use headgate_table::ClientLimits;

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::registry::{keys, types};

keys! { Setting {
    MAX_QUEUE_TIME: Duration =
        setting("max-queue-time", types::DURATION, "1s",
            "How long requests may wait until a worker has time for them; beyond, it accepts no connections, and new requests get 503. 0: any time.");
} }

/// `limits` with these bounds.
pub(super) fn bound(limits: ClientLimits, source: &Source<'_>) -> ClientLimits {
    ClientLimits {
        queue_time: Some(source.get(&MAX_QUEUE_TIME)).filter(|time| !time.is_zero()),
        ..limits
    }
}
