//! What tests and benches share: the program under test, clients, scripted upstreams and generated manifests.
//!
//! Everything here is blocking, except where a protocol needs a runtime (HTTP/2): a test reads from top to bottom. Waits
//! are for events or conditions and bounded by [`PATIENCE`]; nothing sleeps for a guessed duration. Helpers panic with
//! what was sent and what came back, because a test that cannot go on has failed.
//!
//! It is no part of the program: nothing but tests and benches may depend on it.

pub mod balancer;
pub mod certificate;
pub mod client;
pub mod gate;
pub mod load;
pub mod manifest;
pub mod namespaces;
pub mod program;
pub mod proxy_protocol;
pub mod site;
pub mod upstream;
pub mod wait;

pub use balancer::Balancer;
pub use certificate::{Authority, Issued};
pub use client::http1::Connection;
pub use client::http2::Http2;
pub use client::request::Request;
pub use client::response::Response;
pub use client::tls::Tls;
pub use gate::Gate;
pub use load::{Load, Report};
pub use namespaces::Namespace;
pub use program::Program;
pub use site::Site;
pub use upstream::echo::Echo;
pub use upstream::scripted::{Scripted, Visit};
pub use wait::PATIENCE;
