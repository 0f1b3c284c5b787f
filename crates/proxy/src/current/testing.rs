//! A small table for tests that serve no requests of clients.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use headgate_table::{RoutingTable, Settings, publisher};

use super::CurrentTable;

/// A view of the table with the default settings and nothing else.
pub(crate) fn current() -> CurrentTable {
    let (_, reader) = publisher(Arc::new(RoutingTable::new(Arc::new(Settings::default()))));
    CurrentTable::new(&reader)
}
