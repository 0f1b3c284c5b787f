//! The data of the pages: plain values, which are also the JSON of their paths.
//!
//! Names of JSON fields are in camel case and end with their unit; times are seconds, instants are Unix seconds. A number that
//! is not known is `null`, never 0. Texts come from objects and requests: they may contain anything.

mod annotations;
mod canaries;
mod certificates;
mod check;
mod explain;
mod findings;
mod overview;
mod routes;
mod search;
mod tap;
mod traffic;

pub use annotations::AnnotationPage;
pub use canaries::{CanaryBackend, CanaryRow};
pub use certificates::{CertificateRow, CertificatesPage};
pub use check::{CheckNames, CheckPage, CheckSummary, CheckVerdict, CheckedIngress};
pub use explain::{
    ExplainForm, Explained, ExplainedBackend, ExplainedEntry, ExplainedHost, ExplainedListener,
    ExplainedLoser, ExplainedOutcome, ExplainedRequest, ExplainedRoute, ExplainedStep,
};
pub use findings::{Counts, FindingRow, FindingsFilter, FindingsPage};
pub use overview::{
    AddressRow, Cause, Cluster, Connections, Instance, Overview, Process, Propagation, Table,
    WorkerLoad,
};
pub use routes::{
    Endpoint, HostPage, HostRow, RouteBackend, RouteFilter, RoutePage, RouteRow, RouteSort,
};
pub use search::{DEFAULT_LIMIT, MAX_LIMIT, Page, Search};
pub use tap::{TapEvent, TapFilter, TapMessage};
pub use traffic::{Point, Series, Traffic};
