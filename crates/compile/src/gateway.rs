//! The semantics of the Gateway API: which Gateways are served, what their listeners and routes mean, and the statuses that say
//! so (gateway-api.md).

mod attach;
mod condition;
mod grants;
mod hostname;
mod listener;
mod namespaces;
mod seniority;
mod universe;

pub use condition::{Condition, ConditionKind};
