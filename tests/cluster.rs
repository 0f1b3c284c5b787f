//! Tests of the whole controller: the true program against a Kubernetes API server, with real clients and upstreams.
//!
//! Each test starts an API server (in memory) and as few programs as it needs. With `HEADGATE_TEST_KUBECONFIG` the tests run
//! at the cluster of that kubeconfig, each in separate namespaces.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "secrets/leaks.rs"]
mod leaks;

mod cluster {
    mod admission;
    mod check;
    mod class;
    mod events;
    mod gateway;
    mod gateway_permissions;
    mod leaders;
    mod outages;
    mod permissions;
    mod restarts;
    mod roles;
    mod rolling;
    mod secrets;
    mod serving;
    mod status;
    mod support;
    mod testenv;
    mod uninstall;
}
