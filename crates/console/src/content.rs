//! What a page shows: read from the process, and written as JSON.

use serde::Serialize;

use crate::address::Target;
use crate::model::{
    AnnotationPage, CanaryRow, CertificatesPage, CheckPage, Explained, FindingsPage, HostPage,
    HostRow, Overview, Page, RoutePage, RouteRow,
};
use crate::{Failed, Source};

/// The data of a page.
pub(crate) enum Content {
    Overview(Box<Overview>),
    Routes(Page<RouteRow>),
    Route(Box<RoutePage>),
    Hosts(Page<HostRow>),
    Host(Box<HostPage>),
    Canaries(Page<CanaryRow>),
    Findings(FindingsPage),
    Certificates(CertificatesPage),
    /// `None`: the form is empty.
    Explain(Option<Box<Explained>>),
    Live,
    Check(Box<CheckPage>),
    Annotation(Box<AnnotationPage>),
    /// Why what was asked for in a form cannot be shown.
    Wrong(String),
}

impl Content {
    /// The data of `target`; `None`: there is nothing with this name.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) async fn read(source: &dyn Source, target: &Target) -> Result<Option<Self>, Failed> {
        Ok(Some(match target {
            Target::Overview(_) => Self::Overview(Box::new(source.overview())),
            Target::Routes(filter) => Self::Routes(source.routes(filter)),
            Target::Route(id) => return Ok(source.route(id).await.map(Box::new).map(Self::Route)),
            Target::Hosts(search) => Self::Hosts(source.hosts(search)),
            Target::Host(name) => return Ok(source.host(name).map(Box::new).map(Self::Host)),
            Target::Canaries(search) => Self::Canaries(source.canaries(search)),
            Target::Findings(filter) => Self::Findings(source.findings(filter)),
            Target::Certificates(search) => Self::Certificates(source.certificates(search)),
            Target::Explain(form) if form.url.is_empty() => Self::Explain(None),
            Target::Explain(form) => Self::Explain(Some(Box::new(source.explain(form).await?))),
            // Whether the filter is valid.
            Target::Live(filter) => source.tap(filter).map(|_| Self::Live)?,
            Target::Check(search) => Self::Check(Box::new(source.check(search).await?)),
            Target::Annotation(name) => {
                let found = source.annotation(name);
                return Ok(found.map(Box::new).map(Self::Annotation));
            }
        }))
    }

    /// Why it is no data.
    pub(crate) fn wrong(&self) -> Option<&str> {
        match self {
            Self::Wrong(reason) => Some(reason),
            _ => None,
        }
    }

    /// The JSON. Only forms and streams have none.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        match self {
            Self::Overview(overview) => text(overview),
            Self::Routes(routes) => text(routes),
            Self::Route(route) => text(route),
            Self::Hosts(hosts) => text(hosts),
            Self::Host(host) => text(host),
            Self::Canaries(canaries) => text(canaries),
            Self::Findings(findings) => text(findings),
            Self::Certificates(certificates) => text(certificates),
            Self::Explain(explained) => text(explained),
            Self::Live => text(&()),
            Self::Check(report) => text(report),
            Self::Annotation(annotation) => text(annotation),
            Self::Wrong(reason) => text(&serde_json::json!({ "error": reason })),
        }
    }
}

fn text(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value)
}
