//! What the traffic tests share.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Issued, Program, Request, Site};

/// The program under test.
pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_headgate");

/// Annotations of an Ingress, without their prefix.
pub(super) type Annotations<'a> = &'a [(&'a str, &'a str)];

/// Serves `a.test` from one echo upstream named `web`.
pub(super) fn serve(annotations: Annotations<'_>) -> (Program, Echo) {
    let web = Echo::start("web");
    let program = Site::simple(web.address(), annotations).start(BINARY);
    (program, web)
}

/// As [`serve`], with settings.
pub(super) fn serve_with(
    settings: Annotations<'_>,
    annotations: Annotations<'_>,
) -> (Program, Echo) {
    let web = Echo::start("web");
    let program = Site::simple(web.address(), annotations)
        .settings(settings)
        .start(BINARY);
    (program, web)
}

/// A site with `a.test` over TLS, its certificate in the Secret `cert`.
pub(super) fn tls_site(address: SocketAddr, issued: &Issued, annotations: Annotations<'_>) -> Site {
    Site::new()
        .service("web", &[address])
        .secret("cert", issued)
        .ingress(
            Ingress::new("web")
                .annotations(annotations)
                .tls(&["a.test"], "cert")
                .path("/", "web"),
        )
}

/// Sends a request many times over one connection (as long as it lives) and counts the names of who answered.
pub(super) fn answers(
    program: &Program,
    request: &Request,
    count: usize,
) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    let mut connection = Connection::open(program.http());
    for _ in 0..count {
        let response = connection.exchange(request);
        if response
            .field("connection")
            .is_some_and(|value| value == "close")
        {
            connection = Connection::open(program.http());
        }
        *names.entry(response.echo().name().to_owned()).or_default() += 1;
    }
    names
}

/// An address where nobody listens.
pub(super) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
