//! Steps in the order of nginx's rewrite module, and edits that depend on their conditions (behaviour.md 1.16).

mod edits;
mod expires;

use std::sync::Arc;

use http::{HeaderName, StatusCode};

pub use self::edits::{AddedField, FieldChoice, InputEdit, Level, OutputEdit};
pub use self::expires::{Expires, ExpiresTime};
use crate::{FieldTemplate, Pattern, PatternError, Piece, Template, Variable};

/// What runs for every request of a route before its redirects, and the edits of requests and responses that it selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Expressions of the path; the groups of the first that matches are `$1` to `$9` for the first step.
    pub path_patterns: Box<[Arc<Pattern>]>,
    /// In order.
    pub steps: Box<[Step]>,
    /// The edits while no condition has held, then those of each [`Step::If`] by its `level`. Never empty.
    pub levels: Box<[Level]>,
    /// Fields for the backend, in place of those of the client and of the proxy; an empty value removes the field.
    pub request_fields: Box<[(HeaderName, FieldTemplate)]>,
    /// Fields of the backend's response that clients do not get, in place of those of the settings.
    pub hidden_fields: Option<Box<[HeaderName]>>,
    /// Fields that clients get although the proxy would keep them.
    pub passed_fields: Box<[HeaderName]>,
}

impl Default for Script {
    /// Does nothing.
    fn default() -> Self {
        Self {
            path_patterns: Box::default(),
            steps: Box::default(),
            levels: [Level::default()].into(),
            request_fields: Box::default(),
            hidden_fields: None,
            passed_fields: Box::default(),
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Gives a variable a value.
    Set {
        /// The variable.
        target: Assigned,
        /// Its value.
        value: Template,
    },
    /// Replaces the path if it matches.
    Rewrite(PathRewrite),
    /// Responds; nothing else of the route happens.
    Return(FixedResponse),
    /// Ends the steps, and the rewrite of the route.
    Break,
    /// Runs steps if a condition holds.
    If {
        /// The condition.
        condition: Condition,
        /// What runs if it holds.
        steps: Box<[Self]>,
        /// The edits from then on, in [`Script::levels`].
        level: usize,
    },
}

/// What a step assigns to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// A variable of the script.
    Local(Arc<str>),
    /// `$args`: the query.
    Args,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The value that is tested.
    pub value: Template,
    /// The test.
    pub test: ValueTest,
    /// It holds if the test fails.
    pub negated: bool,
}

/// The test of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    /// Neither empty nor `0`.
    True,
    /// Equal to a text.
    Equals(Template),
    /// Matches an expression, whose groups are `$1` to `$9` afterwards.
    Matches(Arc<Pattern>),
}

/// A rewrite of the path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathRewrite {
    /// Matched against the decoded path.
    pub pattern: Arc<Pattern>,
    /// The new path, without its query, or a URL.
    pub path: Template,
    /// The new query.
    pub query: Option<Template>,
    /// Append the query of the request.
    pub keeps_query: bool,
    /// What follows.
    pub then: AfterRewrite,
}

/// What follows a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRewrite {
    /// The next step; afterwards, the route of the new path.
    Continue,
    /// The route of the new path.
    Last,
    /// This route, without further rewrites.
    Break,
    /// A redirect to the new path or URL.
    Redirect(StatusCode),
}

/// A response without a backend.
#[derive(Clone, Debug, PartialEq)]
pub enum FixedResponse {
    /// The page of a status.
    Page(StatusCode),
    /// A status with a body.
    Text(StatusCode, Template),
    /// A redirect.
    Redirect(StatusCode, Template),
    /// The connection is closed without a response.
    Close,
}

impl Script {
    /// The templates of responses at any level.
    pub fn response_templates(&self) -> impl Iterator<Item = &Template> {
        self.levels.iter().flat_map(Level::response_templates)
    }

    /// Whether it does nothing before the request is forwarded but to select edits.
    pub fn is_static(&self) -> bool {
        self.steps.is_empty()
    }
}

impl PathRewrite {
    /// The rewrite of paths that match `source`.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn pattern(source: &str) -> Result<Arc<Pattern>, PatternError> {
        Pattern::new(source).map(Arc::new)
    }

    /// Whether the new path is a URL, so that it is redirected to.
    pub fn is_url(path: &Template) -> bool {
        match path.pieces().first() {
            Some(Piece::Text(text)) => text.starts_with("http://") || text.starts_with("https://"),
            Some(Piece::Variable(variable)) => *variable == Variable::Scheme,
            _ => false,
        }
    }
}
