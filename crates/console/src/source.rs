//! What the console needs of the process that it shows.

use std::pin::Pin;

use crate::model::{
    AnnotationPage, CanaryRow, CertificatesPage, CheckPage, ExplainForm, Explained, FindingsFilter,
    FindingsPage, HostPage, HostRow, Overview, Page, RouteFilter, RoutePage, RouteRow, Search,
    TapFilter, TapMessage,
};

/// An answer that has to be waited for.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The process that the console shows. It only reads.
///
/// Calls without a [`Reply`] return within some tens of milliseconds, also at 20,000 hosts, and block the thread that long.
pub trait Source: Send + Sync {
    /// The state and the traffic of the process.
    fn overview(&self) -> Overview;

    /// The hosts that a search finds.
    fn hosts(&self, search: &Search) -> Page<HostRow>;

    /// A host by its name as configured; `None`: there is none.
    fn host(&self, name: &str) -> Option<HostPage>;

    /// The routes that a search finds.
    fn routes(&self, filter: &RouteFilter) -> Page<RouteRow>;

    /// A route by [`RouteRow::id`]; `None`: there is none, or no longer.
    fn route<'a>(&'a self, id: &'a str) -> Reply<'a, Option<RoutePage>>;

    /// The canaries and other splits that a search finds.
    fn canaries(&self, search: &Search) -> Page<CanaryRow>;

    /// The findings that a filter selects, the gravest first.
    fn findings(&self, filter: &FindingsFilter) -> FindingsPage;

    /// The certificates in service that a search finds, and the hosts that have none of their own.
    fn certificates(&self, search: &Search) -> CertificatesPage;

    /// What would happen to a request.
    ///
    /// # Errors
    /// [`Failed`] if the form is invalid, or the process has no time for it.
    fn explain<'a>(&'a self, form: &'a ExplainForm) -> Reply<'a, Result<Explained, Failed>>;

    /// What `headgate check` reports about the objects that are served, with the Ingresses that a search finds. Takes seconds in
    /// a large cluster; one at a time is made.
    ///
    /// # Errors
    /// [`Failed`] if another report is being made, or the process stops.
    fn check<'a>(&'a self, search: &'a Search) -> Reply<'a, Result<CheckPage, Failed>>;

    /// What the registry says about an annotation, by its name without prefix or an alias of it; `None`: there is none.
    fn annotation(&self, name: &str) -> Option<AnnotationPage>;

    /// Starts to watch requests as they end, until the reader is dropped. Must be called within an async runtime.
    ///
    /// # Errors
    /// [`Failed`] if the filter is invalid, or as many taps are open as may be.
    fn tap(&self, filter: &TapFilter) -> Result<Box<dyn TapReader>, Failed>;
}

/// Requests that were selected by a [`TapFilter`].
pub trait TapReader: Send {
    /// The next request; `None`: the process stops. Cancel safe. A reader that is slow loses requests, which are counted.
    fn next(&mut self) -> Reply<'_, Option<TapMessage>>;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The request is wrong: the field, its value, and what would be right. HTTP 400.
    Invalid(String),
    /// Not now, and why. HTTP 503.
    Unavailable(String),
    /// A fault of the program. HTTP 500.
    Internal(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Invalid(reason) | Self::Unavailable(reason) | Self::Internal(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for Failed {}
