//! An in-memory Kubernetes API server, for controllers, kubectl and Helm under test.
//!
//! It serves HTTP on a loopback port and behaves like kube-apiserver wherever a client can observe a difference:
//! resource versions, paged lists, watches with bookmarks and streaming lists, patches, server-side apply, admission
//! webhooks, RBAC and the messages of errors. On request it misbehaves ([`Fault`], [`Disturbance`], [`ApiServer::stop`],
//! [`ApiServer::compact`], [`ApiServer::rewind`]).
//!
//! It can also run in front of a real cluster ([`ApiServer::in_front_of`]): it forwards requests, and misbehaves in between.
//!
//! It is not a cluster: there are no controllers (no garbage collection and no endpoints, apart from
//! [`Options::play_workloads`]), no schemas, no custom resources but those of the Gateway API
//! and of Headgate (served while their CRDs are stored), and Services get no cluster IP, so that no test
//! connects to an address outside of loopback.
//!
//! **Frozen**: nothing is added that the same tests can check at a real cluster (`HEADGATE_TEST_KUBECONFIG`). A difference from
//! kube-apiserver in an existing part is a bug and is fixed.
//!
//! ```
//! use headgate_apiserver::ApiServer;
//!
//! let api = ApiServer::start();
//! api.apply_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}, data: {c: d}}");
//! assert_eq!(api.get("ConfigMap", "a", "b").unwrap()["data"]["c"], "d");
//! ```

mod admission;
mod apply;
mod clock;
mod cluster;
mod connection;
mod convert;
mod defaults;
mod discovery;
mod encode;
mod failure;
mod faults;
mod fields;
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
mod request_info;
mod respond;
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
pub use log::{Recorded, UsedPermission};
pub use options::Options;
pub use server::ApiServer;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks, also after a holder panicked: its test has failed, and other threads still read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal, at most for this time.
fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
    signal
        .wait_timeout(guard, time)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}
