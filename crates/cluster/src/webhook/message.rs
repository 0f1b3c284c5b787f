//! AdmissionReview v1: request and response.

use std::borrow::Cow;

use k8s_openapi::api::networking::v1::Ingress;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Group, version and kind of the reviewed objects.
const REVIEWED: [&str; 3] = ["networking.k8s.io", "v1", "Ingress"];

/// The request of an AdmissionReview.
#[derive(Debug)]
pub(super) struct ReviewRequest {
    /// Repeated in the response.
    pub(super) uid: String,
    pub(super) subject: Subject,
}

/// The reviewed object.
#[derive(Debug)]
pub(super) enum Subject {
    /// The Ingress as it would be stored.
    Ingress(Box<Ingress>),
    /// Nothing would be stored.
    Deletion,
    /// It is not a valid Ingress; why.
    Invalid(String),
}

/// Why a body is not a supported AdmissionReview.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidReview {
    #[error("the body is not an AdmissionReview: {0}")]
    Undecodable(String),
    /// Another version of AdmissionReview, or another kind of object.
    #[error(
        "the body is not an admission.k8s.io/v1 AdmissionReview of a networking.k8s.io/v1 Ingress"
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

/// Without `oldObject`: a review compares with the served state, not with the request's.
#[derive(Deserialize)]
struct Request<'b> {
    uid: String,
    #[serde(borrow, default)]
    kind: GroupVersionKind<'b>,
    #[serde(borrow, default)]
    operation: Cow<'b, str>,
    #[serde(borrow, default)]
    object: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind<'b> {
    #[serde(borrow)]
    group: Cow<'b, str>,
    #[serde(borrow)]
    version: Cow<'b, str>,
    #[serde(borrow)]
    kind: Cow<'b, str>,
}

impl ReviewRequest {
    pub(super) fn read(body: &[u8]) -> Result<Self, InvalidReview> {
        let undecodable = |error: serde_json::Error| InvalidReview::Undecodable(error.to_string());
        // serde would decode a struct from an array as well.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(InvalidReview::Undecodable("not a JSON object".into()));
        }
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(undecodable)?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(InvalidReview::Unsupported);
        }
        let request = envelope.request.ok_or(InvalidReview::Unsupported)?;
        let request: Request<'_> = serde_json::from_str(request.get()).map_err(undecodable)?;
        let GroupVersionKind {
            group,
            version,
            kind,
        } = &request.kind;
        if [&**group, &**version, &**kind] != REVIEWED {
            return Err(InvalidReview::Unsupported);
        }
        let subject = match request.object {
            _ if request.operation == "DELETE" => Subject::Deletion,
            None => Subject::Invalid("the request has no object".into()),
            Some(object) => match serde_json::from_str(object.get()) {
                Ok(ingress) => Subject::Ingress(Box::new(ingress)),
                Err(error) => Subject::Invalid(format!("the object is not an Ingress: {error}")),
            },
        };
        Ok(Self {
            uid: request.uid,
            subject,
        })
    }
}

/// An AdmissionReview with its response.
#[derive(Debug, Serialize)]
pub(super) struct ReviewResponse<'a> {
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

impl<'a> ReviewResponse<'a> {
    /// The response to the request with this `uid`: denied for a reason, or allowed.
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
