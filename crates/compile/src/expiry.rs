//! Certificates that have expired or soon will. Time is an argument, so these findings are made when somebody asks for them and
//! not when a table is compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{Certificate, Host, HostTls, RoutingTable};

use crate::finding::{Finding, Severity, Subject};
use crate::{Kind, Name, ObjectRef};

/// An expiry within this time is reported: renewals that work happen earlier. Two weeks, in seconds.
const SOON: i64 = 14 * DAY;
const DAY: i64 = 24 * 60 * 60;
/// How many hosts a finding names.
const NAMED: usize = 3;

/// Findings about the certificates of `table` that have expired at `now` or will within two weeks, sorted. `now` is in seconds
/// since 1970.
pub fn expiring(table: &RoutingTable, now: i64) -> Vec<Finding> {
    let mut users: BTreeMap<&str, (&Arc<Certificate>, Vec<&str>)> = BTreeMap::new();
    for host in table.universes().into_iter().flat_map(|hosts| hosts.iter()) {
        if let Some(own) = own(host).filter(|own| own.not_after < now.saturating_add(SOON)) {
            let entry = users.entry(&own.source).or_insert((own, Vec::new()));
            entry.1.push(&host.name);
        }
    }
    for certificate in table.listener_certificates() {
        if certificate.not_after < now.saturating_add(SOON) {
            users
                .entry(&certificate.source)
                .or_insert((certificate, Vec::new()));
        }
    }
    let findings = users.into_values();
    let findings = findings.filter_map(|(certificate, hosts)| finding(certificate, hosts, now));
    findings.collect()
}

fn own(host: &Host) -> Option<&Arc<Certificate>> {
    match &host.tls {
        HostTls::Own(own) => Some(own),
        HostTls::Default | HostTls::None => None,
    }
}

/// `None` for the generated certificate, which is of no object.
fn finding(certificate: &Certificate, mut hosts: Vec<&str>, now: i64) -> Option<Finding> {
    let (namespace, name) = certificate.source.split_once('/')?;
    hosts.sort_unstable();
    let of_hosts = match hosts.len() {
        0 => "the default certificate".to_owned(),
        count if count > NAMED => {
            let named = hosts.iter().take(NAMED).copied().collect::<Vec<_>>();
            let (named, more) = (named.join(", "), count - NAMED);
            format!("the certificate of {named} and {more} more hosts")
        }
        _ => format!("the certificate of {}", hosts.join(", ")),
    };
    let date = date(certificate.not_after);
    let (severity, message) = if certificate.not_after < now {
        let message = format!("{of_hosts} expired on {date}; clients refuse it: renew the Secret");
        (Severity::Error, message)
    } else {
        let days = (certificate.not_after - now) / DAY;
        let message = format!("{of_hosts} expires on {date}, in {days} days: renew the Secret");
        (Severity::Warning, message)
    };
    Some(Finding {
        severity,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Secret,
            name: Name::new(namespace, name),
        }),
        field: "data[tls.crt]".into(),
        message: message.into(),
    })
}

/// Such as `2026-11-29`.
fn date(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::UTC).date().to_string(),
        Err(_) => "a date out of range".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use headgate_table::PrivateBytes;

    use super::*;

    /// A certificate of `source`, valid until `not_after`.
    fn certificate(source: &str, not_after: i64) -> Certificate {
        let generated = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = PrivateBytes(generated.signing_key.serialize_pem().into_bytes());
        let chain = generated.cert.pem();
        let certificate = crate::certificate_from_pem(chain.as_bytes(), &key, source).unwrap();
        Certificate {
            not_after,
            ..certificate
        }
    }

    #[test]
    fn an_expired_one_is_an_error_and_one_that_expires_soon_a_warning() {
        let now = 1_000_000_000;
        let of = |source, not_after, hosts: &[&str]| {
            finding(&certificate(source, not_after), hosts.to_vec(), now)
        };
        let expired = of("shop/tls", now - 1, &["b.test", "a.test"]).unwrap();
        assert_eq!(
            expired.to_string(),
            "error Secret shop/tls: data[tls.crt]: the certificate of a.test, b.test expired on 2001-09-09; clients refuse \
             it: renew the Secret"
        );
        let soon = of("shop/tls", now + 3 * DAY, &["a", "b", "c", "d", "e"]).unwrap();
        assert_eq!(
            soon.to_string(),
            "warning Secret shop/tls: data[tls.crt]: the certificate of a, b, c and 2 more hosts expires on 2001-09-12, in \
             3 days: renew the Secret"
        );
        let fallback = of("shop/tls", now - 1, &[]).unwrap();
        assert!(
            fallback
                .message
                .starts_with("the default certificate expired")
        );
        assert_eq!(of("default", now - 1, &["a.test"]), None);
    }
}
