//! Shared by tests and benches: the program under test, clients, scripted upstreams and manifests.
//!
//! Everything here is blocking, except where a protocol needs a runtime (HTTP/2): a test reads from top to bottom. Waits
//! are for events or conditions and bounded by [`PATIENCE`]; nothing sleeps for a guessed duration. Helpers panic with
//! what was sent and received, because a failed step is a failed test.
//!
//! Only tests and benches may depend on it; it is not part of the program.

pub mod balancer;
pub mod certificate;
pub mod client;
pub mod collector;
pub mod gate;
mod listening;
pub mod load;
pub mod manifest;
pub mod network_namespace;
pub mod program;
pub mod protobuf;
pub mod proxy_protocol;
pub mod scenario;
pub mod upstream;
pub mod wait;

pub use balancer::Balancer;
pub use certificate::{Authority, Issued};
pub use client::http1::Connection;
pub use client::http2::Http2;
pub use client::request::Request;
pub use client::response::Response;
pub use client::tls::Tls;
pub use collector::Collector;
pub use gate::Gate;
pub use load::{Load, Report};
pub use network_namespace::NetworkNamespace;
pub use program::Program;
pub use scenario::Scenario;
pub use upstream::authorizer::{Authorizer, Check};
pub use upstream::echo::Echo;
pub use upstream::scripted::{Scripted, ScriptedConnection};
pub use wait::PATIENCE;
