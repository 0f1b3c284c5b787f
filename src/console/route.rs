//! A route with everything about it.

use headgate_compile::{Name, ObjectRef, Subject};
use headgate_console::model::{FindingRow, RoutePage};
use headgate_table::{Origin, route_facts};

use super::hosts::row;
use super::{Console, endpoints, explain, findings};

pub(super) async fn route(console: &Console, id: &str) -> Option<RoutePage> {
    let (table, index) = console.index()?;
    let route = index.route(id)?;
    let host = index.host_of(route)?;
    let explained = explain::of_route(console, table.generation, (host, route)).await;
    let names = console.state.explainer().names();
    let mut backends = endpoints::backends(&table, &route.route.target, names);
    if let (Some(live), Some(number)) = (console.live.get(), route.number()) {
        let endpoints = backends
            .iter_mut()
            .flat_map(|backend| &mut backend.endpoints);
        console.watches.fill(&live.telemetry, number, endpoints);
    }
    Some(RoutePage {
        route: console.with_window(|window| row(&table, route, window)),
        facts: route_facts(&route.route),
        recent: console.recent(route),
        backends,
        explained,
        findings: of_object(console, &route.route.origin),
    })
}

/// The findings about an object, the gravest first.
fn of_object(console: &Console, origin: &Origin) -> Vec<FindingRow> {
    let name = Name::new(&origin.namespace, &origin.name);
    let mut all = console.state.findings();
    all.retain(|finding| match &finding.subject {
        Subject::Object(ObjectRef { kind, name: of }) => {
            kind.as_str() == origin.kind && *of == name
        }
        Subject::Document { .. } => false,
    });
    all.sort();
    all.iter().map(findings::row).collect()
}
