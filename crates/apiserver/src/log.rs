//! Recorded requests and permissions.

/// A request, recorded when it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// User; `system:admin` without a token while RBAC is not enforced.
    pub user: String,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as sent.
    pub query: String,
    /// Verb of RBAC: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// `ingresses` or `ingresses/status`; empty for other paths.
    pub resource: String,
    /// Namespace; empty: none.
    pub namespace: String,
    /// Name; empty: none.
    pub name: String,
    /// `User-Agent`.
    pub agent: String,
    /// `Content-Type` of the body.
    pub content_type: String,
    /// `Accept`.
    pub accept: String,
}

/// A permission that was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsedPermission {
    /// User.
    pub user: String,
    /// Verb of RBAC.
    pub verb: String,
    /// API group; empty: core.
    pub group: String,
    /// `ingresses` or `ingresses/status`.
    pub resource: String,
    /// Namespace; empty: the cluster.
    pub namespace: String,
    /// Name; empty: many.
    pub name: String,
}
