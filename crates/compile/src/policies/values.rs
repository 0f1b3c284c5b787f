//! What policies say of one object, as texts of annotations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::field;
use crate::ingress::annotations::{Annotation, PolicyUse, Validation, find, short_name};
use crate::objects::custom::{Custom, HeadgatePolicySpec};
use crate::{Kind, Name};

/// The kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Ingress,
    /// An HTTPRoute or GRPCRoute, or a Gateway, whose routes have the values.
    Route,
}

/// The values of annotations that an object has by policies.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Values(BTreeMap<&'static str, Value>);

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) row: &'static Annotation,
    /// The policy that has it.
    pub(crate) policy: Name,
    /// The text that the annotation would have, or why there is none.
    pub(crate) text: Result<Arc<str>, Arc<str>>,
}

/// No values.
pub(crate) static NO_VALUES: Values = Values(BTreeMap::new());

impl TargetKind {
    /// That of objects of a kind; `None` if policies have no such targets.
    pub(crate) fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Ingress => Some(Self::Ingress),
            Kind::HttpRoute | Kind::GrpcRoute | Kind::Gateway => Some(Self::Route),
            _ => None,
        }
    }

    /// Why an annotation has no meaning for it.
    fn refuses(self, row: &Annotation) -> Option<&'static str> {
        match (row.policy, self) {
            (PolicyUse::Routes | PolicyUse::FieldOf(_), _)
            | (PolicyUse::Ingresses(_), Self::Ingress) => None,
            (PolicyUse::Ingresses(why), Self::Route) | (PolicyUse::None(why), _) => Some(why),
        }
    }
}

impl Values {
    /// The values of `policies`, of which later ones override earlier ones field by field.
    pub(crate) fn of<'p>(
        policies: impl IntoIterator<Item = &'p Arc<Custom<HeadgatePolicySpec>>>,
        target: TargetKind,
    ) -> Self {
        let mut values = BTreeMap::new();
        for policy in policies {
            let fields = policy.spec.fields.iter();
            let own = fields.filter_map(|(name, value)| {
                let row = field::find(name)?;
                let text = field::text(row, value)?;
                let text = match target.refuses(row) {
                    Some(why) => Err(format!("has no effect here: {why}").into()),
                    None => text.map(Into::into).map_err(Into::into),
                };
                let value = Value {
                    row,
                    policy: policy.name.clone(),
                    text,
                };
                Some((row.entry.name, value))
            });
            values.extend(own);
        }
        Self(values)
    }

    /// Those that the annotations of the object itself, under `prefix`, do not have.
    pub(crate) fn beside(
        values: &Arc<Self>,
        annotations: Option<&BTreeMap<String, String>>,
        prefix: &str,
    ) -> Arc<Self> {
        let Some(annotations) = annotations.filter(|_| !values.0.is_empty()) else {
            return values.clone();
        };
        let names = annotations
            .iter()
            .filter(|(_, text)| !text.trim().is_empty());
        let names = names.filter_map(|(key, _)| short_name(key, prefix));
        let rows = names.filter_map(|name| find(name).or_else(|| field::meant(name)));
        let set: Vec<&str> = rows.map(|row| row.of_field().entry.name).collect();
        let has = |row: &Annotation| set.contains(&row.entry.name);
        if !values.0.values().any(|value| has(value.row)) {
            return values.clone();
        }
        let rest = values.0.iter().filter(|(_, value)| !has(value.row));
        Arc::new(Self(
            rest.map(|(name, value)| (*name, value.clone())).collect(),
        ))
    }

    /// The value of an annotation.
    pub(crate) fn get(&self, annotation: &str) -> Option<&Value> {
        self.0.get(annotation)
    }

    /// All, by the names of annotations.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Value> {
        self.0.values()
    }

    /// The texts of these annotations, one a line, which tell values apart.
    pub(crate) fn identity(&self, of: &[&[&Annotation]]) -> String {
        let rows = of.iter().copied().flatten();
        let set = rows.filter_map(|row| {
            let text = self.get(row.entry.name)?.text.as_deref().ok()?;
            Some(format!("{}={text}", row.entry.name))
        });
        set.collect::<Vec<_>>().join(" ")
    }
}

/// The first field of a policy that cannot be used as it is written, and why. `targets` are the kinds of its targets.
pub(super) fn invalid(
    policy: &Custom<HeadgatePolicySpec>,
    targets: &[TargetKind],
) -> Option<(String, String)> {
    policy.spec.fields.iter().find_map(|(name, value)| {
        let Some(row) = field::find(name) else {
            return Some((name.clone(), "no policy has this field".to_owned()));
        };
        let text = field::text(row, value)?;
        let refused = targets.iter().find_map(|target| target.refuses(row));
        let problem = match (refused, text) {
            (Some(why), _) => Some(format!("has no effect on its targets: {why}")),
            (None, Err(reason)) => Some(reason),
            (None, Ok(text)) => {
                let parsed = row.entry.kind.parse(&text, Validation::Full);
                parsed.err().map(|error| error.to_string())
            }
        };
        Some((name.clone(), problem?))
    })
}
