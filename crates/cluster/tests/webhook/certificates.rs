//! Certificates that come, change and break while the webhook serves.

use std::sync::Arc;

use headgate_cluster::webhook_certificate::ServingCertificate;
use headgate_table::PrivateBytes;
use headgate_testkit::{Authority, Connection, Issued, Request, Tls, wait};

use crate::site::{PATH, Site, ingress, question, tls};

fn shown(site: &Site) -> Vec<u8> {
    let connection = Connection::open_tls(site.address(), &tls());
    connection.tls().certificate.clone()
}

#[test]
fn no_handshake_without_one() {
    let site = Site::without_certificate();
    assert!(Connection::try_open_tls(site.address(), &tls(), &[]).is_err());
    let issued = site.issue();
    wait::until("the certificate", || {
        let connection = Connection::try_open_tls(site.address(), &tls(), &[]).ok()?;
        (connection.tls().certificate == issued.der).then_some(())
    });
}

#[test]
fn replaced_while_serving() {
    let site = Site::new();
    let mut open = Connection::open_tls(site.address(), &tls());
    let body = question("CREATE", ingress("accept")).to_string();
    let first = shown(&site);
    let second = site.issue().der;
    wait::until("the second certificate", || {
        (shown(&site) == second).then_some(())
    });
    assert_ne!(first, second);
    open.exchange(&Request::post(PATH, body)).is(200);
    // What cannot be used changes nothing: a chain without its key, nothing, and then nobody to say more.
    let other = site.authority.issue(&["webhook.ns.svc"]);
    let broken = ServingCertificate {
        chain_pem: other.certificate.into_bytes(),
        key_pem: PrivateBytes(b"no key".to_vec()),
    };
    assert!(!format!("{broken:?}").contains("no key"));
    site.certificate.send_replace(Some(Arc::new(broken)));
    assert_eq!(shown(&site), second);
    site.certificate.send_replace(None);
    assert_eq!(shown(&site), second);
    let third = site.issue().der;
    wait::until("the third certificate", || {
        (shown(&site) == third).then_some(())
    });
}

#[test]
fn speaks_http_1_only() {
    let site = Site::new();
    let connection = Connection::open_tls(site.address(), &tls());
    assert_eq!(connection.tls().alpn.as_deref(), Some("http/1.1"));
    let old = tls().version(&rustls::version::TLS12);
    Connection::open_tls(site.address(), &old);
    Connection::open_tls(site.address(), &Tls::nameless());
    let h2 = Tls::name("webhook.ns.svc").alpn(&["h2"]);
    assert!(Connection::try_open_tls(site.address(), &h2, &[]).is_err());
}

#[test]
fn only_clients_of_the_given_authorities_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let site = Site::for_clients_of(&file);
    let (first, second) = (Authority::new(), Authority::new());
    let (of_first, of_second) = (first.issue(&["api"]), second.issue(&["api"]));
    let answered = |tls: Tls| {
        let request = Request::post(PATH, question("CREATE", ingress("accept")).to_string());
        let answer = request.over(&tls).try_send(site.address());
        answer.is_ok_and(|answer| answer.status == 200)
    };
    let showing = |issued: &Issued| answered(tls().showing(issued));
    let until = |issued: &Issued| wait::until("an answer", || showing(issued).then_some(()));
    // Nobody, as long as nobody is told.
    assert!(!answered(tls()) && !showing(&of_first));
    std::fs::write(&file, first.pem()).unwrap();
    until(&of_first);
    for version in rustls::ALL_VERSIONS {
        assert!(!answered(tls().version(version)), "without a certificate");
        assert!(!answered(tls().version(version).showing(&of_second)));
        assert!(answered(tls().version(version).showing(&of_first)));
    }
    // Others from now on.
    std::fs::write(&file, second.pem()).unwrap();
    until(&of_second);
    assert!(!showing(&of_first));
}
