//! Tests of the whole controller: the true program against a Kubernetes API server, with real clients and upstreams.
//!
//! Each test starts its own API server (in memory) and as few programs as it needs. With `HEADGATE_TEST_KUBECONFIG` the tests
//! run at the cluster of that kubeconfig, each in its own namespaces.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster {
    mod admission;
    mod class;
    mod events;
    mod leaders;
    mod outages;
    mod permissions;
    mod restarts;
    mod roles;
    mod rolling;
    mod serving;
    mod status;
    mod support;
    mod testenv;
}
