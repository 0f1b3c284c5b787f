//! The logs of single routes.

use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::registry::{keys, types};

keys! { Annotation {
    ENABLE_ACCESS_LOG: bool =
        annotation("enable-access-log", types::BOOL, "false keeps requests out of the access log.")
            .default("true");
    ENABLE_REWRITE_LOG: bool =
        annotation("enable-rewrite-log", types::BOOL, "There is no rewrite log.")
            .default("false").inert();
} }
