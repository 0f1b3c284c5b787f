//! Destinations of requests that the process itself sends.

use std::sync::Arc;

use crate::{Upstream, UpstreamKey};

/// Where a request of the process itself goes.
#[derive(Clone, Debug)]
pub enum CallTarget {
    /// An upstream of the table: the endpoints of a Service port, which change with it.
    Upstream(UpstreamKey),
    /// An address or a DNS name, which no route refers to.
    Fixed(Arc<Upstream>),
}

impl CallTarget {
    /// The identity of the upstream.
    pub fn key(&self) -> &UpstreamKey {
        match self {
            Self::Upstream(key) => key,
            Self::Fixed(upstream) => &upstream.key,
        }
    }
}

impl PartialEq for CallTarget {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
