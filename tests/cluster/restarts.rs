//! A restart while the API server is unreachable serves the object cache of the last run (`--cache-dir`).

use std::path::Path;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Issued, Program, Request, Tls, wait};

use super::support::{
    assert_no_failures, backend, get, ingress, load, stop, until_metric, until_status,
};
use super::testenv::TestEnv;

#[test]
fn the_object_cache_is_served_until_the_api_server_is_back() {
    let mut env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    env.create(ingress("ghost", "ghost.test", "web"));
    let directory = tempfile::tempdir().unwrap();
    let flag = format!("--cache-dir={}", directory.path().display());
    stop(&env.controller(&[&flag]));
    env.api.stop();

    let program = env.replica("headgate-0", &[&flag]);
    program.until_ready();
    let message = program.admin_get("/readyz").is(200).text();
    assert!(message.contains("stale"), "{message}");
    assert_eq!(program.metric("headgate_snapshot_stale", &[]), 1.0);
    assert_eq!(program.metric("headgate_api_connected", &[]), 0.0);
    assert_eq!(get(&program, "a.test").is(200).echo().name(), "web");
    get(&program, "ghost.test").is(200);

    let load = load(&program);
    env.delete("Ingress", "ghost");
    env.create(ingress("late", "late.test", "web"));
    env.api.resume();
    until_status(&program, "late.test", 200);
    until_status(&program, "ghost.test", 404);
    until_metric(&program, "headgate_snapshot_stale", &[], 0.0);
    assert_eq!(program.admin_get("/readyz").is(200).text(), "ok\n");
    assert_no_failures(load);
}

#[test]
fn without_a_key_the_object_cache_contains_no_secret() {
    let (mut env, issued, _web) = secure();
    let directory = tempfile::tempdir().unwrap();
    let flag = format!("--cache-dir={}", directory.path().display());
    run_once(&env, &issued, &[&flag]);
    assert!(
        contains(directory.path(), b"plain.test"),
        "other objects are in plain text"
    );
    assert!(!contains_key(&env, directory.path(), &issued));
    env.api.stop();
    let program = env.replica("headgate-0", &[&flag]);
    program.until_ready();
    get(&program, "plain.test").is(200);
    assert_ne!(certificate(&program), issued.der);
}

#[test]
fn with_a_key_the_object_cache_is_encrypted_and_serves_tls() {
    let (mut env, issued, _web) = secure();
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let cache = directory.path().join("cache");
    let flags = [
        format!("--cache-dir={}", cache.display()),
        format!("--cache-key-file={}", key.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run_once(&env, &issued, &flags);
    assert!(!contains_key(&env, &cache, &issued));
    assert!(!contains(&cache, b"a.test"), "names are encrypted as well");
    env.api.stop();
    let program = env.replica("headgate-0", &flags);
    program.until_ready();
    assert_eq!(certificate(&program), issued.der);
    let request = Request::get("/").over(&Tls::name("a.test"));
    assert_eq!(request.send(program.https()).is(200).echo().name(), "web");
    drop(program);

    // With another key the replica waits for the API server, as without a cache.
    std::fs::write(&key, "another key of at least 16 bytes").unwrap();
    let program = env.replica("headgate-0", &flags);
    super::support::until_logged(&program, "a log line about the cache", |line| {
        line.contains("cache") && line.contains("WARN")
    });
    program.admin_get("/readyz").is(503);
}

/// `a.test` with TLS and `plain.test` without.
fn secure() -> (TestEnv, Issued, Echo) {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    let issued = Authority::new().issue(&["a.test"]);
    env.load(backend("web", &[web.address()]));
    env.create(manifest::tls_secret("cert", &issued));
    let ingress_of_a = Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    env.create(ingress_of_a.object());
    env.create(ingress("plain", "plain.test", "web"));
    (env, issued, web)
}

/// Serves the certificate, then stops.
fn run_once(env: &TestEnv, issued: &Issued, flags: &[&str]) {
    let program = env.controller(flags);
    wait::until("the certificate", || {
        (certificate(&program) == issued.der).then_some(())
    });
    stop(&program);
}

fn certificate(program: &Program) -> Vec<u8> {
    let connection = Connection::open_tls(program.https(), &Tls::name("a.test"));
    connection.tls().certificate.clone()
}

/// Whether a file in the directory contains the private key, in DER, PEM or the encoding of a Secret.
fn contains_key(env: &TestEnv, directory: &Path, issued: &Issued) -> bool {
    use rustls_pki_types::pem::PemObject as _;
    let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let secret = env.get("Secret", "cert").unwrap();
    let encoded = secret["data"]["tls.key"].as_str().unwrap().as_bytes();
    let line = issued.key.lines().nth(1).unwrap().as_bytes();
    let excerpt = &encoded[encoded.len() / 2..][..40];
    contains(directory, der.secret_der())
        || contains(directory, line)
        || contains(directory, excerpt)
}

/// Whether a file in the directory contains these bytes. There must be files.
fn contains(directory: &Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(directory).unwrap();
    let contents: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(
        contents.iter().any(|content| content.len() > 100),
        "there is no cache"
    );
    let mut windows = contents
        .iter()
        .flat_map(|content| content.windows(bytes.len()));
    windows.any(|window| window == bytes)
}
