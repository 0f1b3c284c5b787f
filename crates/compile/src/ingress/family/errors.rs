//! Error pages of the default backend (behaviour.md 8).

use std::sync::Arc;

use headgate_table::{ErrorPages, UpstreamKey};
use http::StatusCode;

use crate::Options;
use crate::build::service_port::FIRST_PORT;
use crate::build::{ServicePort, Transport, UpstreamDraft};
use crate::finding::{Finding, Severity};
use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::registry::{OnInvalid, Reader, When, differences, keys, types};
use crate::ingress::settings::{self, Settings};
use crate::ingress::subject::Subject;

keys! { Annotation {
    CUSTOM_HTTP_ERRORS: Vec<StatusCode> =
        annotation("custom-http-errors", types::CODES, "Responses with these status codes come from the default backend instead.")
            .setting(&settings::security::CUSTOM_HTTP_ERRORS).refuses()
            .differs(differences![
                When::Sometimes =>
                    "The error backend does not get the body of the request; without an error backend that responds, the client gets the status that was to be replaced.",
            ]);
    DISABLE_PROXY_INTERCEPT_ERRORS: bool =
        annotation("disable-proxy-intercept-errors", types::BOOL,
            "With custom-http-errors: errors of the upstream itself pass unchanged.")
            .default("false").needs(&[CUSTOM_HTTP_ERRORS.row()]);
} }

/// The error pages of an object, which replace those of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnErrors {
    statuses: Vec<StatusCode>,
    /// Responses of upstreams pass, unless the settings replace them on every route.
    own_only: bool,
}

impl OwnErrors {
    /// `None` without `custom-http-errors`.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let statuses = reader.get(&CUSTOM_HTTP_ERRORS)?;
        if statuses.is_empty() {
            const REASON: &str = "status codes must be separated by commas";
            reader.reject(&CUSTOM_HTTP_ERRORS, OnInvalid::Ignore, REASON);
            return None;
        }
        Some(Self {
            statuses,
            own_only: reader.on(&DISABLE_PROXY_INTERCEPT_ERRORS),
        })
    }
}

/// The error pages of all routes without their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GlobalErrors {
    /// `custom-http-errors`
    pub(crate) statuses: Vec<StatusCode>,
    /// `disable-proxy-intercept-errors`
    pub(crate) own_only: bool,
}

impl GlobalErrors {
    /// Whether responses of upstreams are replaced.
    fn upstreams(&self) -> bool {
        !self.statuses.is_empty() && !self.own_only
    }

    /// The error pages of routes without their own, from the default backend.
    pub(crate) fn pages(&self, options: &Options) -> Option<Arc<ErrorPages>> {
        let statuses = self.statuses.clone();
        (!statuses.is_empty()).then(|| {
            let pages = ErrorPages::new(statuses, self.upstreams(), default_source(options));
            Arc::new(pages)
        })
    }
}

/// The error pages of the routes of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoutePages {
    /// Routes that lead to a Service of the object.
    pub(crate) declared: Option<Arc<ErrorPages>>,
    /// The root that leads to the default backend.
    pub(crate) unmatched: Option<Arc<ErrorPages>>,
}

impl RoutePages {
    /// The pages of `subject`. `signs_in`: a 401 leads to a sign-in page, which excludes the pages of the settings.
    pub(crate) fn of(
        subject: Subject<'_>,
        signs_in: bool,
        settings: &Settings,
        options: &Options,
    ) -> Self {
        let global = &settings.errors;
        let Some(own) = &subject.annotations.errors else {
            let sign_in = || ErrorPages::new(Vec::new(), true, []);
            let pages = match signs_in {
                true => global.upstreams().then(|| Arc::new(sign_in())),
                false => global.pages(options),
            };
            return Self {
                declared: pages.clone(),
                unmatched: pages,
            };
        };
        let upstreams = !own.own_only || global.upstreams();
        let pages = |sources: Vec<UpstreamKey>| {
            Some(Arc::new(ErrorPages::new(
                own.statuses.clone(),
                upstreams,
                sources,
            )))
        };
        let default = || default_source(options);
        Self {
            declared: pages(own_source(subject).into_iter().chain(default()).collect()),
            unmatched: pages(default().collect()),
        }
    }
}

/// The upstream of the error pages of `subject`: the Service of `default-backend`, always in plain text.
pub(crate) fn own_upstream(subject: Subject<'_>) -> Option<UpstreamDraft> {
    subject.annotations.errors.as_ref()?;
    Some(UpstreamDraft {
        port: subject.fallback()?,
        transport: Transport::default(),
    })
}

/// The finding if nothing has pages for the list of `subject`.
pub(crate) fn finding(subject: Subject<'_>, options: &Options) -> Option<Finding> {
    const MESSAGE: &str = "responses are not replaced: pages come from the Service of the annotation default-backend or of \
        --default-backend-service, and there is neither";
    subject.annotations.errors.as_ref()?;
    let known = subject.fallback().is_some() || options.default_backend.is_some();
    let name = CUSTOM_HTTP_ERRORS.entry().name;
    let finding = || subject.annotation_finding(Severity::Warning, name, MESSAGE.to_owned());
    (!known && subject.annotations.canary.is_none()).then(finding)
}

/// The same for the list of the settings, as a message about the key.
pub(crate) fn global_problem(
    errors: &GlobalErrors,
    options: &Options,
) -> Option<(&'static str, String)> {
    const MESSAGE: &str = "responses are not replaced: pages come from the Service of --default-backend-service, which is not set";
    let missing = !errors.statuses.is_empty() && options.default_backend.is_none();
    let key = settings::security::CUSTOM_HTTP_ERRORS.entry().name;
    missing.then(|| (key, MESSAGE.to_owned()))
}

fn own_source(subject: Subject<'_>) -> Option<UpstreamKey> {
    own_upstream(subject).map(|upstream| upstream.key())
}

fn default_source(options: &Options) -> impl Iterator<Item = UpstreamKey> {
    let service = options.default_backend.clone().into_iter();
    service.map(|service| {
        let port = ServicePort::new(service, FIRST_PORT.into());
        port.id().upstream(&Transport::default())
    })
}
