//! AdmissionReview v1: the question and the answer.

use std::borrow::Cow;

use k8s_openapi::api::networking::v1::Ingress;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Group, version and kind of what is reviewed.
const REVIEWED: [&str; 3] = ["networking.k8s.io", "v1", "Ingress"];

/// What a body asks.
#[derive(Debug)]
pub(super) struct Question {
    /// To be repeated in the answer.
    pub(super) uid: String,
    /// What to judge.
    pub(super) subject: Subject,
}

/// What a question is about.
#[derive(Debug)]
pub(super) enum Subject {
    /// The Ingress as it would be stored.
    Ingress(Box<Ingress>),
    /// Nothing that would be stored: a deletion.
    Nothing,
    /// It says to be an Ingress and is none; why.
    Unreadable(String),
}

/// Why a body is no question.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoQuestion {
    /// No JSON of that shape.
    #[error("the body is no AdmissionReview: {0}")]
    Undecodable(String),
    /// Another question than those that are answered here.
    #[error(
        "this is no AdmissionReview of admission.k8s.io/v1 with a networking.k8s.io/v1 Ingress"
    )]
    Unsupported,
}

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(borrow, default, rename = "apiVersion")]
    api_version: Cow<'b, str>,
    #[serde(borrow, default)]
    kind: Cow<'b, str>,
    #[serde(borrow, default)]
    request: Option<&'b RawValue>,
}

/// `oldObject` is ignored: a review compares with what is served, not with what the request says.
#[derive(Deserialize)]
struct Request<'b> {
    uid: String,
    #[serde(borrow, default)]
    kind: Reviewed<'b>,
    #[serde(borrow, default)]
    operation: Cow<'b, str>,
    #[serde(borrow, default)]
    object: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reviewed<'b> {
    #[serde(borrow)]
    group: Cow<'b, str>,
    #[serde(borrow)]
    version: Cow<'b, str>,
    #[serde(borrow)]
    kind: Cow<'b, str>,
}

impl Question {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no question for this webhook.
    pub(super) fn read(body: &[u8]) -> Result<Self, NoQuestion> {
        let undecodable = |error: serde_json::Error| NoQuestion::Undecodable(error.to_string());
        // Otherwise a list would do for a structure.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(NoQuestion::Undecodable("it is no JSON object".into()));
        }
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(undecodable)?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(NoQuestion::Unsupported);
        }
        let request = envelope.request.ok_or(NoQuestion::Unsupported)?;
        let request: Request<'_> = serde_json::from_str(request.get()).map_err(undecodable)?;
        let Reviewed {
            group,
            version,
            kind,
        } = &request.kind;
        if [&**group, &**version, &**kind] != REVIEWED {
            return Err(NoQuestion::Unsupported);
        }
        let subject = match request.object {
            _ if request.operation == "DELETE" => Subject::Nothing,
            None => Subject::Unreadable("the request holds no object".into()),
            Some(object) => match serde_json::from_str(object.get()) {
                Ok(ingress) => Subject::Ingress(Box::new(ingress)),
                Err(error) => Subject::Unreadable(format!("the object is no Ingress: {error}")),
            },
        };
        Ok(Self {
            uid: request.uid,
            subject,
        })
    }
}

/// An answer, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Debug, Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: &'a str,
}

impl<'a> Answer<'a> {
    /// The answer to the question with this `uid`: why the object is denied, or that it is allowed.
    pub(super) fn new(uid: &'a str, denied: Option<&'a str>, warnings: &'a [String]) -> Self {
        let status = denied.map(|message| Status {
            status: "Failure",
            code: 400,
            reason: "BadRequest",
            message,
        });
        Self {
            api_version: API_VERSION,
            kind: KIND,
            response: Response {
                uid,
                allowed: denied.is_none(),
                status,
                warnings,
            },
        }
    }
}
