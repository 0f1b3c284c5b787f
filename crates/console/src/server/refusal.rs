//! Why a request gets no page.

use http::StatusCode;

use crate::Failed;

/// Status and reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) reason: std::borrow::Cow<'static, str>,
}

impl Refusal {
    pub(super) const NO_HOST: Self =
        Self::new(StatusCode::BAD_REQUEST, "the request has no valid Host");
    pub(super) const BAD_FIELD: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "Host, Origin or Sec-Fetch-Site is not valid, or there twice",
    );
    pub(super) const FOREIGN_HOST: Self = Self::new(
        StatusCode::MISDIRECTED_REQUEST,
        "Host is not a name of this console: use localhost, the address, or a name that it is configured with",
    );
    pub(super) const FOREIGN_ORIGIN: Self =
        Self::new(StatusCode::FORBIDDEN, "another site may only link here");
    pub(super) const METHOD: Self = Self::new(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD");
    pub(super) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "there is no such page");
    pub(super) const GONE: Self = Self::new(
        StatusCode::NOT_FOUND,
        "there is none with this name, or no longer",
    );
    pub(super) const TOKEN: Self =
        Self::new(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
    pub(super) const NO_STREAM: Self = Self::new(
        StatusCode::NOT_ACCEPTABLE,
        "this page does not change by itself",
    );
    pub(super) const STREAMS: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "as many pages are followed as may be: close one, and try again",
    );
    pub(super) const NO_URL: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "url is missing: give one such as https://shop.example/cart",
    );
    pub(super) const FORM: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "the form is too large, or did not arrive in time",
    );

    const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self {
            status,
            reason: std::borrow::Cow::Borrowed(reason),
        }
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        let (status, reason) = match failed {
            Failed::Invalid(reason) => (StatusCode::BAD_REQUEST, reason),
            Failed::Unavailable(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
            Failed::Internal(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason),
        };
        Self {
            status,
            reason: reason.into(),
        }
    }
}
