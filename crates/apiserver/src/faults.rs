//! Misbehaviour on command.

use std::time::Duration;

use super::asked::Asked;

/// A fault for requests to come. It matches all requests, for ever, until narrowed.
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

/// What a fault does to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Closes the connection without an answer.
    Drop,
    /// Answers after this time.
    Delay(Duration),
    /// Answers with this status and a `Status` object; 429 and 503 with `Retry-After: 1`.
    Status(u16),
    /// Answers with this status, a `Status` object, and `Retry-After` of these seconds.
    RetryAfter(u16, u32),
    /// Answers 200 with bytes that are no JSON.
    Garbage,
    /// Answers with the first half of the body, then closes the connection.
    Truncate,
    /// Never answers and keeps the connection open.
    Hang,
    /// Answers the head of a watch and then nothing, ever.
    Silence,
}

/// What happens to the watches that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// They end, as at their timeout.
    Close,
    /// Their connections break in the middle of an event.
    Abort,
    /// They go silent without closing.
    Silence,
    /// They send bytes that are no JSON and end.
    Garbage,
    /// They send an ERROR event with this status code and end; 410: the version is too old.
    Error(u16),
    /// They send a bookmark, if they asked for bookmarks.
    Bookmark,
    /// They send each of the next events twice.
    Duplicate(usize),
    /// They send the last events once more, in their order.
    Replay(usize),
    /// They hold back the next events until so many are there, and send them in reverse order.
    Reorder(usize),
}

impl Fault {
    /// A fault of every request.
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

    /// Only of this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only of this resource: `ingresses`, `ingresses/status`.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only of this user.
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Lets the first so many requests pass that would match.
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Ends after so many requests.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    fn matches(&self, user: &str, asked: &Asked) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.verb, asked.verb)
            && is(&self.resource, &asked.resource())
            && is(&self.user, user)
            && self.times != Some(0)
    }
}

/// The effect of the first fault that matches, which is counted.
pub(crate) fn strike(faults: &mut [Fault], user: &str, asked: &Asked) -> Option<Effect> {
    for fault in faults {
        if !fault.matches(user, asked) {
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
