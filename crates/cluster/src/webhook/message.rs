//! AdmissionReview v1: request and response.

use std::borrow::Cow;

use headgate_compile::objects::custom::{
    Delivered, GrpcRouteSpec, HeadgatePolicySpec, HttpRouteSpec, Spec,
};
use headgate_compile::{Object, Reviewed};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

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
    /// The object as it would be stored.
    Object(Reviewed),
    /// Nothing is reviewed: it is being deleted, or a CRD has fields of a later version.
    Unreviewed,
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
        "the body is not an admission.k8s.io/v1 AdmissionReview of a networking.k8s.io/v1 Ingress, a \
         gateway.networking.k8s.io/v1 HTTPRoute or GRPCRoute, or a headgate.dev/v1alpha1 HeadgatePolicy"
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
        let read: fn(&RawValue) -> Subject = match [&**group, &**version, &**kind] {
            ["networking.k8s.io", "v1", "Ingress"] => ingress,
            ["gateway.networking.k8s.io", "v1", "HTTPRoute"] => custom::<HttpRouteSpec>,
            ["gateway.networking.k8s.io", "v1", "GRPCRoute"] => custom::<GrpcRouteSpec>,
            ["headgate.dev", "v1alpha1", "HeadgatePolicy"] => custom::<HeadgatePolicySpec>,
            _ => return Err(InvalidReview::Unsupported),
        };
        let subject = match request.object {
            _ if request.operation == "DELETE" => Subject::Unreviewed,
            None => Subject::Invalid("the request has no object".into()),
            Some(object) if is_being_deleted(object) => Subject::Unreviewed,
            Some(object) => read(object),
        };
        Ok(Self {
            uid: request.uid,
            subject,
        })
    }
}

/// Whether an object has a deletion timestamp. It is only updated any more so that it can go.
fn is_being_deleted(object: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Marked {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        deletion_timestamp: Option<String>,
    }
    let marked = serde_json::from_str::<Marked>(object.get());
    marked.is_ok_and(|marked| marked.metadata.deletion_timestamp.is_some())
}

fn ingress(object: &RawValue) -> Subject {
    match serde_json::from_str(object.get()) {
        Ok(ingress) => Subject::Object(Reviewed::Ingress(Box::new(ingress))),
        Err(error) => Subject::Invalid(format!("the object is not an Ingress: {error}")),
    }
}

/// Its CRD has validated it, perhaps one of a later version, which is not to be refused here.
fn custom<S: Spec>(object: &RawValue) -> Subject {
    let read = serde_json::from_str::<Delivered<S>>(object.get());
    match read.map(Object::from) {
        Ok(Object::HttpRoute(route)) => Subject::Object(Reviewed::HttpRoute(route)),
        Ok(Object::GrpcRoute(route)) => Subject::Object(Reviewed::GrpcRoute(route)),
        Ok(Object::HeadgatePolicy(policy)) => Subject::Object(Reviewed::Policy(policy)),
        Ok(_) | Err(_) => Subject::Unreviewed,
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
