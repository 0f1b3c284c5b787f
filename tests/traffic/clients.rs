//! Client certificates, with the real `openssl` and `curl`.

use std::process::Command;

use headgate_testkit::manifest::{Ingress, NAMESPACE};
use headgate_testkit::{Echo, Program, Scenario, wait};

use super::pki::{AUTHORITY, Pki, secret};
use super::setup::BINARY;

const CLIENT: &str = "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n";

fn host(name: &str, secret: &str, annotations: &[(&str, &str)]) -> Ingress {
    let secret = format!("{NAMESPACE}/{secret}");
    Ingress::new(&name.replace('.', "-"))
        .annotation("auth-tls-secret", &secret)
        .annotations(annotations)
        .host(name)
        .path("/", "web")
}

/// A client: the real `curl`.
struct Curl<'p> {
    program: &'p Program,
    pki: &'p Pki,
    options: Vec<String>,
}

impl<'p> Curl<'p> {
    fn new(program: &'p Program, pki: &'p Pki) -> Self {
        let options = Vec::new();
        Self {
            program,
            pki,
            options,
        }
    }

    fn option(mut self, option: &str) -> Self {
        self.options
            .extend(option.split_whitespace().map(str::to_owned));
        self
    }

    /// With the certificate in `name.crt`, or of a file with a chain.
    fn certificate(self, name: &str) -> Self {
        let (certificate, key) = (
            self.pki.path(&format!("{name}.crt")),
            self.pki.path(&format!("{name}.key")),
        );
        self.option(&format!(
            "--cert {} --key {}",
            certificate.display(),
            key.display()
        ))
    }

    /// The status of a request for `https://name/`, and the body.
    fn get(self, name: &str) -> (u16, String) {
        let address = self.program.https();
        let output = Command::new("curl")
            .args(["-sk", "--max-time", "20", "-w", "\n%{http_code}"])
            .args([
                "--connect-to",
                &format!("::{}:{}", address.ip(), address.port()),
            ])
            .args(&self.options)
            .arg(format!("https://{name}/"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn status(self, name: &str) -> u16 {
        self.get(name).0
    }
}

#[test]
fn certificates_are_verified_with_every_version_of_tls_and_http() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    pki.authority("ca");
    pki.authority("other");
    pki.issue("alice", "ca", 7, CLIENT);
    pki.issue("old", "ca", 8, "");
    pki.issue("server", "ca", 9, "extendedKeyUsage=serverAuth\n");
    pki.issue("mallory", "other", 7, CLIENT);
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(secret("ca", &[("ca.crt", &pki.read("ca.crt"))]))
        .object(secret("pinned", &[("ca.crt", &pki.read("other.crt"))]))
        .ingress(host("a.test", "ca", &[]))
        .ingress(host("pinned.test", "pinned", &[]))
        .start(BINARY);
    for options in [
        "--tls-max 1.2 --http1.1",
        "--tls-max 1.2 --http2",
        "--tlsv1.3 --http1.1",
        "--tlsv1.3 --http2",
    ] {
        let curl = || Curl::new(&program, &pki).option(options);
        for (name, status) in [
            ("alice", 200),
            ("old", 200),
            ("server", 400),
            ("mallory", 400),
        ] {
            let (got, body) = curl().certificate(name).get("a.test");
            assert_eq!(got, status, "{options} {name}: {body}");
            let words = "<center>The SSL certificate error</center>";
            assert_eq!(
                body.contains(words),
                status == 400,
                "{options} {name}: {body}"
            );
        }
        let (status, body) = curl().get("a.test");
        assert_eq!(status, 400, "{options}");
        assert!(
            body.contains("<center>No required SSL certificate was sent</center>"),
            "{body}"
        );
        assert_eq!(
            curl().certificate("other").status("pinned.test"),
            200,
            "{options}"
        );
        let misdirected = curl()
            .certificate("alice")
            .option("--header Host:pinned.test");
        assert_eq!(misdirected.status("a.test"), 421, "{options}");
    }
}

#[test]
fn chains_are_as_long_as_the_depth_allows() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    pki.authority("ca");
    pki.issue("middle", "ca", 2, AUTHORITY);
    pki.issue("inner", "middle", 3, AUTHORITY);
    pki.issue("bob", "middle", 4, CLIENT);
    pki.issue("carol", "inner", 5, CLIENT);
    for (name, others) in [("bob", &["middle"][..]), ("carol", &["inner", "middle"])] {
        let mut chain = pki.read(&format!("{name}.crt"));
        chain.extend(others.iter().map(|other| pki.read(&format!("{other}.crt"))));
        std::fs::write(pki.path(&format!("{name}-chain.crt")), chain).unwrap();
        std::fs::copy(
            pki.path(&format!("{name}.key")),
            pki.path(&format!("{name}-chain.key")),
        )
        .unwrap();
    }
    let bundle = pki.read("ca.crt") + &pki.read("middle.crt");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(secret("ca", &[("ca.crt", &pki.read("ca.crt"))]))
        .object(secret("bundle", &[("ca.crt", &bundle)]))
        .ingress(host("one.test", "ca", &[]))
        .ingress(host("two.test", "ca", &[("auth-tls-verify-depth", "2")]))
        .ingress(host("bundle.test", "bundle", &[]))
        .start(BINARY);
    for (name, host, status) in [
        ("bob-chain", "one.test", 200),
        ("bob", "one.test", 400),
        ("bob", "bundle.test", 200),
        ("carol-chain", "one.test", 400),
        ("carol-chain", "two.test", 200),
    ] {
        let got = Curl::new(&program, &pki).certificate(name).status(host);
        assert_eq!(got, status, "{name} at {host}");
    }
}

#[test]
fn revoked_certificates_are_refused() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    pki.authority("ca");
    pki.authority("other");
    pki.issue("alice", "ca", 7, CLIENT);
    pki.issue("bob", "ca", 8, CLIENT);
    let ca = pki.read("ca.crt");
    let of_other = pki.revocations("other", &[]);
    let scenario = |lists: &str| {
        Scenario::new()
            .service("web", &[web.address()])
            .object(secret("ca", &[("ca.crt", &ca), ("ca.crl", lists)]))
            .ingress(host("a.test", "ca", &[]))
    };
    let program = scenario(&pki.revocations("ca", &["bob"])).start(BINARY);
    let status = |name| Curl::new(&program, &pki).certificate(name).status("a.test");
    assert_eq!((status("alice"), status("bob")), (200, 400));
    // The list is changed while the program runs.
    scenario(&pki.revocations("ca", &["alice"])).replace(&program);
    wait::until("the new list", || (status("bob") == 200).then_some(()));
    assert_eq!(status("alice"), 400);
    // No list of the authority, and one that is not a list.
    scenario(&of_other).replace(&program);
    wait::until("the missing list", || (status("bob") == 400).then_some(()));
    scenario("nonsense").replace(&program);
    wait::until("the unusable list", || (status("bob") == 403).then_some(()));
    assert_eq!(status("alice"), 403);
}

#[test]
fn no_session_survives_a_change_of_the_authority_or_reaches_another_host() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    for authority in ["ca", "other"] {
        pki.authority(authority);
    }
    pki.issue("alice", "ca", 7, CLIENT);
    let scenario = |authority: &str| {
        Scenario::new()
            .service("web", &[web.address()])
            .object(secret("ca", &[("ca.crt", &pki.read(authority))]))
            .object(secret("other", &[("ca.crt", &pki.read("other.crt"))]))
            .ingress(host("a.test", "ca", &[]))
            .ingress(host("b.test", "other", &[]))
            .ingress(Ingress::new("open").host("open.test").path("/", "web"))
            .settings(&[("ssl-session-tickets", "true")])
    };
    let program = scenario("ca.crt").start(BINARY);
    for (index, version) in ["-tls1_2", "-tls1_3"].into_iter().enumerate() {
        if index > 0 {
            scenario("ca.crt").replace(&program);
        }
        let curl = || {
            Curl::new(&program, &pki)
                .certificate("alice")
                .status("a.test")
        };
        wait::until("the authority", || (curl() == 200).then_some(()));
        let session = pki.path("session");
        let with =
            |name: &str, more: &str| s_client(&program, &pki, name, &format!("{version} {more}"));
        let saved = format!("-sess_out {}", session.display());
        let text = with("a.test", &format!("{saved} -cert alice.crt -key alice.key"));
        assert!(text.contains("HTTP/1.1 200"), "{version} {text}");
        let resumed = format!("-sess_in {}", session.display());
        let text = with("a.test", &resumed);
        assert!(text.contains("Reused, TLSv1"), "{version} {text}");
        assert!(text.contains("HTTP/1.1 200"), "{version} {text}");
        for name in ["b.test", "open.test"] {
            let text = with(name, &resumed);
            assert!(text.contains("New, TLSv1"), "{version} {name} {text}");
        }
        assert!(
            with("b.test", &resumed).contains("No required SSL certificate"),
            "{version}"
        );
        scenario("other.crt").replace(&program);
        wait::until("the other authority", || (curl() == 400).then_some(()));
        let text = with("a.test", &resumed);
        assert!(text.contains("New, TLSv1"), "{version} {text}");
        assert!(
            text.contains("No required SSL certificate"),
            "{version} {text}"
        );
    }
}

#[test]
fn a_replica_with_the_same_ticket_key_resumes_the_session() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    // 48 times the same letter, in base64.
    let replica = |three: &str| {
        let key = three.repeat(16);
        let settings = [
            ("ssl-session-tickets", "true"),
            ("ssl-session-ticket-key", key.as_str()),
        ];
        Scenario::simple(web.address(), &[])
            .settings(&settings)
            .start(BINARY)
    };
    let replicas = [replica("QUFB"), replica("QUFB"), replica("QkJC")];
    let session = pki.path("session");
    for version in ["-tls1_2", "-tls1_3"] {
        let with = |program: &Program, more: &str| {
            let options = format!("{version} {more} {}", session.display());
            s_client(program, &pki, "a.test", &options)
        };
        for (program, expected) in replicas.iter().zip(["Reused", "Reused", "New"]) {
            with(&replicas[0], "-sess_out");
            let text = with(program, "-sess_in");
            assert!(
                text.contains(&format!("{expected}, TLSv1")),
                "{version} {text}"
            );
        }
    }
}

/// The output of `openssl s_client` for one request to `name`.
pub(super) fn s_client(program: &Program, pki: &Pki, name: &str, options: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &program.https().to_string(),
            "-servername",
            name,
            "-ign_eof",
        ])
        .args(options.split_whitespace())
        .current_dir(pki.directory())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
