//! Traffic tests: the whole program on free loopback ports, real clients, real upstreams.
//!
//! Each test starts its own program, so that it shows every object that the behaviour depends on. A failure prints what was
//! sent and received.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "secrets/leaks.rs"]
mod leaks;

mod traffic {
    mod access;
    mod affinity;
    mod balance;
    mod bodies;
    mod canary;
    mod catalogue;
    mod clients;
    mod compression;
    mod console;
    mod cors;
    mod exhaustion;
    mod explain;
    mod exports;
    mod gateway;
    mod gateway_shared;
    mod gateway_tls;
    mod hardening;
    mod headers;
    mod hostile;
    mod lifecycle;
    mod limits;
    mod listeners;
    mod locations;
    mod long_bodies;
    mod mirrors;
    mod observe;
    mod overload;
    mod passthrough;
    mod passwords;
    mod pki;
    mod protocols;
    mod rates;
    mod redirects;
    mod reload;
    mod responses;
    mod retries;
    mod rewrites;
    mod routing;
    mod secrets;
    mod setup;
    mod staple;
    mod streams;
    mod tls;
    mod tracing;
    mod trust;
}
