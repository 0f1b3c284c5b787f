//! The steps of a script and the edits that they select, each as one fact.

use super::facts::{Facts, route_facts, value};
use crate::{
    AddedField, AfterRewrite, Assigned, Condition, FieldChoice, FieldTemplate, FixedResponse,
    HostScript, InputEdit, Level, LocationMatch, OutputEdit, PathRewrite, Script, Step, ValueTest,
};

pub(super) fn script_facts(script: &Script, facts: &mut Facts) {
    let Script {
        path_patterns: _,
        steps,
        levels,
        request_fields,
        hidden_fields,
        passed_fields,
    } = script;
    for step in steps {
        facts.push(step_fact(step, script));
    }
    for fact in levels.first().map(level).unwrap_or_default() {
        facts.push(fact);
    }
    for (name, value) in request_fields {
        facts.push(format!(
            "request-field {name}={}",
            shown(name.as_str(), value)
        ));
    }
    if let Some(hidden) = hidden_fields {
        let names: Vec<&str> = hidden.iter().map(|name| name.as_str()).collect();
        facts.push(format!("hides {}", names.join(",")));
    }
    if !passed_fields.is_empty() {
        let names: Vec<&str> = passed_fields.iter().map(|name| name.as_str()).collect();
        facts.push(format!("passes {}", names.join(",")));
    }
}

/// The script of a host in brackets, with its locations.
pub(super) fn host_script_fact(host: &HostScript) -> String {
    let mut facts = Facts::default();
    script_facts(&host.script, &mut facts);
    for location in &host.locations {
        let path = match &location.path {
            LocationMatch::Exact(path) => format!("= {path}"),
            LocationMatch::Prefix {
                path,
                before_expressions: true,
            } => format!("^~ {path}"),
            LocationMatch::Prefix { path, .. } => path.to_string(),
            LocationMatch::Expression(pattern) => format!("~ {}", pattern.source()),
        };
        let inner = route_facts(&location.route).join(", ");
        facts.push(format!("location {path} ({inner})"));
    }
    format!("[{}]", facts.list().join("; "))
}

fn step_fact(step: &Step, script: &Script) -> String {
    match step {
        Step::Set { target, value } => {
            let target = match target {
                Assigned::Local(name) => name.to_string(),
                Assigned::Args => "args".to_owned(),
            };
            format!(
                "set ${target}={}",
                unless_secret(&target, value.to_string())
            )
        }
        Step::Rewrite(rewrite) => rewrite_fact(rewrite),
        Step::Return(response) => response_fact(response),
        Step::Break => "break".to_owned(),
        Step::If {
            condition,
            steps,
            level: selected,
        } => {
            let mut inner: Vec<String> = steps.iter().map(|step| step_fact(step, script)).collect();
            let base = script.levels.first().map(level).unwrap_or_default();
            let own = script.levels.get(*selected).map(level).unwrap_or_default();
            inner.extend(own.into_iter().filter(|fact| !base.contains(fact)));
            format!("if {} ({})", condition_fact(condition), inner.join(", "))
        }
    }
}

fn condition_fact(condition: &Condition) -> String {
    let Condition {
        value,
        test,
        negated,
    } = condition;
    let not = if *negated { "!" } else { "" };
    match test {
        ValueTest::True => format!("{not}{value}"),
        ValueTest::Equals(text) => {
            let text = unless_secret(value.source(), text.to_string());
            format!("{value}{not}={text}")
        }
        ValueTest::Matches(pattern) => {
            let source = unless_secret(value.source(), pattern.source().to_owned());
            format!("{value}{not}~{source}")
        }
    }
}

fn rewrite_fact(rewrite: &PathRewrite) -> String {
    let PathRewrite {
        pattern,
        path,
        query,
        keeps_query,
        then,
    } = rewrite;
    let query = query.as_ref().map(|query| format!("?{query}"));
    let end = if *keeps_query { "" } else { " without query" };
    let then = match then {
        AfterRewrite::Continue => String::new(),
        AfterRewrite::Last => " last".to_owned(),
        AfterRewrite::Break => " break".to_owned(),
        AfterRewrite::Redirect(status) => format!(" {}", status.as_u16()),
    };
    let query = query.unwrap_or_default();
    format!("rewrites {}->{path}{query}{end}{then}", pattern.source())
}

fn response_fact(response: &FixedResponse) -> String {
    match response {
        FixedResponse::Page(status) => format!("returns {}", status.as_u16()),
        FixedResponse::Text(status, text) => {
            format!("returns {} {text:?}", status.as_u16(), text = text.source())
        }
        FixedResponse::Redirect(status, to) => format!("returns {} {to}", status.as_u16()),
        FixedResponse::Close => "closes".to_owned(),
    }
}

fn level(level: &Level) -> Vec<String> {
    let Level {
        input,
        output,
        added,
        replaces_added: _,
        expires,
        compression,
        access_log,
        default_type,
    } = level;
    let mut facts = Facts::default();
    for edit in input {
        facts.push(input_fact(edit));
    }
    for edit in output {
        facts.push(output_fact(edit));
    }
    for AddedField {
        name,
        value,
        always,
    } in &**added
    {
        let always = if *always { " always" } else { "" };
        facts.push(format!("adds {name}={value}{always}"));
    }
    facts.some("expires", expires.as_ref());
    if let Some(compression) = compression {
        let on = if compression.is_some() { "on" } else { "off" };
        facts.push(format!("gzip {on}"));
    }
    if let Some(log) = access_log {
        facts.push(format!("access-log {}", if *log { "on" } else { "off" }));
    }
    facts.some("default-type", default_type.as_ref().map(value));
    facts.list()
}

fn input_fact(edit: &InputEdit) -> String {
    let InputEdit {
        field,
        value,
        only_present,
    } = edit;
    let present = if *only_present { " if present" } else { "" };
    format!("input {}{present}", assignment(field, value.as_ref()))
}

fn output_fact(edit: &OutputEdit) -> String {
    let OutputEdit {
        field,
        value,
        append,
        statuses,
        types,
    } = edit;
    let mut text = format!("output {}", assignment(field, value.as_ref()));
    if *append {
        text.push_str(" beside");
    }
    for status in statuses {
        text.push_str(&format!(" {}", status.as_u16()));
    }
    for media in types {
        text.push_str(&format!(" {media}"));
    }
    text
}

fn assignment(field: &FieldChoice, value: Option<&FieldTemplate>) -> String {
    let name = match field {
        FieldChoice::Name(name) => name.to_string(),
        FieldChoice::Prefix(prefix) => format!("{prefix}*"),
    };
    match value {
        Some(value) => format!("{name}={}", shown(&name, value)),
        None => format!("-{name}"),
    }
}

/// The value of a field, unless it may be a password.
fn shown(name: &str, value: &FieldTemplate) -> String {
    unless_secret(name, value.to_string())
}

/// `text`, unless the name of what it is for says that it may be a password.
fn unless_secret(name: &str, text: String) -> String {
    const SECRETS: [&str; 6] = ["auth", "cookie", "key", "password", "secret", "token"];
    let lower = name.to_ascii_lowercase();
    if SECRETS.iter().any(|secret| lower.contains(secret)) {
        return "(hidden)".to_owned();
    }
    text
}
