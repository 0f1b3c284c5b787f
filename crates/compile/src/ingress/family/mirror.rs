//! Mirroring.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, keys, types};

keys! { Annotation {
    MIRROR_TARGET: String =
        annotation("mirror-target", types::chars(Class::Regex), "URL that gets a copy of each request.")
            .ingress().risk(Risk::High).not_yet();
    MIRROR_HOST: String =
        annotation("mirror-host", types::chars(Class::Regex), "Host header of the copies.")
            .ingress().risk(Risk::High).not_yet();
    MIRROR_REQUEST_BODY: bool =
        annotation("mirror-request-body", types::ON_OFF, "Whether copies carry the body.")
            .default("on").ingress().not_yet();
} }
