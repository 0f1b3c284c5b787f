//! The upstreams of the table with what the data plane knows of them, for `/debug/table`.

use headgate_proxy::{EndpointReport, EndpointState, ResolvedNames, upstream_report};
use headgate_table::{RoutingTable, Upstream};
use serde_json::{Value, json};

/// The upstreams by their keys. Endpoints of names are known if `names` are.
pub(super) fn of(table: &RoutingTable, names: Option<&ResolvedNames>) -> Value {
    let mut all: Vec<&Upstream> = table.upstreams().map(|upstream| &**upstream).collect();
    all.sort_by(|one, other| one.key.cmp(&other.key));
    all.into_iter().map(|one| upstream(one, names)).collect()
}

fn upstream(upstream: &Upstream, names: Option<&ResolvedNames>) -> Value {
    let report = upstream_report(upstream, names);
    let endpoints = report.endpoints.iter().map(endpoint).collect();
    json!({
        "key": upstream.key.as_str(),
        "name": &*upstream.name,
        "requests": report.requests,
        "pending": report.pending,
        "endpoints": Value::Array(endpoints),
    })
}

/// Without what does not apply: most endpoints are sound.
fn endpoint(endpoint: &EndpointReport) -> Value {
    let state = &endpoint.state;
    let mut value = json!({ "address": endpoint.address.to_string(), "state": state.as_str() });
    if let Some(requests) = endpoint.requests {
        value["requests"] = requests.into();
    }
    if let EndpointState::Starting(share, left) = state {
        value["sharePercent"] = (*share).into();
        value["startingSeconds"] = left.as_secs().into();
    }
    if let Some(failures) = state.failures() {
        value["failures"] = failures.into();
    }
    if let Some(time) = state.left_out() {
        value["leftOutSeconds"] = time.as_secs().into();
    }
    value
}
