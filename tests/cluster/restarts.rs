//! A restart while the API server is away serves what the last run left (`--cache-dir`).

use std::path::Path;

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Issued, Program, Request, Tls, wait};

use super::place::Place;
use super::support::{all_good, ask, backend, ingress, load, stop, until_metric, until_status};

#[test]
fn the_copy_is_served_until_the_api_server_is_back() {
    let mut place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    place.create(ingress("ghost", "ghost.test", "web"));
    let folder = tempfile::tempdir().unwrap();
    let flag = format!("--cache-dir={}", folder.path().display());
    stop(&place.controller(&[&flag]));
    place.api.stop();

    let program = place.replica("headgate-0", &[&flag]);
    program.until_ready();
    let told = program.ask("/readyz").is(200).text();
    assert!(told.contains("stale"), "{told}");
    assert_eq!(program.metric("headgate_snapshot_stale", &[]), 1.0);
    assert_eq!(program.metric("headgate_api_connected", &[]), 0.0);
    assert_eq!(ask(&program, "a.test").is(200).echo().name(), "web");
    ask(&program, "ghost.test").is(200);

    let load = load(&program);
    place.delete("Ingress", "ghost");
    place.create(ingress("late", "late.test", "web"));
    place.api.resume();
    until_status(&program, "late.test", 200);
    until_status(&program, "ghost.test", 404);
    until_metric(&program, "headgate_snapshot_stale", &[], 0.0);
    assert_eq!(program.ask("/readyz").is(200).text(), "ok\n");
    all_good(load);
}

#[test]
fn without_a_key_no_secret_is_in_the_copy() {
    let (mut place, issued, _web) = secure();
    let folder = tempfile::tempdir().unwrap();
    let flag = format!("--cache-dir={}", folder.path().display());
    run_once(&place, &issued, &[&flag]);
    assert!(holds(folder.path(), b"plain.test"), "the rest can be read");
    assert!(!holds_key(&place, folder.path(), &issued));
    place.api.stop();
    let program = place.replica("headgate-0", &[&flag]);
    program.until_ready();
    ask(&program, "plain.test").is(200);
    assert_ne!(certificate(&program), issued.der);
}

#[test]
fn with_a_key_tls_is_served_from_the_copy_which_is_sealed() {
    let (mut place, issued, _web) = secure();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let copy = folder.path().join("copy");
    let flags = [
        format!("--cache-dir={}", copy.display()),
        format!("--cache-key-file={}", key.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run_once(&place, &issued, &flags);
    assert!(!holds_key(&place, &copy, &issued));
    assert!(!holds(&copy, b"a.test"), "names are sealed as well");
    place.api.stop();
    let program = place.replica("headgate-0", &flags);
    program.until_ready();
    assert_eq!(certificate(&program), issued.der);
    let request = Request::get("/").over(&Tls::name("a.test"));
    assert_eq!(request.send(program.https()).is(200).echo().name(), "web");
    drop(program);

    // Another key opens nothing: then it waits, as without a copy.
    std::fs::write(&key, "another key of at least 16 bytes").unwrap();
    let program = place.replica("headgate-0", &flags);
    super::support::until_told(&program, "a line about the copy", |line| {
        line.contains("cache") && line.contains("WARN")
    });
    program.ask("/readyz").is(503);
}

/// `a.test` over TLS and `plain.test` without.
fn secure() -> (Place, Issued, Echo) {
    let place = Place::new();
    let web = place.echo("web");
    let issued = Authority::new().issue(&["a.test"]);
    place.load(backend("web", &[web.address()]));
    place.create(manifest::tls_secret("cert", &issued));
    let ingress_of_a = Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    place.create(ingress_of_a.object());
    place.create(ingress("plain", "plain.test", "web"));
    (place, issued, web)
}

/// Serves the certificate, then stops.
fn run_once(place: &Place, issued: &Issued, flags: &[&str]) {
    let program = place.controller(flags);
    wait::until("the certificate", || {
        (certificate(&program) == issued.der).then_some(())
    });
    stop(&program);
}

fn certificate(program: &Program) -> Vec<u8> {
    let connection = Connection::open_tls(program.https(), &Tls::name("a.test"));
    connection.tls().certificate.clone()
}

/// Whether the private key is in a file of the folder, in any form that it had on its way there.
fn holds_key(place: &Place, folder: &Path, issued: &Issued) -> bool {
    use rustls_pki_types::pem::PemObject as _;
    let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let secret = place.get("Secret", "cert").unwrap();
    let encoded = secret["data"]["tls.key"].as_str().unwrap().as_bytes();
    let line = issued.key.lines().nth(1).unwrap().as_bytes();
    let middle = &encoded[encoded.len() / 2..][..40];
    holds(folder, der.secret_der()) || holds(folder, line) || holds(folder, middle)
}

/// Whether these bytes are in a file of the folder, which must have files.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    let contents: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(
        contents.iter().any(|content| content.len() > 100),
        "there is no copy"
    );
    let mut windows = contents
        .iter()
        .flat_map(|content| content.windows(bytes.len()));
    windows.any(|window| window == bytes)
}
