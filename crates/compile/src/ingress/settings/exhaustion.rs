//! Bounds on what clients can use up. Keys of Headgate alone.

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table::ClientLimits;

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::registry::{keys, types};

keys! { Setting {
    MAX_CONNECTIONS_PER_CLIENT: i64 =
        setting("max-connections-per-client", types::INT, "0",
            "Connections of one client address, IPv6 by /64; beyond, new ones are closed. 0: no limit until nine tenths of all connections are open.");
    MAX_TLS_HANDSHAKES: i64 =
        setting("max-tls-handshakes", types::INT, "0",
            "Connections in their TLS handshake; beyond, the one that has waited longest is closed. 0: a quarter of the connections that may be open.");
    MAX_QUEUE_TIME: Duration =
        setting("max-queue-time", types::DURATION, "1s",
            "How long requests may wait until a worker has time for them; beyond, it accepts no connections, and new requests get 503. 0: any time.");
} }

/// `limits` with these bounds.
pub(super) fn bound(limits: ClientLimits, source: &mut Source<'_>) -> ClientLimits {
    ClientLimits {
        connections_per_client: NonZeroU32::new(source.count(&MAX_CONNECTIONS_PER_CLIENT)),
        handshakes: NonZeroU32::new(source.count(&MAX_TLS_HANDSHAKES)),
        queue_time: Some(source.get(&MAX_QUEUE_TIME)).filter(|time| !time.is_zero()),
        ..limits
    }
}
