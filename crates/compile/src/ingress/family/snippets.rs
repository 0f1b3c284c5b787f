//! Raw nginx text.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Protection, keys, types};

keys! { Annotation {
    // A snippet may hold a deny or an authentication, so without it the route must not be open.
    CONFIGURATION_SNIPPET: String =
        annotation("configuration-snippet", types::RAW, "Raw nginx text of the location.")
            .risk(Risk::Critical).not_yet().protects(Protection::Routes);
    SERVER_SNIPPET: String =
        annotation("server-snippet", types::RAW, "Raw nginx text of the host.")
            .ingress().risk(Risk::Critical).not_yet().protects(Protection::Routes);
    STREAM_SNIPPET: String =
        annotation("stream-snippet", types::RAW, "Raw nginx text for TCP and UDP; no HTTP route depends on it.")
            .ingress().risk(Risk::Critical).not_yet();
} }
