//! Conditions of statuses (gateway-api.md 2.13, 2.14, 3.16, 5).

use std::sync::Arc;

/// A condition of the status of an object, of one of its listeners, or of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type, which statuses have once.
    pub kind: ConditionKind,
    /// `True` or `False`.
    pub holds: bool,
    /// One word, from the API.
    pub reason: &'static str,
    /// For people; empty if the reason says it all.
    pub message: Arc<str>,
}

/// The types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in the Gateway API")]
pub enum ConditionKind {
    Accepted,
    Conflicted,
    InsecureFrontendValidationMode,
    OverlappingTlsConfig,
    PartiallyInvalid,
    Programmed,
    ResolvedRefs,
    SupportedVersion,
}

impl ConditionKind {
    /// All of them.
    const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Conflicted,
        Self::InsecureFrontendValidationMode,
        Self::OverlappingTlsConfig,
        Self::PartiallyInvalid,
        Self::Programmed,
        Self::ResolvedRefs,
        Self::SupportedVersion,
    ];

    /// The one with this `type`; `None`: of other controllers.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The `type` of a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Conflicted => "Conflicted",
            Self::InsecureFrontendValidationMode => "InsecureFrontendValidationMode",
            Self::OverlappingTlsConfig => "OverlappingTLSConfig",
            Self::PartiallyInvalid => "PartiallyInvalid",
            Self::Programmed => "Programmed",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SupportedVersion => "SupportedVersion",
        }
    }
}

/// Why a condition does not hold; the first problem that is found is the one that the status has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl Condition {
    /// A condition that holds, for the reason of its own name, such as `Accepted`.
    pub(crate) fn holds(kind: ConditionKind) -> Self {
        Self::because(kind, kind.as_str())
    }

    /// A condition that holds for a reason.
    pub(crate) fn because(kind: ConditionKind, reason: &'static str) -> Self {
        Self {
            kind,
            holds: true,
            reason,
            message: Arc::default(),
        }
    }

    /// A condition that does not hold because of `problem`; without one it holds.
    pub(crate) fn unless(kind: ConditionKind, problem: Option<&Problem>) -> Self {
        match problem {
            None => Self::holds(kind),
            Some(problem) => Self {
                kind,
                holds: false,
                reason: problem.reason,
                message: (&*problem.message).into(),
            },
        }
    }
}
