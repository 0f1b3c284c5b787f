//! Serving certificates that are added, replaced and broken while the webhook serves.

use std::sync::Arc;

use headgate_cluster::webhook_certificate::ServingCertificate;
use headgate_table::PrivateBytes;
use headgate_testkit::{Authority, Connection, Issued, Request, Tls, wait};

use crate::site::{PATH, Site, ingress, review, tls};

fn served_certificate(site: &Site) -> Vec<u8> {
    let connection = Connection::open_tls(site.address(), &tls());
    connection.tls().certificate.clone()
}

#[test]
fn handshakes_fail_without_a_certificate() {
    let site = Site::without_certificate();
    assert!(Connection::try_open_tls(site.address(), &tls(), &[]).is_err());
    let issued = site.issue();
    wait::until("the certificate", || {
        let connection = Connection::try_open_tls(site.address(), &tls(), &[]).ok()?;
        (connection.tls().certificate == issued.der).then_some(())
    });
}

#[test]
fn a_certificate_is_replaced_while_serving() {
    let site = Site::new();
    let mut open = Connection::open_tls(site.address(), &tls());
    let body = review("CREATE", ingress("accept")).to_string();
    let first = served_certificate(&site);
    let second = site.issue().der;
    wait::until("the second certificate", || {
        (served_certificate(&site) == second).then_some(())
    });
    assert_ne!(first, second);
    open.exchange(&Request::post(PATH, body)).is(200);
    // An invalid certificate and an empty channel change nothing.
    let other = site.authority.issue(&["webhook.ns.svc"]);
    let broken = ServingCertificate {
        chain_pem: other.certificate.into_bytes(),
        key_pem: PrivateBytes(b"no key".to_vec()),
    };
    assert!(!format!("{broken:?}").contains("no key"));
    site.certificate.send_replace(Some(Arc::new(broken)));
    assert_eq!(served_certificate(&site), second);
    site.certificate.send_replace(None);
    assert_eq!(served_certificate(&site), second);
    let third = site.issue().der;
    wait::until("the third certificate", || {
        (served_certificate(&site) == third).then_some(())
    });
}

#[test]
fn only_http_1_is_supported() {
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
fn only_clients_of_the_configured_cas_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    let site = Site::with_client_ca(&file);
    let (first, second) = (Authority::new(), Authority::new());
    let (of_first, of_second) = (first.issue(&["api"]), second.issue(&["api"]));
    let is_accepted = |tls: Tls| {
        let request = Request::post(PATH, review("CREATE", ingress("accept")).to_string());
        let response = request.over(&tls).try_send(site.address());
        response.is_ok_and(|response| response.status == 200)
    };
    let is_accepted_with = |issued: &Issued| is_accepted(tls().showing(issued));
    let until = |issued: &Issued| {
        wait::until("a response", || is_accepted_with(issued).then_some(()));
    };
    // No client, before the file exists.
    assert!(!is_accepted(tls()) && !is_accepted_with(&of_first));
    std::fs::write(&file, first.pem()).unwrap();
    until(&of_first);
    for version in rustls::ALL_VERSIONS {
        let tls = || tls().version(version);
        assert!(!is_accepted(tls()), "without a certificate");
        assert!(!is_accepted(tls().showing(&of_second)));
        assert!(is_accepted(tls().showing(&of_first)));
    }
    // The other CA from now on.
    std::fs::write(&file, second.pem()).unwrap();
    until(&of_second);
    assert!(!is_accepted_with(&of_first));
}
