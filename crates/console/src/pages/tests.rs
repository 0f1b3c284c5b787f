//! Every page with what an invented process says, and with what a hostile one says.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{page, tap_row};
use crate::address::Target;
use crate::content::Content;
use crate::fake::{Fake, HOSTILE};
use crate::{Source, TapReader};

/// Every page, with and without something to show.
const ADDRESSES: [&str; 22] = [
    "/",
    "/?range=1h",
    "/routes",
    "/routes?q=products&namespace=shop&sort=latency",
    "/routes?q=nothing-has-this",
    "/routes?offset=60&limit=20",
    "/routes/0019c41",
    "/routes/3029c41",
    "/hosts",
    "/hosts?q=tenant",
    "/hosts/%2A.tenants.shop.example",
    "/hosts/_",
    "/canaries",
    "/canaries?q=nothing-has-this",
    "/findings",
    "/findings?severity=error&q=payments",
    "/certificates",
    "/explain",
    "/explain?url=tcp%3A%2F%2Fa.example%3A5432&method=DELETE&header=Authorization%3A%20secret&header=X-A%3A%20b",
    "/live?status=5xx",
    "/check",
    "/annotations/canary-weight",
];

/// The result of what never waits in the invented process.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the invented process waits"),
    }
}

fn shown(fake: &Fake, address: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let target = Target::parse(path, query).unwrap().unwrap();
    let content = now(Content::read(fake, &target)).unwrap();
    page(&target, &content.expect(address)).into_string()
}

/// What is outside of tags and what is in them, by the rules of HTML that matter here.
fn tags(page: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let mut quoted = false;
        let end = after.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let (tag, after) = after.split_at(end.expect("every tag ends"));
        tags.push(tag);
        rest = after;
    }
    tags
}

#[test]
fn pages_are_well_formed() {
    let fake = Fake::new(40);
    for address in ADDRESSES {
        let page = shown(&fake, address);
        let mut open = Vec::new();
        for tag in tags(&page) {
            let name = tag.split([' ', '>']).next().unwrap();
            let is_void = ["!DOCTYPE", "meta", "link", "input"].contains(&name);
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{address}: {tag}"),
                None if is_void => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{address}: {open:?} stay open");
    }
}

#[test]
fn pages_need_no_more_than_the_policy_allows() {
    for address in ADDRESSES {
        let page = shown(&Fake::new(40), address);
        for tag in tags(&page) {
            assert!(
                !tag.contains(" style=") && !tag.contains(" on"),
                "{address}: {tag}"
            );
            for link in [" src=\"", " href=\"", " action=\""] {
                let Some((_, link)) = tag.split_once(link) else {
                    continue;
                };
                let is_own =
                    link.starts_with('#') || link.starts_with('/') && !link.starts_with("//");
                assert!(is_own, "{address}: {tag}");
            }
        }
        assert!(
            !page.contains("<style") && !page.contains("<script>"),
            "{address}"
        );
    }
}

#[test]
fn ids_are_unique() {
    for address in ADDRESSES {
        let page = shown(&Fake::new(40), address);
        let tags = tags(&page);
        let ids = tags.iter().filter_map(|tag| tag.split_once(" id=\""));
        let mut ids: Vec<&str> = ids.map(|(_, id)| id.split('"').next().unwrap()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{address}");
    }
}

#[test]
fn hostile_text_is_text() {
    let (plain, hostile) = (Fake::new(12), Fake::new(12).hostile());
    let names = |page: &str| {
        let names = tags(page)
            .into_iter()
            .map(|tag| tag.split([' ', '>']).next().unwrap().to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let mut known = std::collections::BTreeSet::new();
    for address in ADDRESSES {
        known.append(&mut names(&shown(&plain, address)));
    }
    let mut seen = 0;
    for address in ADDRESSES {
        let page = shown(&hostile, address);
        let foreign: Vec<_> = names(&page).difference(&known).cloned().collect();
        assert!(foreign.is_empty(), "{address}: {foreign:?}");
        assert!(
            !page.contains("alert('x')</script>") && !page.contains("<img"),
            "{address}"
        );
        seen += page
            .matches("&lt;script&gt;alert('x')&lt;/script&gt;")
            .count();
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_hostile_request_is_a_row() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut reader: Box<dyn TapReader> = Fake::new(3).hostile().tap(&Default::default()).unwrap();
    let message = runtime.block_on(reader.next()).unwrap();
    let row = tap_row(&message.event).into_string();
    assert!(HOSTILE.iter().any(|text| message.event.client == *text));
    assert!(
        row.starts_with("<tr") && !row.contains("<script") && !row.contains("<img"),
        "{row}"
    );
}

#[test]
fn parts_of_lists_are_linked() {
    let page = shown(
        &Fake::new(40),
        "/routes?q=shop.example&offset=10&limit=10&sort=errors",
    );
    let link =
        |offset: &str| format!("/routes?sort=errors&amp;q=shop.example{offset}&amp;limit=10\"");
    assert!(page.contains(&link("")), "the first part");
    assert!(page.contains(&link("&amp;offset=20")), "the third part");
    assert!(page.contains("11–20 of"), "{page}");
    let page = shown(&Fake::new(2), "/hosts?offset=50");
    assert!(page.contains("None of 2 hosts"));
}
