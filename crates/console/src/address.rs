//! Which page an address is of, with its parameters.

use crate::Failed;
use crate::format::Link;
use crate::model::{
    ExplainForm, FindingsFilter, MAX_LIMIT, RouteFilter, RouteSort, Search, TapFilter,
};
use crate::query::Query;

/// A page with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// State and traffic.
    Overview(Range),
    /// Routes of all hosts.
    Routes(RouteFilter),
    /// A route by its id.
    Route(String),
    /// Hosts.
    Hosts(Search),
    /// A host by its name.
    Host(String),
    /// Splits.
    Canaries(Search),
    /// Findings.
    Findings(FindingsFilter),
    /// Certificates.
    Certificates(Search),
    /// What would happen to a request.
    Explain(ExplainForm),
    /// Requests as they end.
    Live(TapFilter),
    /// The report of `headgate check`, and which of its Ingresses.
    Check(Search),
    /// What an annotation does, by its name.
    Annotation(String),
}

/// The time that charts are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// Ten minutes.
    Recent,
    /// An hour.
    Hour,
}

/// Names of the orders of routes in links.
pub(crate) const SORTS: [(&str, RouteSort); 4] = [
    ("host", RouteSort::Host),
    ("requests", RouteSort::Requests),
    ("errors", RouteSort::Errors),
    ("latency", RouteSort::Latency),
];
/// Severities of findings in links; the first is all.
pub(crate) const SEVERITIES: [&str; 4] = ["", "error", "warning", "info"];

impl Target {
    /// The page at a path; `None`: there is none.
    ///
    /// # Errors
    /// [`Failed::Invalid`] if a parameter is wrong.
    pub(crate) fn parse(path: &str, query: &str) -> Result<Option<Self>, Failed> {
        let mut query = Query::parse(query);
        let segment = |prefix: &str| {
            let rest = path.strip_prefix(prefix)?;
            (!rest.is_empty() && !rest.contains('/')).then(|| Query::decoded(rest))
        };
        let target = match path {
            "/" => Self::Overview(
                query.choice("range", &[("10m", Range::Recent), ("1h", Range::Hour)])?,
            ),
            "/routes" => Self::Routes(RouteFilter {
                search: query.search()?,
                host: query.optional("host")?,
                namespace: query.optional("namespace")?,
                object: query.optional("object")?,
                service: query.optional("service")?,
                sort: query.choice("sort", &SORTS)?,
            }),
            "/hosts" => Self::Hosts(query.search()?),
            "/canaries" => Self::Canaries(query.search()?),
            "/findings" => {
                let severities = SEVERITIES.map(|word| (word, word));
                let severity = query.choice("severity", &severities)?;
                Self::Findings(FindingsFilter {
                    search: query.search()?,
                    severity: (!severity.is_empty()).then(|| severity.to_owned()),
                })
            }
            "/certificates" => Self::Certificates(query.search()?),
            "/explain" => Self::Explain(explain_form(&mut query)?),
            "/live" => Self::Live(tap_filter(&mut query)?),
            "/check" => Self::Check(query.search()?),
            _ => {
                let found = segment("/routes/").map(Self::Route);
                let found = found.or_else(|| segment("/hosts/").map(Self::Host));
                let found = found.or_else(|| segment("/annotations/").map(Self::Annotation));
                let Some(found) = found else {
                    return Ok(None);
                };
                found
            }
        };
        query.end()?;
        Ok(Some(target))
    }

    /// Its address.
    pub(crate) fn link(&self) -> Link {
        match self {
            Self::Overview(Range::Recent) => Link::to("/"),
            Self::Overview(Range::Hour) => Link::to("/").with("range", "1h"),
            Self::Routes(filter) => routes_link(filter),
            Self::Route(id) => Link::to("/routes").segment(id),
            Self::Hosts(search) => searched(Link::to("/hosts"), search),
            Self::Host(name) => Link::to("/hosts").segment(name),
            Self::Canaries(search) => searched(Link::to("/canaries"), search),
            Self::Findings(filter) => {
                let severity = filter.severity.as_deref().unwrap_or_default();
                let link = Link::to("/findings").with("severity", severity);
                searched(link, &filter.search)
            }
            Self::Certificates(search) => searched(Link::to("/certificates"), search),
            Self::Explain(form) => {
                let link = Link::to("/explain").with("url", &form.url);
                let link = link.with("method", &form.method).with("from", &form.from);
                let headers = form.header.iter();
                headers.fold(link, |link, header| link.with("header", header))
            }
            Self::Live(filter) => Link::to("/live")
                .with("host", &filter.host)
                .with("path", &filter.path)
                .with("status", &filter.status)
                .with("client", &filter.client)
                .with("ingress", &filter.ingress)
                .with("queries", if filter.show_query { "shown" } else { "" }),
            Self::Check(search) => searched(Link::to("/check"), search),
            Self::Annotation(name) => Link::to("/annotations").segment(name),
        }
    }
}

/// A field of headers may be repeated, and have several lines: browsers send one.
fn explain_form(query: &mut Query) -> Result<ExplainForm, Failed> {
    let fields = query.all("header");
    let lines = fields.iter().flat_map(|field| field.lines());
    let lines = lines.map(str::trim).filter(|line| !line.is_empty());
    Ok(ExplainForm {
        header: lines.map(str::to_owned).collect(),
        url: query.text("url")?,
        method: query.text("method")?,
        from: query.text("from")?,
    })
}

fn tap_filter(query: &mut Query) -> Result<TapFilter, Failed> {
    let rate = query.number("rate", 0)?;
    Ok(TapFilter {
        host: query.text("host")?,
        path: query.text("path")?,
        status: query.text("status")?,
        client: query.text("client")?,
        ingress: query.text("ingress")?,
        show_query: query.choice("queries", &[("masked", false), ("shown", true)])?,
        rate: u32::try_from(rate).unwrap_or(u32::MAX),
    })
}

fn routes_link(filter: &RouteFilter) -> Link {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let sort = SORTS.iter().find(|(_, sort)| *sort == filter.sort);
    let sort = sort.filter(|(_, sort)| *sort != RouteSort::default());
    let link = Link::to("/routes")
        .with("host", &text(&filter.host))
        .with("namespace", &text(&filter.namespace))
        .with("object", &text(&filter.object))
        .with("service", &text(&filter.service))
        .with("sort", sort.map_or("", |(word, _)| *word));
    searched(link, &filter.search)
}

fn searched(link: Link, search: &Search) -> Link {
    let defaults = Search::default();
    let unless = |number: usize, default: usize| match number {
        number if number == default => String::new(),
        number => number.to_string(),
    };
    link.with("q", &search.q)
        .with("offset", &unless(search.offset, defaults.offset))
        .with(
            "limit",
            &unless(search.limit.min(MAX_LIMIT), defaults.limit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_back() {
        let links = [
            "/",
            "/?range=1h",
            "/routes?host=a&namespace=b&object=c&service=d&sort=errors&q=x%20y&offset=50&limit=10",
            "/routes/a%2Fb%3F",
            "/hosts?q=%3Cscript%3E",
            "/hosts/%2A.shop.example",
            "/canaries",
            "/findings?severity=error&q=a",
            "/certificates?offset=50",
            "/explain?url=https%3A%2F%2Fa%2F&method=POST&from=10.0.0.1&header=A%3A%201&header=B%3A%202",
            "/live?host=a&path=%2Fb&status=5xx&client=10.0.0.0%2F8&ingress=a%2Fb&queries=shown",
            "/check",
            "/check?q=shop&offset=50",
            "/annotations/canary-weight",
        ];
        for link in links {
            let (path, query) = link.split_once('?').unwrap_or((link, ""));
            let target = Target::parse(path, query).unwrap().expect(link);
            assert_eq!(target.link().as_str(), link);
        }
    }

    #[test]
    fn other_addresses_have_no_page() {
        for path in [
            "/login/",
            "/routes/",
            "/hosts/a/b",
            "/x",
            "//",
            "/Check",
            "",
        ] {
            assert_eq!(Target::parse(path, "").unwrap(), None, "{path}");
        }
        let error = Target::parse("/annotations/a", "x=1").unwrap_err();
        assert_eq!(error.to_string(), "\"x\": there are no parameters here");
        let error = Target::parse("/findings", "severity=grave").unwrap_err();
        let expected = "severity: \"grave\" is none of: error, warning, info";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_field_has_several_headers() {
        let target = Target::parse("/explain", "url=a&header=A:+1%0D%0A%0D%0A+B:+2").unwrap();
        let Some(Target::Explain(form)) = target else {
            panic!("another page");
        };
        assert_eq!(form.header, ["A: 1", "B: 2"]);
    }
}
