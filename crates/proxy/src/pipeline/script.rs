//! The script of a route (behaviour.md 1.16): steps in the order of nginx's rewrite module, and the level of edits that its
//! conditions select.

pub(super) mod input;
mod media_types;
pub(super) mod output;

use bytes::Bytes;
use headgate_table::{
    AfterRewrite, Assigned, Captures, Condition, FixedResponse, PathRewrite, Pattern, Script, Step,
    Template, ValueTest,
};
use http::StatusCode;

use super::{redirect, rewrite};
use crate::request::Context;
use crate::request::path::{self, Slashes};
use crate::respond::{FixedText, LocalResponse};
use crate::values::Matched;

/// How the steps of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The request goes on.
    Proceed,
    /// It goes on without the rewrite of the route.
    Broke,
    /// The path changed: the route is looked up again, unless this one rewrites the path once more.
    Changed,
    /// The path changed, and the route is looked up again at once.
    Moved,
}

/// What the steps of a request came to.
pub(super) struct Outcome {
    /// The level of edits, in the script.
    pub(super) level: usize,
    /// The response if a step responds.
    pub(super) ended: Result<Ended, LocalResponse>,
}

/// Runs the steps of `script` for a request.
pub(super) fn run(context: &mut Context<'_>, script: &Script) -> Outcome {
    let mut run = Run {
        context,
        script,
        level: 0,
        changed: false,
    };
    run.context.undecided.set(false);
    let ended = run.keep_path_groups();
    let ended = ended.and_then(|()| run.steps(&script.steps));
    let ended = ended.map(|flow| match flow {
        Flow::Next if run.changed => Ended::Changed,
        Flow::Next => Ended::Proceed,
        Flow::Break => Ended::Broke,
        Flow::Last => Ended::Moved,
    });
    Outcome {
        level: run.level,
        ended,
    }
}

/// What follows a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Last,
}

struct Run<'c, 'r, 's> {
    context: &'c mut Context<'r>,
    script: &'s Script,
    level: usize,
    /// The path was rewritten, and no later rewrite has kept the route.
    changed: bool,
}

impl Run<'_, '_, '_> {
    fn keep_path_groups(&mut self) -> Result<(), LocalResponse> {
        if self.script.path_patterns.is_empty() {
            return Ok(());
        }
        let path = self.context.path().to_vec();
        for pattern in &self.script.path_patterns {
            if self.matches(pattern, &path)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[Step]) -> Result<Flow, LocalResponse> {
        for step in steps {
            let flow = self.step(step);
            self.decided()?;
            match flow? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn step(&mut self, step: &Step) -> Result<Flow, LocalResponse> {
        match step {
            Step::Set { target, value } => {
                let value = self.context.expand(value, None);
                self.assign(target, value);
                Ok(Flow::Next)
            }
            Step::Rewrite(rewrite) => self.rewrite(rewrite),
            Step::Return(response) => Err(self.response(response)),
            // The route stays, even if the path was rewritten before.
            Step::Break => Ok(Flow::Break),
            Step::If {
                condition,
                steps,
                level,
            } => {
                if !self.holds(condition)? {
                    return Ok(Flow::Next);
                }
                self.level = *level;
                self.steps(steps)
            }
        }
    }

    fn assign(&mut self, target: &Assigned, value: Vec<u8>) {
        let locals = self.context.locals_mut();
        match target {
            Assigned::Local(name) => locals.set(name, value),
            Assigned::Args => {
                locals.query = Some(String::from_utf8_lossy(&value).into_owned());
            }
        }
    }

    fn holds(&mut self, condition: &Condition) -> Result<bool, LocalResponse> {
        let value = self.context.expand(&condition.value, None);
        let holds = match &condition.test {
            ValueTest::True => !value.is_empty() && value != b"0",
            ValueTest::Equals(text) => value == self.context.expand(text, None),
            ValueTest::Matches(pattern) => self.matches(pattern, &value)?.is_some(),
        };
        self.decided()?;
        Ok(holds != condition.negated)
    }

    /// Responds with 500 if a value that a step read could not be found out: the step may protect.
    fn decided(&self) -> Result<(), LocalResponse> {
        if self.context.undecided.get() {
            return Err(LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Ok(())
    }

    /// The groups if `pattern` matches; they are kept.
    ///
    /// # Errors
    /// 500 if it cannot be decided within the steps of the engine: a condition may protect.
    fn matches(
        &mut self,
        pattern: &Pattern,
        text: &[u8],
    ) -> Result<Option<Captures>, LocalResponse> {
        let found = pattern.search(text);
        let found = found.map_err(|_| LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR))?;
        if let Some(captures) = &found {
            self.context.locals_mut().keep(pattern, captures, text);
        }
        Ok(found)
    }

    fn rewrite(&mut self, rewrite: &PathRewrite) -> Result<Flow, LocalResponse> {
        let old = self.context.path().to_vec();
        let Some(captures) = self.matches(&rewrite.pattern, &old)? else {
            return Ok(Flow::Next);
        };
        let matched = Matched {
            captures,
            path: &old,
        };
        let query = self.new_query(rewrite, &matched);
        if let AfterRewrite::Redirect(status) = rewrite.then {
            return Err(self.redirect(status, rewrite, (&matched, &query)));
        }
        let mut filled = self.context.expand(&rewrite.path, Some(&matched));
        if filled.first() != Some(&b'/') {
            filled.insert(0, b'/');
        }
        let resolved = path::resolved(&filled, Slashes::Keep);
        let resolved = resolved.map_err(|_| LocalResponse::Page(StatusCode::BAD_REQUEST))?;
        let locals = self.context.locals_mut();
        locals.path = Some(resolved);
        locals.query = Some(query);
        self.changed = rewrite.then != AfterRewrite::Break;
        Ok(match rewrite.then {
            AfterRewrite::Last => Flow::Last,
            AfterRewrite::Break => Flow::Break,
            AfterRewrite::Continue | AfterRewrite::Redirect(_) => Flow::Next,
        })
    }

    /// The query after a rewrite: its own, and then that of the request.
    fn new_query(&self, rewrite: &PathRewrite, matched: &Matched<'_>) -> String {
        let old = self.context.query().filter(|_| rewrite.keeps_query);
        let Some(query) = &rewrite.query else {
            return old.unwrap_or_default().to_owned();
        };
        let mut query = rewrite::url(self.context, query, Some(matched));
        if let Some(old) = old.filter(|old| !old.is_empty()) {
            query.push('&');
            query.push_str(old);
        }
        query
    }

    fn redirect(
        &self,
        status: StatusCode,
        rewrite: &PathRewrite,
        (matched, query): (&Matched<'_>, &str),
    ) -> LocalResponse {
        let mut location = rewrite::url(self.context, &rewrite.path, Some(matched));
        if !query.is_empty() {
            location.push('?');
            location.push_str(query);
        }
        self.to(status, location)
    }

    /// A redirect; a location that is only a path is made absolute as in nginx.
    fn to(&self, status: StatusCode, location: String) -> LocalResponse {
        let location = if location.starts_with('/') {
            redirect::absolute(self.context, location)
        } else {
            location
        };
        redirect::to_location(status, location)
    }

    fn response(&self, response: &FixedResponse) -> LocalResponse {
        match response {
            FixedResponse::Page(status) => LocalResponse::Page(*status),
            FixedResponse::Close => LocalResponse::Close,
            FixedResponse::Redirect(status, to) => {
                self.to(*status, rewrite::url(self.context, to, None))
            }
            FixedResponse::Text(status, text) => self.text(*status, text),
        }
    }

    fn text(&self, status: StatusCode, text: &Template) -> LocalResponse {
        let level = self.script.levels.get(self.level);
        let default = level.and_then(|level| level.default_type.as_ref());
        let default = default.unwrap_or(&self.context.settings.default_type);
        let known = media_types::of_path(self.context.path());
        LocalResponse::Fixed(Box::new(FixedText {
            status,
            media_type: known.unwrap_or_else(|| default.clone()),
            body: Bytes::from(self.context.expand(text, None)),
        }))
    }
}

#[cfg(test)]
mod tests;
