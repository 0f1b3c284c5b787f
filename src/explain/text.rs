//! An explanation for a terminal, with colours that the writer removes elsewhere.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

/// The explanation as text.
pub(super) fn text(explained: &Value) -> String {
    let mut out = Text(String::new());
    out.headline(explained);
    for note in list(&explained["notes"]) {
        out.line(&format!("note: {}", string(note)));
    }
    out.place(explained);
    out.steps(explained);
    out.backends(explained);
    out.losers(explained);
    out.findings(explained);
    out.0
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    fn heading(&mut self, title: &str) {
        self.line("");
        self.line(&format!("{BOLD}{title}{BOLD:#}"));
    }

    fn headline(&mut self, explained: &Value) {
        let request = &explained["request"];
        let (method, url) = (string(&request["method"]), string(&request["url"]));
        let outcome = &explained["outcome"];
        let (style, result) = match string(&outcome["kind"]) {
            "forwarded" => {
                let backends = list(&explained["backends"]);
                let names: Vec<&str> = backends.iter().map(|one| string(&one["name"])).collect();
                let target = string(&outcome["target"]);
                (
                    GREEN,
                    format!("forwarded to {} as {target}", names.join(" or ")),
                )
            }
            "passedThrough" => (GREEN, "passed through undecrypted".to_owned()),
            "closed" => (RED, "the connection is closed".to_owned()),
            "response" => {
                let location = match string(&outcome["location"]) {
                    "" => String::new(),
                    location => format!(", to {location}"),
                };
                let status = outcome["status"].as_u64().unwrap_or_default();
                let style = if status < 400 { YELLOW } else { RED };
                (style, format!("responds with {status}{location}"))
            }
            _ => (RED, "no listener receives it".to_owned()),
        };
        self.line(&format!(
            "{BOLD}{method} {url}{BOLD:#}: {style}{result}{style:#}"
        ));
    }

    fn place(&mut self, explained: &Value) {
        let listener = &explained["listener"];
        if !listener.is_null() {
            let (scheme, address) = (string(&listener["scheme"]), string(&listener["address"]));
            self.line(&format!("listener  {scheme} on {address}"));
        }
        let host = &explained["host"];
        if !host.is_null() {
            let (name, because) = (string(&host["name"]), string(&host["because"]));
            let mode = if host["regex"] == true {
                ", in regex mode"
            } else {
                ""
            };
            self.line(&format!("host      {name}: {because}{mode}"));
            if let Some(certificate) = host["certificate"].as_str() {
                self.line(&format!("          certificate {certificate}"));
            }
        }
        let route = &explained["route"];
        if !route.is_null() {
            let (kind, path) = (string(&route["type"]), string(&route["path"]));
            let object = string(&route["object"]);
            let service = match string(&route["service"]) {
                "" => String::new(),
                service => format!(", Service {service}"),
            };
            self.line(&format!("rule      {kind} {path} of {object}{service}"));
        }
    }

    fn steps(&mut self, explained: &Value) {
        let steps = list(&explained["steps"]);
        if steps.is_empty() {
            return;
        }
        self.heading("Steps");
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
            self.line(&format!(
                "  {style}{result:<8}{style:#} {name}{detail}{from}"
            ));
        }
    }

    fn backends(&mut self, explained: &Value) {
        let backends = list(&explained["backends"]);
        if backends.is_empty() {
            return;
        }
        self.heading("Backends");
        for backend in backends {
            let (name, role) = (string(&backend["name"]), string(&backend["role"]));
            let (because, from) = (string(&backend["because"]), origin(&backend["from"]));
            self.line(&format!("  {name} ({role}): {because}{from}"));
            let endpoints: Vec<&str> = list(&backend["endpoints"]).iter().map(string).collect();
            let endpoints = if endpoints.is_empty() {
                "none".to_owned()
            } else {
                endpoints.join(" ")
            };
            self.line(&format!(
                "    endpoints {endpoints}: {}",
                string(&backend["balance"])
            ));
        }
    }

    fn losers(&mut self, explained: &Value) {
        let losers = list(&explained["losers"]);
        if losers.is_empty() {
            return;
        }
        self.heading("Not chosen");
        for loser in losers {
            let object = match string(&loser["object"]) {
                "" => String::new(),
                object => format!(" of {object}"),
            };
            let (kind, name) = (string(&loser["kind"]), string(&loser["name"]));
            self.line(&format!(
                "  {kind} {name}{object}: {}",
                string(&loser["because"])
            ));
        }
    }

    fn findings(&mut self, explained: &Value) {
        let findings = list(&explained["findings"]);
        if findings.is_empty() {
            return;
        }
        self.heading("Findings about the Ingresses of this host");
        for finding in findings {
            let severity = string(&finding["severity"]);
            let style = if severity == "error" { RED } else { YELLOW };
            let field = match string(&finding["field"]) {
                "" => String::new(),
                field => format!(" {field}"),
            };
            let object = string(&finding["object"]);
            self.line(&format!(
                "  {style}{severity}{style:#} {object}{field}: {}",
                string(&finding["message"])
            ));
        }
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
