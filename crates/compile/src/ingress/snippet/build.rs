//! From the directives of all blocks around a location to what its route does.

mod gzip;
mod level;
mod steps;

use std::sync::Arc;

use headgate_table::{AddressRule, Compression, FieldTemplate, Script, Step};
use http::HeaderName;
use http::header::{CONNECTION, HOST, UPGRADE};

use self::level::LevelDraft;
pub(super) use self::steps::Steps;
use super::Snippet;
use super::directive::{Directive, Forward, Placed};
use super::harmless::is_harmless;
use super::names::Names;
use crate::Severity;
use crate::ingress::snippet::Remark;

/// The blocks around a location, from the outside. Later texts of one block come after earlier ones.
#[derive(Clone, Copy, Default)]
pub(crate) struct Blocks<'a> {
    pub(crate) http: &'a [&'a Snippet],
    pub(crate) server: &'a [&'a Snippet],
    pub(crate) location: &'a [&'a Snippet],
}

/// What of the proxy a location inherits or replaces.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// Compression by the settings.
    pub(crate) compression: Option<&'a Arc<Compression>>,
    /// Fields that the settings hide.
    pub(crate) hidden: &'a [HeaderName],
    /// The proxy adds a field to the responses of this location, so that it inherits none.
    pub(crate) adds_fields: bool,
    /// The backend speaks gRPC, for which other directives set fields.
    pub(crate) grpc: bool,
}

/// What a route does by its snippets.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) script: Option<Script>,
    /// Rules of addresses, in order.
    pub(crate) rules: Vec<AddressRule>,
    /// They are those of an outer block, so that lists of the location replace them.
    pub(crate) inherits_rules: bool,
    /// How requests are forwarded; later ones win.
    pub(crate) forward: Vec<Forward>,
    /// Host for the backend.
    pub(crate) host: Option<FieldTemplate>,
    /// `Connection` for the backend is `close`.
    pub(crate) closes_connections: bool,
    pub(crate) remarks: Vec<Remark>,
    /// Why the route must not be served.
    pub(crate) closed: Option<String>,
}

/// Builds what a route with these blocks around it does. `names` are the variables that configuration defines.
pub(crate) fn build(blocks: Blocks<'_>, around: Around<'_>, names: &Names) -> Built {
    let mut built = Built::default();
    let mut check = Check {
        names,
        remarks: Vec::new(),
        closed: None,
    };
    let directives = |snippets: &[&Snippet]| -> Vec<Placed> {
        let all = snippets
            .iter()
            .flat_map(|snippet| snippet.directives.iter().cloned());
        all.collect()
    };
    let http = check.defined(directives(blocks.http));
    let server = check.defined(directives(blocks.server));
    let location = check.defined(directives(blocks.location));
    let mut base = LevelDraft::of(around).inner(&http).inner(&server);
    if around.adds_fields {
        base.forget_added();
    }
    let base = base.inner(&location);
    let mut steps = Steps::new(base);
    let run = steps.run(&location);
    built.rules = steps.base().rules.clone();
    let is_rule = |placed: &Placed| matches!(placed.directive, Directive::Address(_));
    built.inherits_rules = !location.iter().any(is_rule);
    for placed in &location {
        if let Directive::Forward(forward) = &placed.directive {
            built.forward.push(forward.clone());
        }
    }
    let fields = request_fields(&location, around.grpc);
    for (name, value) in &fields {
        if *name == HOST {
            built.host = Some(value.clone());
        } else if *name == CONNECTION {
            let fixed = value.template().is_none().then(|| value.to_string());
            built.closes_connections = fixed.is_some_and(|text| text.eq_ignore_ascii_case("close"));
        }
    }
    built.script = script(run, steps, fields);
    built.remarks = check.remarks;
    built.closed = check.closed;
    built
}

/// Fields for the backend; of one name, the last.
fn request_fields(location: &[Placed], grpc: bool) -> Vec<(HeaderName, FieldTemplate)> {
    let mut fields: Vec<(HeaderName, FieldTemplate)> = Vec::new();
    for placed in location {
        let ((Directive::RequestField(name, value), false)
        | (Directive::GrpcField(name, value), true)) = (&placed.directive, grpc)
        else {
            continue;
        };
        fields.retain(|(known, _)| known != name);
        fields.push((name.clone(), value.clone()));
    }
    fields
}

/// The script, unless it does nothing.
fn script(
    run: Vec<Step>,
    steps: Steps,
    mut request_fields: Vec<(HeaderName, FieldTemplate)>,
) -> Option<Script> {
    request_fields.retain(|(name, _)| !is_connection(name));
    let hidden_fields = steps.base().hidden();
    let passed_fields = steps.base().passed.clone();
    let levels = steps.levels();
    let plain = levels
        .first()
        .is_none_or(|level| *level == headgate_table::Level::default());
    let nothing = run.is_empty()
        && plain
        && request_fields.is_empty()
        && hidden_fields.is_none()
        && passed_fields.is_empty();
    (!nothing).then(|| Script {
        path_patterns: Box::default(),
        steps: run.into(),
        levels: levels.into(),
        request_fields: request_fields.into(),
        hidden_fields: hidden_fields.map(Into::into),
        passed_fields: passed_fields.into(),
    })
}

/// Fields that are set in another way, or that an upgrade of the client sets without configuration.
fn is_connection(name: &HeaderName) -> bool {
    [HOST, CONNECTION, UPGRADE].contains(name)
}

/// Leaves out directives with variables that do not exist.
struct Check<'a> {
    names: &'a Names,
    remarks: Vec<Remark>,
    closed: Option<String>,
}

impl Check<'_> {
    fn defined(&mut self, directives: Vec<Placed>) -> Vec<Placed> {
        let kept = directives.into_iter().filter_map(|placed| self.one(placed));
        kept.collect()
    }

    fn one(&mut self, placed: Placed) -> Option<Placed> {
        if let Some(name) = self.names.undefined(&placed.directive) {
            let message = format!(
                "line {}: {}: there is no variable ${name}",
                placed.line, placed.name
            );
            if is_harmless(placed.name) {
                self.remarks.push(Remark {
                    severity: Severity::Error,
                    message: format!("{message}; the rest is served without it"),
                });
            } else {
                self.closed.get_or_insert(message);
            }
            return None;
        }
        let directive = match placed.directive {
            Directive::If(condition, inner) => Directive::If(condition, self.defined(inner)),
            Directive::Location(path, inner) => Directive::Location(path, self.defined(inner)),
            other => other,
        };
        Some(Placed {
            directive,
            ..placed
        })
    }
}
