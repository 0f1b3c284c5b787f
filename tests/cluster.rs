//! Tests of the whole controller: the true program against a Kubernetes API server, with real clients and upstreams.
//!
//! Each test starts an API server of its own (in memory, over HTTP) and as few programs as it needs. What needs no faults
//! runs against the cluster of `HEADGATE_TEST_KUBECONFIG` instead when that is set, in a namespace of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster {
    mod admission;
    mod class;
    mod events;
    mod leaders;
    mod outages;
    mod permissions;
    mod place;
    mod restarts;
    mod rights;
    mod rolling;
    mod serving;
    mod status;
    mod support;
}
