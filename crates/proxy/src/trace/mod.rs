//! The trace of a request: the context that it continues or begins, and the fields that carry it on (behaviour.md 1.15).
//!
//! What becomes of a span is up to `telemetry`.

mod b3;
mod context;
mod environment;
mod propagators;
mod span;
mod w3c;

pub(crate) use context::SpanContext;
pub use environment::TracingEnvironment;
pub(crate) use environment::{Endpoint, Protocol};
pub(crate) use propagators::Propagators;
pub(crate) use span::{AttemptSpan, RequestSpan};
