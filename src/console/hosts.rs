//! Hosts and routes with their traffic.

use std::cmp::Reverse;

use headgate_console::history::{Counts, Window};
use headgate_console::model::{
    HostPage, HostRow, MAX_LIMIT, Page, RouteFilter, RouteRow, RouteSort, Search, Series, Traffic,
};
use headgate_table::{HostBehaviour, HostTls, RoutingTable, Target};

use super::Console;
use super::endpoints::ready;
use super::index::{Index, IndexedHost, IndexedRoute, kind, target};
use super::search::Words;

pub(super) fn hosts(console: &Console, search: &Search) -> Page<HostRow> {
    let Some((_, index)) = console.index() else {
        return Page::default();
    };
    let words = Words::of(&search.q);
    let found = index.hosts().iter().filter(|one| {
        let aliases = one.host.aliases.iter().map(|alias| &**alias);
        words.are_in(std::iter::once(&*one.host.name).chain(aliases))
    });
    let page = Page::of(found.collect(), search);
    console.with_window(|window| page.map(|host| host_row(&index, host, window)))
}

pub(super) fn host(console: &Console, name: &str) -> Option<HostPage> {
    let (table, index) = console.index()?;
    let host = index.host(name)?;
    let routes = index.routes_of(host).iter().collect();
    let search = Search {
        limit: MAX_LIMIT,
        ..Search::default()
    };
    let routes = Page::of(routes, &search);
    let hour = console
        .live
        .get()
        .map(|live| live.history.lock().host(name));
    Some(console.with_window(|window| HostPage {
        host: host_row(&index, host, window),
        hour: hour.unwrap_or_default(),
        routes: routes.map(|route| row(&table, route, window)),
    }))
}

pub(super) fn routes(console: &Console, filter: &RouteFilter) -> Page<RouteRow> {
    let Some((table, index)) = console.index() else {
        return Page::default();
    };
    let words = Words::of(&filter.search.q);
    let found = index.routes().iter();
    let found = found.filter(|route| selects(filter, route) && words.are_in(texts(route)));
    let mut found: Vec<&IndexedRoute> = found.collect();
    console.with_window(|window| {
        sort(&mut found, filter.sort, window);
        Page::of(found, &filter.search).map(|route| row(&table, route, window))
    })
}

/// The routes with most requests.
pub(super) fn busiest(
    (table, index): (&RoutingTable, &Index),
    window: Option<&Window<'_>>,
    count: usize,
) -> Vec<RouteRow> {
    let mut all: Vec<&IndexedRoute> = index.routes().iter().collect();
    sort(&mut all, RouteSort::Requests, window);
    let rows = all.into_iter().take(count);
    let rows = rows.map(|route| row(table, route, window));
    rows.filter(|row| {
        row.traffic
            .as_ref()
            .is_some_and(|traffic| traffic.requests > 0)
    })
    .collect()
}

/// A route with its traffic.
pub(super) fn row(
    table: &RoutingTable,
    route: &IndexedRoute,
    window: Option<&Window<'_>>,
) -> RouteRow {
    let IndexedRoute {
        host,
        route: of_table,
        conditions,
        ..
    } = route;
    let origin = &of_table.origin;
    let (ready_endpoints, endpoints) = ready(table, &of_table.target);
    RouteRow {
        id: route.id(),
        host: host.to_string(),
        path: of_table.path.to_string(),
        path_type: kind(of_table).to_owned(),
        conditions: conditions.to_string(),
        kind: origin.kind.to_owned(),
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        service: match &*origin.service {
            "" => String::new(),
            service => format!("{}/{service}:{}", origin.namespace, origin.port),
        },
        target: target(of_table).to_owned(),
        closed: match &of_table.target {
            Target::Closed(closed) => Some(closed.reason.to_string()),
            Target::Forward(_) | Target::DefaultBackend(_) => None,
        },
        alternatives: match &of_table.target {
            Target::Forward(split) => split.alternatives().map_or(0, |others| others.list().len()),
            Target::DefaultBackend(_) | Target::Closed(_) => 0,
        },
        ready_endpoints,
        endpoints,
        traffic: traffic(window, |window| requests(route, window)),
    }
}

/// The requests of a route; `None`: not kept.
pub(super) fn requests(route: &IndexedRoute, window: &Window<'_>) -> Option<Counts> {
    match route.number() {
        Some(number) => window.route(number),
        None => Some(Counts::default()),
    }
}

/// Traffic of a window; `None`: not kept, or nothing was measured yet.
pub(super) fn traffic(
    window: Option<&Window<'_>>,
    counts: impl FnOnce(&Window<'_>) -> Option<Counts>,
) -> Option<Traffic> {
    let window = window.filter(|window| window.seconds() > 0)?;
    counts(window).map(|counts| window.traffic(&counts))
}

fn host_row(index: &Index, host: &IndexedHost, window: Option<&Window<'_>>) -> HostRow {
    let IndexedHost {
        host: of_table,
        listeners,
        ..
    } = host;
    let routes = index.routes_of(host);
    let (tls, certificate) = match &of_table.tls {
        HostTls::None => ("none", None),
        HostTls::Default => ("default", None),
        HostTls::Own(own) => ("own", Some(own.source.to_string())),
    };
    let numbers = routes.iter().filter_map(IndexedRoute::number);
    HostRow {
        name: of_table.name.to_string(),
        aliases: of_table.aliases.iter().map(ToString::to_string).collect(),
        listeners: listeners.to_vec(),
        routes: routes.len(),
        redirects_to: match &of_table.behaviour {
            HostBehaviour::Redirect { to } => Some(to.to_string()),
            HostBehaviour::Routes { .. } => None,
        },
        tls: tls.to_owned(),
        certificate,
        traffic: traffic(window, |window| window.routes(numbers)),
    }
}

fn selects(filter: &RouteFilter, route: &IndexedRoute) -> bool {
    let origin = &route.route.origin;
    let is = |wanted: &Option<String>, actual: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == actual)
    };
    is(&filter.host, &route.host)
        && is(&filter.namespace, &origin.namespace)
        && is(&filter.object, &origin.name)
        && is(&filter.service, &origin.service)
}

fn texts(route: &IndexedRoute) -> impl Iterator<Item = &str> + Clone {
    let origin = &route.route.origin;
    [
        &*route.host,
        &*route.route.path,
        &*origin.namespace,
        &*origin.name,
        &*origin.service,
    ]
    .into_iter()
}

fn sort(routes: &mut [&IndexedRoute], sort: RouteSort, window: Option<&Window<'_>>) {
    let of = |route: &IndexedRoute| window.and_then(|window| requests(route, window));
    match sort {
        RouteSort::Host => {}
        RouteSort::Requests => {
            routes.sort_by_cached_key(|route| Reverse(of(route).map(|counts| counts.requests())));
        }
        RouteSort::Errors => {
            routes.sort_by_cached_key(|route| Reverse(of(route).map(|counts| counts.errors())));
        }
        RouteSort::Latency => routes.sort_by_cached_key(|route| {
            let p99 = traffic(window, |window| requests(route, window));
            let p99 = p99.and_then(|traffic| traffic.p99_seconds);
            // Times are not negative, so their bits have their order.
            Reverse(p99.map(f64::to_bits))
        }),
    }
}

impl Console {
    /// Reads the traffic of the last minute; `None` before the first table.
    pub(super) fn with_window<T>(&self, read: impl FnOnce(Option<&Window<'_>>) -> T) -> T {
        match self.live.get() {
            Some(live) => read(Some(&live.history.lock().window())),
            None => read(None),
        }
    }

    /// The traffic of a route of the last ten minutes.
    pub(super) fn recent(&self, route: &IndexedRoute) -> Series {
        let live = self.live.get();
        let series = live.map(|live| {
            let history = live.history.lock();
            // A number that no route has: there were no requests.
            history.route(route.number().unwrap_or(u64::MAX))
        });
        series.unwrap_or_default()
    }
}
