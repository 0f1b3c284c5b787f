//! Events of `events.k8s.io`, which are core Events with other field names.

use serde_json::{Map, Value};

/// Core name, newer name.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// From the core form.
pub(crate) fn to_new_event(mut event: Map<String, Value>) -> Map<String, Value> {
    for (core, new) in NAMES {
        if let Some(value) = event.remove(*core) {
            event.insert((*new).to_owned(), value);
        }
    }
    event
}

/// To the core form.
pub(crate) fn to_core_event(mut event: Map<String, Value>) -> Map<String, Value> {
    for (core, new) in NAMES {
        if let Some(value) = event.remove(*new) {
            event.insert((*core).to_owned(), value);
        }
    }
    event
}
