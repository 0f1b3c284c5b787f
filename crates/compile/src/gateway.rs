//! The semantics of the Gateway API: which Gateways are served, what their listeners and routes mean, and the statuses that say
//! so (gateway-api.md).

mod addresses;
mod admission;
mod applied;
mod attach;
mod backend;
mod bundle;
mod class;
mod compiler;
mod condition;
mod conflicts;
mod counts;
mod findings;
mod frontend;
mod grants;
mod grpc;
mod header_edits;
mod hostname;
mod http;
mod listener;
mod listening;
mod namespaces;
mod overlaps;
mod parameters;
mod policies;
mod ports;
mod references;
mod route;
mod seniority;
mod service;
mod state;
mod status;
mod statuses;
mod stream;
mod tls_policy;
mod traffic_policy;
mod universe;
mod verdicts;

pub use addresses::StatusAddress;
pub(crate) use compiler::{OtherSockets, Pass, upstream};
pub(crate) use condition::Problem;
pub use condition::{Condition, ConditionKind};
pub use listening::ServingListener;
pub use parameters::class_parameters;
pub use ports::{GatewayPort, PortRecord};
pub(crate) use references::references;
pub(crate) use route::WrittenRoute;
pub(crate) use seniority::Seniority;
pub use service::{GatewayService, foreign_gateways};
pub(crate) use state::State;
pub use status::{ListenerStatus, ParentStatus, Status, StatusBody};

#[cfg(test)]
mod tests;
