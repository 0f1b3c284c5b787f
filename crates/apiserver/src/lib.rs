//! An in-memory Kubernetes API server, for controllers, kubectl and Helm under test.
//!
//! It speaks real HTTP on a loopback port and answers as kube-apiserver does where a client can tell the difference:
//! resource versions, paged lists, watches with bookmarks and streaming lists, patches, server-side apply, admission
//! webhooks, RBAC and the texts of refusals. On command it misbehaves ([`Fault`], [`Disturbance`], [`ApiServer::stop`],
//! [`ApiServer::compact`], [`ApiServer::rewind`]).
//!
//! It can also stand in front of a real cluster ([`ApiServer::before`]): then that answers, and the misbehaviour comes
//! between.
//!
//! By itself it is deliberately no cluster: there are no controllers (nothing collects orphans or fills endpoints, unless
//! [`Options::play_workloads`]), no schemas, no custom resources, and Services get no cluster IP, so that nothing in a
//! test can point at an address outside of loopback.
//!
//! **Frozen**: nothing is added that the same tests can show at a real cluster (`HEADGATE_TEST_KUBECONFIG`). What it has and does
//! differently from kube-apiserver is a bug and is fixed.
//!
//! ```
//! use headgate_apiserver::ApiServer;
//!
//! let api = ApiServer::start();
//! api.apply_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}, data: {c: d}}");
//! assert_eq!(api.get("ConfigMap", "a", "b").unwrap()["data"]["c"], "d");
//! ```

mod admission;
mod answer;
mod apply;
mod asked;
mod clock;
mod cluster;
mod connection;
mod convert;
mod defaults;
mod discovery;
mod failure;
mod faults;
mod fields;
mod handle;
mod kinds;
mod lists;
mod log;
mod managers;
mod merge;
mod objects;
mod options;
mod patch;
mod prepare;
mod protobuf;
mod rbac;
mod read;
mod reviews;
mod scale;
mod selectors;
mod serve;
mod server;
mod shared;
mod store;
mod stored;
mod table;
mod transport;
mod users;
mod validate;
mod watch;
mod webhook;
mod workloads;
mod write;

pub use faults::{Disturbance, Effect, Fault};
pub use log::{Recorded, Use};
pub use options::Options;
pub use server::ApiServer;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A lock whose former holder may have panicked: the test has failed then, and others still read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be told, or for that time.
fn wait<'a, T>(told: &Condvar, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
    told.wait_timeout(guard, time)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}
