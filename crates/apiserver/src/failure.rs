//! Errors, as the `Status` objects of the API.

use serde_json::{Value, json};

use super::kinds::Kind;

/// `retryAfterSeconds` where kube-apiserver sets it.
const RETRY_AFTER: u32 = 1;

/// The error of a request.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// HTTP status.
    pub(crate) code: u16,
    /// `reason` of the Status; empty: none.
    pub(crate) reason: String,
    /// `message` of the Status.
    pub(crate) message: String,
    /// `details` of the Status.
    pub(crate) details: Option<Value>,
    /// `Retry-After`, seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Failure {
    /// An error without details.
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    /// 400 for a malformed request.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404 for an unknown path.
    pub(crate) fn no_such_path() -> Self {
        Self {
            details: Some(json!({})),
            ..Self::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )
        }
    }

    /// 404 for an object.
    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    /// 409 for an existing name.
    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// 409 for a write over a newer version.
    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 409 for a stale `resourceVersion`.
    pub(crate) fn stale(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 410 for a compacted version.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 504 for a version in the future.
    pub(crate) fn too_new(requested: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {requested}, current: {current}");
        Self {
            details: Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": RETRY_AFTER,
            })),
            retry_after: Some(RETRY_AFTER),
            ..Self::new(504, "Timeout", message)
        }
    }

    /// 405.
    pub(crate) fn no_such_method() -> Self {
        Self {
            details: Some(json!({})),
            ..Self::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        }
    }

    /// 422 with its causes: field, reason, message.
    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let listed_causes: Vec<String> = causes.iter().map(Cause::to_string).collect();
        let listed_causes = match listed_causes.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!(
            "{} {name:?} is invalid: {listed_causes}",
            kind.qualified_kind()
        );
        let listed: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        Self {
            details: Some(
                json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": listed}),
            ),
            ..Self::new(422, "Invalid", message)
        }
    }

    /// 422 for options of a request.
    pub(crate) fn invalid_options(field: &str, message: &str) -> Self {
        Self {
            details: Some(json!({
                "group": "meta.k8s.io",
                "kind": "ListOptions",
                "causes": [{"reason": "FieldValueForbidden", "message": format!("Forbidden: {message}"), "field": field}],
            })),
            ..Self::new(
                422,
                "Invalid",
                format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {message}"),
            )
        }
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 500.
    pub(crate) fn internal(message: &str) -> Self {
        Self {
            details: Some(json!({"causes": [{"message": message}]})),
            ..Self::new(
                500,
                "InternalError",
                format!("Internal error occurred: {message}"),
            )
        }
    }

    /// The error of a fault.
    pub(crate) fn injected(code: u16, retry_after: Option<u32>) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: injected by a test"),
            404 => (
                "NotFound",
                "the server could not find the requested resource",
            ),
            409 => ("Conflict", "Operation cannot be fulfilled"),
            410 => ("Expired", "The resourceVersion is too old"),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted",
            ),
            _ => ("InternalError", "an error on the server"),
        };
        let details = retry_after.map(|seconds| json!({"retryAfterSeconds": seconds}));
        Self {
            details,
            retry_after,
            ..Self::new(code, reason, message)
        }
    }

    fn about(self, kind: &Kind, name: &str) -> Self {
        Self {
            details: Some(json!({"name": name, "group": kind.group, "kind": kind.plural})),
            ..self
        }
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.as_str().into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

/// An invalid field.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    field: String,
    reason: &'static str,
    message: String,
}

impl Cause {
    /// `Required value`.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Self {
            field: field.into(),
            reason: "FieldValueRequired",
            message,
        }
    }

    /// `Invalid value`.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    /// `Unsupported value`, with the supported ones.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        Self {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                supported.join(", ")
            ),
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}: {}", self.field, self.message)
    }
}
