//! From Kubernetes objects to a routing table, findings and statuses.
//!
//! [`compile`] is pure and total: the same snapshot gives the same table, no object can make it fail, and what cannot be served
//! becomes a [`Finding`]. It knows Kubernetes *types*, and no API client, clock, file or socket. Certificates and keys are
//! parsed and checked here, because an invalid one is a finding; only the data plane uses them.

#![deny(clippy::disallowed_methods)] // no clock, no randomness: see .clippy.toml

mod admission;
pub mod batch;
pub mod build;
mod compiler;
mod convert;
mod expiry;
mod finding;
mod findings;
pub mod gateway;
mod ingress;
pub mod objects;
mod options;
pub mod policies;
mod snapshot;
mod stable_hash;
mod workload;

pub use admission::{Review, Reviewed, review};
pub use batch::{Batch, Origin};
pub use build::certificate::{CertificateError, from_pem as certificate_from_pem};
pub use build::{EndpointOptions, HttpListeners};
pub use compiler::{Compiled, compile};
pub use convert::{Conversion, GatewayTarget, Remark, convert};
pub use expiry::expiring;
pub use finding::{Finding, Severity, Subject};
pub use ingress::{
    AnnotationJudge, IngressStatus, Judgement, SettingVerdicts, StreamEntry, Verdict, annotations,
    references, setting_verdict, setting_verdicts, settings, unresolved_names, unserved,
};
pub use objects::{
    Address, ApiObject, ConfigMap, Definition, DeliveredDefinition, EndpointSlice, Endpoints,
    IngressClass, Kept, Kind, KindReader, Name, Namespace, Object, ObjectRef, Protocol, Secret,
    Service, SharedData,
};
pub use options::{
    ClassSelection, GatewayOptions, LabelSelector, Namespaces, Options, PublishedAddresses,
    SelectorError,
};
pub use snapshot::{Changes, Environment, Snapshot};
pub use stable_hash::stable_hash;
pub use workload::Workload;
