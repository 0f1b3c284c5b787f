//! Faults and disturbances that a test can request.

use std::time::Duration;

use super::request_info::RequestInfo;

/// A fault for later requests. It matches every request until narrowed.
///
/// ```
/// use headgate_apiserver::{Effect, Fault};
///
/// let fault = Fault::new(Effect::Status(429)).verb("list").resource("ingresses").times(2);
/// # let _ = fault;
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    verb: Option<String>,
    resource: Option<String>,
    user: Option<String>,
    skip: usize,
    times: Option<usize>,
}

/// Effect of a fault on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Closes the connection without a response.
    Drop,
    /// Responds after this time.
    Delay(Duration),
    /// Responds with this status and a `Status` object; 429 and 503 with `Retry-After: 1`.
    Status(u16),
    /// Responds with this status, a `Status` object, and `Retry-After` of these seconds.
    RetryAfter(u16, u32),
    /// Responds with 200 and bytes that are not JSON.
    Garbage,
    /// Responds with the first half of the body, then closes the connection.
    Truncate,
    /// Never responds, and keeps the connection open.
    Hang,
    /// Responds with the head of a watch, and sends no events.
    Silence,
}

/// Effect on open watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// They end, as at their timeout.
    Close,
    /// Their connections break in the middle of an event.
    Abort,
    /// They go silent without closing.
    Silence,
    /// They send bytes that are not JSON, and end.
    Garbage,
    /// They send an ERROR event with this status code and end; 410: the version is too old.
    Error(u16),
    /// They send a bookmark, if they requested bookmarks.
    Bookmark,
    /// They send each of the next events twice.
    Duplicate(usize),
    /// They send the last events once more, in their order.
    Replay(usize),
    /// They delay this many events, and send them in reverse order.
    Reorder(usize),
}

impl Fault {
    /// A fault for every request.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            verb: None,
            resource: None,
            user: None,
            skip: 0,
            times: None,
        }
    }

    /// Only for this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only for this resource: `ingresses`, `ingresses/status`.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only for this user.
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Spares the first `count` matching requests.
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Ends after `count` requests.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    fn matches(&self, user: &str, info: &RequestInfo) -> bool {
        let is = |filter: &Option<String>, value: &str| {
            filter.as_ref().is_none_or(|filter| filter == value)
        };
        is(&self.verb, info.verb)
            && is(&self.resource, &info.resource())
            && is(&self.user, user)
            && self.times != Some(0)
    }
}

/// The effect of the first fault that matches, which is counted.
pub(crate) fn first_effect(faults: &mut [Fault], user: &str, info: &RequestInfo) -> Option<Effect> {
    for fault in faults {
        if !fault.matches(user, info) {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.times = fault.times.map(|times| times - 1);
        return Some(fault.effect.clone());
    }
    None
}
