//! When another endpoint is tried.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{NextUpstream, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    PROXY_NEXT_UPSTREAM: NextUpstream =
        annotation("proxy-next-upstream", types::NEXT_UPSTREAM, "On what another endpoint is tried.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM).risk(Risk::Medium);
    PROXY_NEXT_UPSTREAM_TIMEOUT: i64 =
        annotation("proxy-next-upstream-timeout", types::INT, "Seconds for all tries; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TIMEOUT);
    PROXY_NEXT_UPSTREAM_TRIES: i64 =
        annotation("proxy-next-upstream-tries", types::INT, "Tries in all; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TRIES);
} }
