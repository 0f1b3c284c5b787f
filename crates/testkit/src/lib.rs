//! What tests and benches share: the program under test, clients, scripted upstreams, generated manifests
