//! An explanation for a terminal.

use serde_json::Value;

use crate::output::text::{BOLD, DIM, GREEN, RED, Text, YELLOW};

/// The explanation as text.
pub(super) fn text(explained: &Value) -> String {
    let mut out = Text::default();
    headline(explained, &mut out);
    for note in list(&explained["notes"]) {
        out.line(&format!("note: {}", string(note)));
    }
    place(explained, &mut out);
    steps(explained, &mut out);
    backends(explained, &mut out);
    losers(explained, &mut out);
    findings(explained, &mut out);
    out.into_string()
}

fn headline(explained: &Value, out: &mut Text) {
    let request = &explained["request"];
    let request = [string(&request["method"]), string(&request["url"])].join(" ");
    let backends = list(&explained["backends"]);
    let names: Vec<&str> = backends.iter().map(|one| string(&one["name"])).collect();
    let names = names.join(" or ");
    let outcome = &explained["outcome"];
    let (style, result) = match string(&outcome["kind"]) {
        "forwarded" => {
            let target = string(&outcome["target"]);
            (GREEN, format!("forwarded to {names} as {target}"))
        }
        "streamed" => (GREEN, format!("forwarded to {names}")),
        "passedThrough" => (GREEN, "passed through undecrypted".to_owned()),
        "closed" => (RED, "the connection is closed".to_owned()),
        "response" => {
            let location = match string(&outcome["location"]) {
                "" => String::new(),
                location => format!(", to {location}"),
            };
            let call = match string(&outcome["grpcStatus"]) {
                "" => String::new(),
                status => format!(" and grpc-status {status}"),
            };
            let status = outcome["status"].as_u64().unwrap_or_default();
            let style = match status < 400 && call.is_empty() {
                true => YELLOW,
                false => RED,
            };
            (style, format!("responds with {status}{call}{location}"))
        }
        _ => (RED, string(&outcome["because"]).to_owned()),
    };
    out.line(&format!(
        "{BOLD}{}{BOLD:#}: {style}{result}{style:#}",
        request.trim_start()
    ));
}

fn place(explained: &Value, out: &mut Text) {
    let listener = &explained["listener"];
    if !listener.is_null() {
        let (scheme, address) = (string(&listener["scheme"]), string(&listener["address"]));
        let gateway = match string(&listener["object"]) {
            "" => String::new(),
            object => format!(", {} of {object}", string(&listener["name"])),
        };
        out.line(&format!("listener  {scheme} on {address}{gateway}"));
    }
    let host = &explained["host"];
    if !host.is_null() {
        let (name, because) = (string(&host["name"]), string(&host["because"]));
        let mode = if host["regex"] == true {
            ", in regex mode"
        } else {
            ""
        };
        out.line(&format!("host      {name}: {because}{mode}"));
        if let Some(certificate) = host["certificate"].as_str() {
            out.line(&format!("          certificate {certificate}"));
        }
    }
    let entry = &explained["entry"];
    if !entry.is_null() {
        let (key, object) = (string(&entry["key"]), string(&entry["object"]));
        let service = string(&entry["service"]);
        out.line(&format!("entry     {key} of {object}, Service {service}"));
    }
    let route = &explained["route"];
    if !route.is_null() {
        let (kind, path) = (string(&route["type"]), string(&route["path"]));
        let object = [string(&route["object"]), &rule(&route["rule"])].join(" ");
        let object = object.trim_end();
        let service = match string(&route["service"]) {
            "" => String::new(),
            service => format!(", Service {service}"),
        };
        out.line(&format!("rule      {kind} {path} of {object}{service}"));
    }
}

/// The field of a rule, with its name.
fn rule(rule: &Value) -> String {
    let index = rule["index"].as_u64();
    let field = index.map_or_else(String::new, |index| format!("spec.rules[{index}]"));
    match string(&rule["name"]) {
        "" => field,
        name => format!("{field} ({name})"),
    }
}

fn steps(explained: &Value, out: &mut Text) {
    let steps = list(&explained["steps"]);
    if steps.is_empty() {
        return;
    }
    out.heading("Steps");
    for step in steps {
        let result = string(&step["result"]);
        let style = match result {
            "passes" => GREEN,
            "depends" => YELLOW,
            _ => RED,
        };
        let from = origin(&step["from"]);
        let detail = match string(&step["detail"]) {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        let name = string(&step["name"]);
        out.line(&format!(
            "  {style}{result:<8}{style:#} {name}{detail}{from}"
        ));
    }
}

fn backends(explained: &Value, out: &mut Text) {
    let backends = list(&explained["backends"]);
    if backends.is_empty() {
        return;
    }
    out.heading("Backends");
    for backend in backends {
        let (name, role) = (string(&backend["name"]), string(&backend["role"]));
        let (because, from) = (string(&backend["because"]), origin(&backend["from"]));
        out.line(&format!("  {name} ({role}): {because}{from}"));
        let endpoints: Vec<&str> = list(&backend["endpoints"]).iter().map(string).collect();
        let endpoints = if endpoints.is_empty() {
            "none".to_owned()
        } else {
            endpoints.join(" ")
        };
        out.line(&format!(
            "    endpoints {endpoints}: {}",
            string(&backend["balance"])
        ));
        for trouble in list(&backend["troubles"]) {
            out.line(&format!("    {YELLOW}{}{YELLOW:#}", string(trouble)));
        }
    }
}

fn losers(explained: &Value, out: &mut Text) {
    let losers = list(&explained["losers"]);
    if losers.is_empty() {
        return;
    }
    out.heading("Not chosen");
    for loser in losers {
        let object = match string(&loser["object"]) {
            "" => String::new(),
            object => format!(" of {object} {}", string(&loser["rule"])),
        };
        let object = object.trim_end();
        let (kind, name) = (string(&loser["kind"]), string(&loser["name"]));
        out.line(&format!(
            "  {kind} {name}{object}: {}",
            string(&loser["because"])
        ));
    }
}

fn findings(explained: &Value, out: &mut Text) {
    let findings = list(&explained["findings"]);
    if findings.is_empty() {
        return;
    }
    let is_of_gateway = !explained["listener"]["object"].is_null();
    let about = match explained["host"].is_null() {
        _ if is_of_gateway => "the Gateway and the route",
        true => "this port",
        false => "the Ingresses of this host",
    };
    out.heading(&format!("Findings about {about}"));
    for finding in findings {
        let place = [string(&finding["object"]), string(&finding["field"])].join(" ");
        let severity = string(&finding["severity"]);
        out.finding(severity, place.trim_end(), string(&finding["message"]));
    }
}

/// The annotations or keys that something comes from, in brackets.
fn origin(from: &Value) -> String {
    let from: Vec<&str> = list(from).iter().map(string).collect();
    if from.is_empty() {
        String::new()
    } else {
        format!(" {DIM}[{}]{DIM:#}", from.join(", "))
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
