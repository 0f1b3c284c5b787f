//! Shared by the traffic tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{IntoRawFd, RawFd};

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Issued, Program, Request, Scenario};
use socket2::{Domain, Socket, Type};

/// The program under test.
pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_headgate");

/// Annotations of an Ingress, without their prefix.
pub(super) type Annotations<'a> = &'a [(&'a str, &'a str)];

/// Serves `a.test` from one echo upstream named `web`.
pub(super) fn serve(annotations: Annotations<'_>) -> (Program, Echo) {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), annotations).start(BINARY);
    (program, web)
}

/// As [`serve`], with settings.
pub(super) fn serve_with(
    settings: Annotations<'_>,
    annotations: Annotations<'_>,
) -> (Program, Echo) {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), annotations)
        .settings(settings)
        .start(BINARY);
    (program, web)
}

/// `a.test` with TLS and its certificate in the Secret `cert`.
pub(super) fn tls_scenario(
    address: SocketAddr,
    issued: &Issued,
    annotations: Annotations<'_>,
) -> Scenario {
    Scenario::new()
        .service("web", &[address])
        .secret("cert", issued)
        .ingress(
            Ingress::new("web")
                .annotations(annotations)
                .tls(&["a.test"], "cert")
                .path("/", "web"),
        )
}

/// Sends a request many times, on one connection until the proxy closes it, and counts the responses by upstream name.
pub(super) fn count_names(
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

/// An address that refuses connections: that of a socket which does not listen, and stays open so that no other test gets it.
pub(super) fn closed_port() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _open: RawFd = socket.into_raw_fd();
    address
}
