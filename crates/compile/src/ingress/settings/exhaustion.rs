//! Bounds on what clients can use up. Keys of Headgate alone.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use headgate_table::ClientLimits;

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::registry::{keys, types};

keys! { Setting {
    CLIENT_BODY_MIN_RATE: i64 =
        setting("client-body-min-rate", types::INT, "128",
            "With proxy-request-buffering, the least average of a request body after its first 30 s, bytes a second; then 408. 0: any.");
    CLIENT_BODY_TEMP_MAX_SIZE: u64 =
        setting("client-body-temp-max-size", types::SIZE, "0",
            "Bytes of all temporary files; beyond, requests whose bodies need one get 503, and responses wait for their clients. 0: half of what is free at the start, and at least one body.");
    MAX_CONNECTIONS_PER_CLIENT: i64 =
        setting("max-connections-per-client", types::INT, "0",
            "Connections of one client address, IPv6 by /64; beyond, new ones are closed. 0: no limit until nine tenths of all connections are open.");
    MAX_TLS_HANDSHAKES: i64 =
        setting("max-tls-handshakes", types::INT, "0",
            "Connections in their TLS handshake; beyond, the one that has waited longest is closed, of the same client if that has more than an eighth of them. 0: a quarter of the connections that may be open.");
    MAX_QUEUE_TIME: Duration =
        setting("max-queue-time", types::DURATION, "1s",
            "How long requests may wait until a worker has time for them; beyond, new requests get 503, and most new connections are reset. 0: any time.");
} }

/// `limits` with these bounds.
pub(super) fn bound(limits: ClientLimits, source: &mut Source<'_>) -> ClientLimits {
    ClientLimits {
        body_min_rate: NonZeroU32::new(source.count(&CLIENT_BODY_MIN_RATE)),
        temporary_files: NonZeroU64::new(source.get(&CLIENT_BODY_TEMP_MAX_SIZE)),
        connections_per_client: NonZeroU32::new(source.count(&MAX_CONNECTIONS_PER_CLIENT)),
        handshakes: NonZeroU32::new(source.count(&MAX_TLS_HANDSHAKES)),
        queue_time: Some(source.get(&MAX_QUEUE_TIME)).filter(|time| !time.is_zero()),
        ..limits
    }
}
