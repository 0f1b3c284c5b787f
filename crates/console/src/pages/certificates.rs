//! Certificates in service.

use maud::{Markup, html};

use super::overview::expiry;
use super::parts::{linked_name, name, pager, search_field, tag};
use crate::address::Target;
use crate::format::{counted, day};
use crate::model::{CertificateRow, CertificatesPage, Search};

pub(super) fn content(search: &Search, page: &CertificatesPage) -> Markup {
    let rows = &page.certificates;
    html! {
        div.head { h1 { "Certificates" } p { "the first to expire first" } }
        div.stack {
            form.bar method="get" action="/certificates" role="search" {
                (search_field(&search.q, "Secret, name or host"))
                button.first { "Search" }
            }
            @if page.default_host_count > 0 { (default_hosts(page)) }
            section.card {
                @if rows.items.is_empty() {
                    p.empty { "There is no such certificate." }
                } @else {
                    div.scroll tabindex="0" role="region" aria-label="Certificates" {
                        table {
                            thead { tr { th { "Certificate" } th { "Names" } th { "Issuer" } th { "Expires" } th { "Used by" } } }
                            tbody { @for row in &rows.items { (certificate(row)) } }
                        }
                    }
                }
                (pager(rows, "certificate", search, |search| Target::Certificates(search).link()))
            }
        }
    }
}

fn default_hosts(page: &CertificatesPage) -> Markup {
    html! {
        section.card {
            header { h2 { (counted(page.default_host_count, "host")) " with the default certificate" } p { "theirs is missing or cannot be used" } }
            div.body { (hosts(&page.default_hosts, page.default_host_count)) }
        }
    }
}

/// Links to hosts, of which there may be more than are known.
fn hosts(hosts: &[String], count: usize) -> Markup {
    html! {
        ul.names {
            @for host in hosts { li { (linked_name(host, &Target::Host(host.clone()).link())) } }
            @if count > hosts.len() { li.sub { "and " (counted(count - hosts.len(), "other")) } }
        }
    }
}

fn certificate(row: &CertificateRow) -> Markup {
    let issuer = [row.issuer_common_name.as_str(), &row.issuer_organization];
    let issuer = issuer.into_iter().filter(|one| !one.is_empty());
    html! {
        tr {
            td {
                (name(&row.source))
                @if row.is_default { div { (tag("info", "for other names")) } }
                details.inline {
                    summary { "Details" }
                    dl.pairs {
                        dt { "Algorithm" } dd { bdi { (row.algorithm) } }
                        dt { "Serial number" } dd.mono { bdi { (row.serial_number) } }
                        dt { "SHA-256" } dd.mono { bdi { (row.fingerprint) } }
                    }
                }
            }
            td { ul { @for one in &row.names { li { (name(one)) } } } }
            td { @for one in issuer { div { (name(one)) } } }
            td.fit {
                (expiry(row))
                div.sub { (day(row.expires_unix_seconds)) }
            }
            td {
                @match row.host_count {
                    0 => span.sub { "no host" },
                    1 => (hosts(&row.hosts, 1)),
                    count => details.inline { summary { (counted(count, "host")) } (hosts(&row.hosts, count)) },
                }
                @if !row.uncovered_hosts.is_empty() {
                    div { (tag("bad", "not valid for")) }
                    (hosts(&row.uncovered_hosts, row.uncovered_hosts.len()))
                }
            }
        }
    }
}
