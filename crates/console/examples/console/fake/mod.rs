//! An invented process: a shop with a canary, failing endpoints, findings and certificates.

mod objects;
mod overview;
mod reports;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headgate_console::model::{
    AnnotationPage, CanaryRow, CertificatesPage, CheckPage, ExplainForm, Explained, FindingsFilter,
    FindingsPage, HostPage, HostRow, Overview, Page, RouteFilter, RoutePage, RouteRow, RouteSort,
    Search, TapEvent, TapFilter, TapMessage,
};
use headgate_console::{Failed, Reply, Source, TapReader};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

/// Texts that try to be markup, to be very long, to turn the direction of writing, or to begin a line.
pub(crate) const HOSTILE: [&str; 5] = [
    "<script>alert('x')</script>",
    "\"'><img src=x onerror=alert(1)> &amp; `${1}`",
    "\u{202e}moc.live\u{5d0}\u{5d1}\u{5d2}\u{2066} \u{627}\u{644}",
    "\u{1f980}\u{1f525} caf\u{e9}\u{301} shop",
    "two\nlines\r\n\nevent: page\ndata: x",
];
/// Time between two requests of a tap.
const PERIOD: Duration = Duration::from_millis(120);

/// The invented process.
#[derive(Debug)]
pub(crate) struct Fake {
    hosts: Vec<HostRow>,
    routes: Vec<RouteRow>,
    is_hostile: bool,
    /// A report is made after this; `None`: at once.
    report: Option<Arc<Notify>>,
}

impl Fake {
    /// With so many hosts.
    pub(crate) fn new(hosts: usize) -> Self {
        let hosts: Vec<HostRow> = (0..hosts).map(objects::host).collect();
        let routes = hosts
            .iter()
            .enumerate()
            .flat_map(|(at, host)| objects::routes(at, &host.name));
        Self {
            routes: routes.collect(),
            hosts,
            is_hostile: false,
            report: None,
        }
    }

    /// Whose reports wait for a permit of this.
    #[cfg(test)]
    pub(crate) fn reporting_after(self, report: Arc<Notify>) -> Self {
        Self {
            report: Some(report),
            ..self
        }
    }

    /// With every text replaced by one of [`HOSTILE`].
    pub(crate) fn hostile(self) -> Self {
        Self {
            is_hostile: true,
            ..self
        }
    }

    /// What the process says, or what a hostile one would say.
    fn said<T: Serialize + DeserializeOwned>(&self, value: T) -> T {
        if !self.is_hostile {
            return value;
        }
        let mut json = serde_json::to_value(&value).unwrap_or_default();
        make_hostile(&mut json, &mut 0);
        serde_json::from_value(json).unwrap_or(value)
    }

    fn route_of(&self, id: &str) -> Option<&RouteRow> {
        // A hostile name leads somewhere too.
        let mut routes = self.routes.iter();
        routes.find(|route| route.id == id || self.is_hostile)
    }
}

fn make_hostile(value: &mut Value, count: &mut usize) {
    match value {
        Value::String(text) => {
            let long = "long-".repeat(120);
            let hostile = HOSTILE.into_iter().chain([long.as_str()]);
            *text = hostile.cycle().nth(*count).unwrap_or_default().to_owned();
            *count += 1;
        }
        Value::Array(list) => list.iter_mut().for_each(|one| make_hostile(one, count)),
        Value::Object(fields) => {
            let is_outcome = fields.contains_key("location") || fields.contains_key("target");
            let all = fields.iter_mut();
            all.filter(|(key, _)| !(is_outcome && *key == "kind"))
                .for_each(|(_, one)| make_hostile(one, count));
        }
        _ => {}
    }
}

fn has_words(words: &str, texts: &[&str]) -> bool {
    let text = texts.join("\n").to_lowercase();
    words
        .to_lowercase()
        .split_whitespace()
        .all(|word| text.contains(word))
}

fn is_or_any(wanted: &Option<String>, found: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == found)
}

impl Source for Fake {
    fn overview(&self) -> Overview {
        let routes = self.routes.iter().take(8).cloned();
        let mut busiest: Vec<RouteRow> = routes
            .map(|route| RouteRow {
                traffic: Some(overview::traffic(overview::rate_of(&route))),
                ..route
            })
            .collect();
        busiest.sort_by_key(|route| {
            std::cmp::Reverse(route.traffic.as_ref().map(|traffic| traffic.requests))
        });
        self.said(overview::overview(self.hosts.len(), busiest))
    }

    fn hosts(&self, search: &Search) -> Page<HostRow> {
        let hosts = self.hosts.iter();
        let found =
            hosts.filter(|host| has_words(&search.q, &[&host.name, &host.aliases.join("\n")]));
        let page = Page::of(found.collect(), search);
        page.map(|host| self.said(host.clone()))
    }

    fn host(&self, name: &str) -> Option<HostPage> {
        let host = self
            .hosts
            .iter()
            .find(|host| host.name == name || self.is_hostile)?;
        let routes = self.routes.iter().filter(|route| route.host == host.name);
        Some(self.said(HostPage {
            host: host.clone(),
            hour: overview::series(60, 60, 40.0),
            routes: Page::of(routes.cloned().collect(), &Search::default()),
        }))
    }

    fn routes(&self, filter: &RouteFilter) -> Page<RouteRow> {
        let routes = self.routes.iter();
        let mut found: Vec<&RouteRow> = routes
            .filter(|route| {
                let texts = [
                    &route.host,
                    &route.path,
                    &route.namespace,
                    &route.name,
                    &route.service,
                ];
                has_words(&filter.search.q, &texts.map(String::as_str))
                    && is_or_any(&filter.host, &route.host)
                    && is_or_any(&filter.namespace, &route.namespace)
                    && is_or_any(&filter.object, &route.name)
                    && is_or_any(
                        &filter.service,
                        route.service.split('/').nth(1).unwrap_or_default(),
                    )
            })
            .collect();
        let of = |key: fn(&RouteRow) -> f64| {
            move |one: &&RouteRow, other: &&RouteRow| key(other).total_cmp(&key(one))
        };
        match filter.sort {
            RouteSort::Host => {}
            RouteSort::Requests => found.sort_by(of(overview::rate_of)),
            RouteSort::Errors => found.sort_by(of(overview::errors_of)),
            RouteSort::Latency => {
                found.sort_by(of(overview::latency_of));
            }
        }
        let page = Page::of(found, &filter.search);
        page.map(|route| self.said(route.clone()))
    }

    fn route<'a>(&'a self, id: &'a str) -> Reply<'a, Option<RoutePage>> {
        let page = self
            .route_of(id)
            .map(|route| self.said(objects::route_page(route)));
        Box::pin(std::future::ready(page))
    }

    fn canaries(&self, search: &Search) -> Page<CanaryRow> {
        let rows = objects::canaries(&self.routes);
        let found = rows
            .into_iter()
            .filter(|row| has_words(&search.q, &[&row.host, &row.path, &row.name]));
        Page::of(found.map(|row| self.said(row)).collect(), search)
    }

    fn findings(&self, filter: &FindingsFilter) -> FindingsPage {
        self.said(reports::findings(filter))
    }

    fn certificates(&self, search: &Search) -> CertificatesPage {
        let mut page = reports::certificates();
        page.retain(|row| {
            has_words(
                &search.q,
                &[&row.source, &row.names.join("\n"), &row.hosts.join("\n")],
            )
        });
        self.said(CertificatesPage {
            certificates: Page::of(page, search),
            default_hosts: vec!["legacy.shop.example".into(), "beta.shop.example".into()],
            default_host_count: 140,
        })
    }

    fn explain<'a>(&'a self, form: &'a ExplainForm) -> Reply<'a, Result<Explained, Failed>> {
        let explained = match form.url.parse::<http::Uri>() {
            Ok(url) if url.scheme().is_some() => Ok(self.said(reports::explained(form))),
            _ => Err(Failed::Invalid(format!(
                "url: {:?} has no scheme and host; give one such as https://shop.example/cart",
                form.url
            ))),
        };
        Box::pin(std::future::ready(explained))
    }

    fn check<'a>(&'a self, search: &'a Search) -> Reply<'a, Result<CheckPage, Failed>> {
        Box::pin(async {
            if let Some(report) = &self.report {
                report.notified().await;
            }
            Ok(self.said(reports::check(search)))
        })
    }

    fn annotation(&self, name: &str) -> Option<AnnotationPage> {
        let known = [
            "canary-weight",
            "limit-rps",
            "auth-secret",
            "rewrite-target",
        ];
        let is_known = known.contains(&name) || self.is_hostile;
        is_known.then(|| self.said(reports::annotation(name)))
    }

    fn tap(&self, filter: &TapFilter) -> Result<Box<dyn TapReader>, Failed> {
        let is_status = filter.status.is_empty()
            || (filter.status.len() == 3
                && filter.status.starts_with(|c: char| c.is_ascii_digit()));
        if !is_status {
            return Err(Failed::Invalid(format!(
                "status: {:?} is no status such as 404 and no class such as 5xx",
                filter.status
            )));
        }
        let events: Vec<TapEvent> = self
            .routes
            .iter()
            .take(24)
            .enumerate()
            .map(|(at, route)| reports::event(at, route))
            .collect();
        let digit = filter.status.chars().next();
        let of_class = |event: &TapEvent| {
            digit.is_none_or(|digit| event.status.to_string().starts_with(digit))
        };
        let chosen = events.into_iter().filter(|event| {
            of_class(event)
                && event.host.contains(&filter.host)
                && event.target.starts_with(&filter.path)
        });
        Ok(Box::new(Tap {
            events: chosen.map(|event| self.said(event)).collect(),
            period: tokio::time::interval(PERIOD),
            count: 0,
        }))
    }
}

/// The same requests again and again.
struct Tap {
    events: Vec<TapEvent>,
    period: tokio::time::Interval,
    count: usize,
}

impl TapReader for Tap {
    fn next(&mut self) -> Reply<'_, Option<TapMessage>> {
        Box::pin(async {
            if self.events.is_empty() {
                std::future::pending::<()>().await;
            }
            self.period.tick().await;
            let mut event = self.events[self.count % self.events.len()].clone();
            self.count += 1;
            event.end_unix_seconds = now() as f64 + 0.25;
            Some(TapMessage {
                lost: u64::from(self.count.is_multiple_of(10)) * 3,
                event,
            })
        })
    }
}

/// Unix seconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
