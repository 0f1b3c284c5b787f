//! Canaries and other splits: configured against actual shares.

use headgate_console::history::{Counts, Window};
use headgate_console::model::{CanaryBackend, CanaryRow, Page, Search};
use headgate_table::{
    Alternatives, Arm, Backend, HeaderTest, RoutingTable, RuleTest, Split, Target, UpstreamKey,
};

use super::Console;
use super::endpoints::{counts, shares};
use super::hosts::{requests, traffic};
use super::index::IndexedRoute;
use super::search::Words;

pub(super) fn canaries(console: &Console, search: &Search) -> Page<CanaryRow> {
    let Some((table, index)) = console.index() else {
        return Page::default();
    };
    let words = Words::of(&search.q);
    let found = index.routes().iter().filter_map(|route| {
        let split = split(route)?;
        let origin = &route.route.origin;
        let own = [
            &*route.host,
            &*route.route.path,
            &*origin.namespace,
            &*origin.name,
        ];
        let keys = split.upstreams().map(UpstreamKey::as_str);
        let texts: Vec<&str> = own.into_iter().chain(keys).collect();
        words.are_in(texts.into_iter()).then_some((route, split))
    });
    let page = Page::of(found.collect(), search);
    let live = console.live.get();
    let history = live.map(|live| live.history.lock());
    let window = history.as_ref().map(|history| history.all_steps());
    page.map(|found| row(&table, found, window.as_ref()))
}

/// The split of a route with more than one backend.
fn split(route: &IndexedRoute) -> Option<&Split> {
    match &route.route.target {
        Target::Forward(split) => split.alternatives().map(|_| split),
        Target::DefaultBackend(_) | Target::Closed(_) => None,
    }
}

fn row(
    table: &RoutingTable,
    (route, split): (&IndexedRoute, &Split),
    window: Option<&Window<'_>>,
) -> CanaryRow {
    let origin = &route.route.origin;
    let all = window.and_then(|window| requests(route, window));
    let sides = split.backends().zip(shares(split)).enumerate();
    let sides = sides.map(|(place, (of_split, configured_share))| {
        let side = Side {
            route,
            place,
            backend: of_split,
            all: all.as_ref(),
        };
        side.row(table, (configured_share, split.alternatives()), window)
    });
    CanaryRow {
        route: route.id(),
        host: route.host.to_string(),
        path: route.route.path.to_string(),
        kind: origin.kind.to_owned(),
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        window_seconds: window.map_or(0, Window::seconds),
        backends: sides.collect(),
    }
}

/// A backend of a split.
struct Side<'s> {
    route: &'s IndexedRoute,
    /// 0 for the primary.
    place: usize,
    backend: &'s Backend,
    /// The requests of all sides.
    all: Option<&'s Counts>,
}

impl Side<'_> {
    fn row(
        &self,
        table: &RoutingTable,
        (configured_share, others): (f64, Option<&Alternatives>),
        window: Option<&Window<'_>>,
    ) -> CanaryBackend {
        let upstream = self.backend.upstream().and_then(|key| table.upstream(key));
        let (ready_endpoints, endpoints) = upstream.map_or((0, 0), |upstream| counts(upstream));
        let log_name = upstream.map(|upstream| &*upstream.log_name);
        let side = |window: &Window<'_>| {
            let Some(number) = self.route.number() else {
                return Some(Counts::default());
            };
            match (self.place, log_name) {
                (0, _) => window.side(number, None),
                (_, Some(name)) => window.side(number, Some(name)),
                (_, None) => None,
            }
        };
        let own = window.and_then(side);
        let share = self.all.zip(own.as_ref()).and_then(|(all, own)| {
            let all = all.requests();
            (all > 0).then(|| own.requests() as f64 / all as f64)
        });
        CanaryBackend {
            name: match (&self.backend.arm, upstream) {
                (_, Some(upstream)) => upstream.name.to_string(),
                (Arm::Upstream(key), None) => key.as_str().to_owned(),
                (Arm::Status(status), _) => format!("status {}", status.as_u16()),
            },
            role: if self.place == 0 { "primary" } else { "canary" }.to_owned(),
            configured_share,
            rules: others
                .map(|others| rules(others, self.place))
                .unwrap_or_default(),
            actual_share: share,
            ready_endpoints,
            endpoints,
            traffic: traffic(window, |_| own),
        }
    }
}

/// The rules that send requests to the backend at `place`, in words.
fn rules(others: &Alternatives, place: usize) -> Vec<String> {
    let own = others.rules().iter();
    let own = own.filter(|rule| rule.alternative.checked_add(1) == Some(place));
    own.map(|rule| match &rule.test {
        RuleTest::Cookie(name) => format!("cookie {name} is always"),
        RuleTest::Header { name, value } => match value {
            HeaderTest::AlwaysNever => format!("header {name} is always"),
            HeaderTest::Value(value) => format!("header {name} is {value}"),
            HeaderTest::Pattern(pattern) => format!("header {name} matches {}", pattern.source()),
            HeaderTest::Broken => format!("header {name}: its pattern is invalid"),
        },
    })
    .collect()
}
