//! Stapled OCSP responses and completed chains, with the real `openssl` as responder and as client.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Program, Request, Scenario, Scripted, ScriptedConnection, Tls, wait};

use super::pki::{AUTHORITY, Pki, secret};
use super::setup::BINARY;

const STAPLED: &str = "OCSP Response Status: successful";
const NOT_STAPLED: &str = "OCSP response: no response sent";

/// What `openssl s_client` says about a handshake for `a.test`.
fn client(program: &Program, options: &[&str]) -> String {
    let address = program.https().to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-servername", "a.test", "-connect", &address])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sends a document over HTTP.
fn respond(connection: &mut ScriptedConnection, document: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        document.len()
    );
    connection.send([head.as_bytes(), document].concat());
}

/// `openssl ocsp` with the certificates of `ca` and its `index.txt`.
fn responder(pki: &Arc<Pki>) -> Scripted {
    let pki = pki.clone();
    Scripted::start(move |connection| {
        while let Some(head) = connection.head() {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().unwrap())
            });
            let question = connection.exactly(length.unwrap()).unwrap();
            fs::write(pki.path("question"), question).unwrap();
            pki.openssl(
                "ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey ca.key -ndays 1 -reqin question -respout answer",
            );
            respond(connection, &fs::read(pki.path("answer")).unwrap());
        }
    })
}

/// A certificate `server` of `ca`, whose responder says this of it.
fn server(status: &str) -> (Arc<Pki>, Scripted) {
    let pki = Arc::new(Pki::new());
    pki.authority("ca");
    let responder = responder(&pki);
    let address = responder.address();
    let extensions =
        format!("subjectAltName=DNS:a.test\nauthorityInfoAccess=OCSP;URI:http://{address}/\n");
    pki.issue("server", "ca", 1, &extensions);
    let line = format!("{status}\t01\tunknown\t/O=shop/CN=server\n");
    fs::write(pki.path("index.txt"), line).unwrap();
    (pki, responder)
}

fn scenario(web: &Echo, pki: &Pki, chain: &[&str], staples: &str) -> Scenario {
    let chain: String = chain
        .iter()
        .map(|name| pki.read(&format!("{name}.crt")))
        .collect();
    let key = pki.read("server.key");
    Scenario::new()
        .service("web", &[web.address()])
        .object(secret("cert", &[("tls.crt", &chain), ("tls.key", &key)]))
        .ingress(
            Ingress::new("web")
                .tls(&["a.test"], "cert")
                .path("/", "web"),
        )
        .settings(&[("enable-ocsp", staples)])
}

fn until(program: &Program, options: &[&str], words: &str) -> String {
    wait::until(words, || {
        Some(client(program, options)).filter(|output| output.contains(words))
    })
}

#[test]
fn responses_are_stapled_while_settings_say_so() {
    let web = Echo::start("web");
    let (pki, responder) = server("V\t401231000000Z\t");
    let on = scenario(&web, &pki, &["server", "ca"], "true");
    let off = scenario(&web, &pki, &["server", "ca"], "false");
    let program = on.start(BINARY);
    for version in ["-tls1_2", "-tls1_3"] {
        let output = until(&program, &["-status", version], STAPLED);
        assert!(output.contains("Cert Status: good"), "{output}");
    }
    assert_eq!(responder.requests().len(), 1, "one for all clients");
    off.replace(&program);
    until(&program, &["-status"], NOT_STAPLED);
    on.replace(&program);
    until(&program, &["-status"], STAPLED);
    let requests = responder.wait_for(2);
    assert!(
        requests[1].starts_with("POST / HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(
        requests[1].contains("application/ocsp-request"),
        "{requests:?}"
    );
}

#[test]
fn without_a_good_response_nothing_is_stapled() {
    let web = Echo::start("web");
    let (pki, _responder) = server("R\t401231000000Z\t250101000000Z");
    for (chain, reason) in [
        (&["server", "ca"][..], "the certificate is revoked"),
        (&["server"], "does not hold the certificate of the issuer"),
    ] {
        let program = scenario(&web, &pki, chain, "true").start(BINARY);
        wait::until(reason, || {
            let stderr = program.stderr();
            stderr
                .iter()
                .any(|line| line.contains(reason) && line.contains("shop/cert"))
                .then_some(())
        });
        until(&program, &["-status"], NOT_STAPLED);
        let request = Request::get("/").host("a.test").over(&Tls::name("a.test"));
        request.send(program.https()).is(200);
    }
}

#[test]
fn missing_intermediates_are_fetched() {
    let (web, pki) = (Echo::start("web"), Arc::new(Pki::new()));
    pki.authority("root");
    pki.authority("other");
    pki.issue("mid", "root", 1, AUTHORITY);
    let files = {
        let pki = pki.clone();
        Scripted::start(move |connection| {
            while let Some(request) = connection.request() {
                let name = request
                    .split('/')
                    .nth(1)
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap();
                pki.openssl(&format!("x509 -in {name}.crt -outform DER -out {name}.der"));
                respond(
                    connection,
                    &fs::read(pki.path(&format!("{name}.der"))).unwrap(),
                );
            }
        })
    };
    let root = pki.path("root.crt").display().to_string();
    let verified = ["-CAfile", &root, "-verify_hostname", "a.test"];
    for (name, result) in [
        ("mid", "Verify return code: 0 (ok)"),
        ("other", "it is not a certificate of the issuer"),
    ] {
        let url = format!("http://{}/{name}", files.address());
        let extensions =
            format!("subjectAltName=DNS:a.test\nauthorityInfoAccess=caIssuers;URI:{url}\n");
        pki.issue("server", "mid", 2, &extensions);
        let program = scenario(&web, &pki, &["server"], "false")
            .argument("--enable-ssl-chain-completion")
            .start(BINARY);
        if name == "mid" {
            until(&program, &verified, result);
            continue;
        }
        wait::until(result, || {
            program
                .stderr()
                .iter()
                .any(|line| line.contains(result))
                .then_some(())
        });
        let output = client(&program, &verified);
        assert!(
            output.contains("unable to verify the first certificate"),
            "{output}"
        );
    }
}
