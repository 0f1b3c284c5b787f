//! From drafts of hosts, routes and upstreams to the parts of a table, for any source of them.

pub(crate) mod certificate;
pub(crate) mod certificates;
pub(crate) mod interned;
pub(crate) mod sorted;
pub(crate) mod upstream;
