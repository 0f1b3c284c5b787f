//! Certificates that come, change and break while the webhook serves.

use std::sync::Arc;

use headgate_cluster::webhook_certificate::ServingCertificate;
use headgate_table::PrivateBytes;
use headgate_testkit::{Connection, Request, Tls, wait};

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
