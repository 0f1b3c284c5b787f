//! Error pages: which responses are replaced, and where the pages come from.

use std::sync::Arc;

use http::StatusCode;

use crate::UpstreamKey;

/// Responses with certain status codes are replaced by those of an error backend (behaviour.md 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPages {
    statuses: Arc<[StatusCode]>,
    /// Also responses of upstreams are replaced; otherwise only those that the proxy itself makes. With a sign-in page, a 401 of
    /// an upstream leads there.
    pub upstreams: bool,
    /// Where pages come from: the first of these that has endpoints. While none has, responses stay as they are.
    pub sources: Box<[UpstreamKey]>,
}

impl ErrorPages {
    /// Replaces responses with these status codes, in any order. There may be none.
    pub fn new(
        mut statuses: Vec<StatusCode>,
        upstreams: bool,
        sources: impl IntoIterator<Item = UpstreamKey>,
    ) -> Self {
        statuses.sort();
        statuses.dedup();
        Self {
            statuses: statuses.into(),
            upstreams,
            sources: sources.into_iter().collect(),
        }
    }

    /// Status codes of the responses that are replaced, in ascending order.
    pub fn statuses(&self) -> &[StatusCode] {
        &self.statuses
    }

    /// Whether responses with `status` are replaced.
    pub fn replaces(&self, status: StatusCode) -> bool {
        self.statuses.binary_search(&status).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_a_set() {
        let list = vec![
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::NOT_FOUND,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let pages = ErrorPages::new(list, true, []);
        assert_eq!(
            pages.statuses(),
            [StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE]
        );
        assert!(pages.replaces(StatusCode::SERVICE_UNAVAILABLE));
        assert!(!pages.replaces(StatusCode::BAD_GATEWAY));
    }
}
