//! Traffic tests: the true program on free loopback ports, real clients, real upstreams.
//!
//! Each test starts its own program, so that it names every object that leads to the behaviour. A failure shows what
//! was sent and what came back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod traffic {
    mod access;
    mod affinity;
    mod bodies;
    mod canary;
    mod cors;
    mod headers;
    mod hostile;
    mod lifecycle;
    mod limits;
    mod observe;
    mod protocols;
    mod redirects;
    mod reload;
    mod responses;
    mod retries;
    mod rewrites;
    mod routing;
    mod setup;
    mod tls;
    mod trust;
}
