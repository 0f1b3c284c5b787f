//! From the directives of all blocks around a location to what its route does.

mod gzip;
mod level;
mod steps;

use std::sync::Arc;

use headgate_table::{AddressRule, Compression, FieldTemplate, Script, Step};
use http::HeaderName;
use http::header::{CONNECTION, HOST, UPGRADE};
use ipnet::IpNet;

use self::level::LevelDraft;
pub(super) use self::steps::Steps;
use super::Snippet;
use super::directive::{Directive, Forward, Placed};
use super::harmless::is_harmless;
use super::names::Names;
use crate::Severity;
use crate::ingress::snippet::{Refusal, Remark};

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
    /// Clients that the settings deny everywhere (`block-cidrs`).
    pub(crate) blocked: &'a [IpNet],
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
    /// Why the route must not be served: a variable that nothing defines.
    pub(crate) closed: Option<Refusal>,
}

/// Builds what a route with these blocks around it does. `names` are the variables that configuration defines.
pub(crate) fn build(blocks: Blocks<'_>, around: Around<'_>, names: &Names) -> Built {
    let mut built = Built::default();
    let mut check = Check {
        names,
        key: None,
        remarks: Vec::new(),
        closed: None,
    };
    let http = check.all(blocks.http);
    let server = check.all(blocks.server);
    let location = check.all(blocks.location);
    let base = LevelDraft::of(around).inner(&http);
    let mut base = base.beside_settings(around).inner(&server);
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
    /// That of the snippet.
    key: Option<&'static str>,
    remarks: Vec<Remark>,
    closed: Option<Refusal>,
}

impl Check<'_> {
    fn all(&mut self, snippets: &[&Snippet]) -> Vec<Placed> {
        let mut all = Vec::new();
        for snippet in snippets {
            self.key = snippet.key;
            all.extend(self.defined(snippet.directives.clone()));
        }
        all
    }

    fn defined(&mut self, directives: Vec<Placed>) -> Vec<Placed> {
        let kept = directives.into_iter().filter_map(|placed| self.one(placed));
        kept.collect()
    }

    fn one(&mut self, placed: Placed) -> Option<Placed> {
        if let Some(reason) = self.names.undefined(&placed.directive) {
            let message = format!("line {}: {}: {reason}", placed.line, placed.name);
            let key = self.key;
            // A map restricts nothing: what reads it does, and is refused itself.
            let is_map = matches!(placed.directive, Directive::Map(_));
            if is_map || is_harmless(placed.name) {
                self.remarks.push(Remark {
                    severity: Severity::Error,
                    message: format!("{message}; the rest is served without it"),
                    key,
                });
            } else {
                let reason = message;
                self.closed.get_or_insert(Refusal { reason, key });
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
