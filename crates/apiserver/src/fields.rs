//! Sets of fields, as `managedFields` records them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lists::{self, Merge};

/// A set of fields: a tree whose steps are those of `fieldsV1` (`f:` a field, `k:` an item by its key, `v:` an item by its
/// value).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Whether the set has the field itself, besides its children.
    member: bool,
    children: BTreeMap<String, Self>,
}

/// A position in an object: the kind, and the names of the fields down to it.
#[derive(Clone, Debug)]
pub(crate) struct Position<'a> {
    pub(crate) kind: &'a str,
    pub(crate) path: Vec<String>,
}

impl<'a> Position<'a> {
    /// The object itself.
    pub(crate) fn top(kind: &'a str) -> Self {
        Self {
            kind,
            path: Vec::new(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Self {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        Self {
            kind: self.kind,
            path,
        }
    }

    /// The merge strategy of a value at this position.
    pub(crate) fn merge(&self, value: &Value) -> Merge {
        if self.path.is_empty() {
            return Merge::Fields;
        }
        lists::merge(self.kind, &self.path, value)
    }
}

/// The parts of a value that are merged one by one: step, value, position. `None`: it is atomic.
pub(crate) fn parts<'v, 'a>(
    position: &Position<'a>,
    value: &'v Value,
) -> Option<Vec<(String, &'v Value, Position<'a>)>> {
    match (position.merge(value), value) {
        (Merge::Fields, Value::Object(fields)) => Some(
            fields
                .iter()
                .map(|(name, value)| (format!("f:{name}"), value, position.field(name)))
                .collect(),
        ),
        (Merge::Set, Value::Array(items)) => Some(
            items
                .iter()
                .map(|item| (format!("v:{item}"), item, position.clone()))
                .collect(),
        ),
        (Merge::Keyed(keys), Value::Array(items)) => items
            .iter()
            .map(|item| Some((lists::key(keys, item)?, item, position.clone())))
            .collect(),
        _ => None,
    }
}

/// Whether a step is an item of a list.
fn is_item(step: &str) -> bool {
    !step.starts_with("f:")
}

impl Fields {
    /// Every field of a value.
    pub(crate) fn of(position: &Position<'_>, value: &Value) -> Self {
        let Some(parts) = parts(position, value).filter(|parts| !parts.is_empty()) else {
            return Self::leaf();
        };
        let mut fields = Self::default();
        for (step, part, position) in parts {
            fields
                .children
                .insert(step.clone(), Self::of_part(&step, &position, part));
        }
        fields
    }

    fn of_part(step: &str, position: &Position<'_>, part: &Value) -> Self {
        if !is_item(step) {
            return Self::of(position, part);
        }
        let mut fields = match part {
            Value::Object(_) => Self::of_item(position, part),
            _ => Self::leaf(),
        };
        fields.member = true;
        fields
    }

    /// Fields of an item of a list, which is a map.
    fn of_item(position: &Position<'_>, item: &Value) -> Self {
        let mut fields = Self::default();
        for (name, value) in item.as_object().into_iter().flatten() {
            let inner = Self::of(&position.field(name), value);
            fields.children.insert(format!("f:{name}"), inner);
        }
        fields
    }

    /// The fields of `new` that are not or different in `old`.
    pub(crate) fn changed(position: &Position<'_>, old: Option<&Value>, new: &Value) -> Self {
        let Some(old) = old else {
            return Self::of(position, new);
        };
        if old == new {
            return Self::default();
        }
        let (Some(before), Some(after)) = (parts(position, old), parts(position, new)) else {
            return Self::leaf();
        };
        let before: BTreeMap<_, _> = before
            .into_iter()
            .map(|(step, value, _)| (step, value))
            .collect();
        let mut fields = Self::default();
        for (step, part, position) in after {
            let inner = match before.get(&step) {
                None => Self::of_part(&step, &position, part),
                Some(old) if is_item(&step) => Self::changed_item(&position, old, part),
                Some(old) => Self::changed(&position, Some(old), part),
            };
            if !inner.is_empty() {
                fields.children.insert(step, inner);
            }
        }
        fields
    }

    fn changed_item(position: &Position<'_>, old: &Value, new: &Value) -> Self {
        let mut fields = Self::default();
        for (name, value) in new.as_object().into_iter().flatten() {
            let inner = Self::changed(&position.field(name), old.get(name), value);
            if !inner.is_empty() {
                fields.children.insert(format!("f:{name}"), inner);
            }
        }
        fields
    }

    fn leaf() -> Self {
        Self {
            member: true,
            children: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether the set has the field itself.
    pub(crate) fn is_member(&self) -> bool {
        self.member
    }

    pub(crate) fn child(&self, step: &str) -> Option<&Self> {
        self.children.get(step)
    }

    /// The fields in either set.
    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.member |= other.member;
        for (step, others) in &other.children {
            let child = self.children.remove(step).unwrap_or_default();
            self.children.insert(step.clone(), child.union(others));
        }
        self
    }

    /// The fields in this set and not in the other. An atomic field of the other removes its children, too.
    pub(crate) fn without(&self, other: &Self) -> Self {
        if other.member && other.children.is_empty() {
            return Self::default();
        }
        let mut fields = Self {
            member: self.member && !other.member,
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            let rest = match other.children.get(step) {
                Some(others) => child.without(others),
                None => child.clone(),
            };
            if !rest.is_empty() {
                fields.children.insert(step.clone(), rest);
            }
        }
        fields
    }

    /// The fields in both sets.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let mut fields = Self {
            member: self.member && other.member,
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            if let Some(others) = other.children.get(step) {
                let both = child.common(others);
                if !both.is_empty() {
                    fields.children.insert(step.clone(), both);
                }
            }
        }
        fields
    }

    /// Removes the fields at these paths and their children.
    pub(crate) fn drop_paths(&mut self, paths: &[&[&str]]) {
        for path in paths {
            self.drop_path(path);
        }
    }

    fn drop_path(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.children.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(*first) {
                    child.drop_path(rest);
                    if child.is_empty() {
                        self.children.remove(*first);
                    }
                }
            }
        }
    }

    /// Only this child.
    pub(crate) fn only(mut self, step: &str) -> Self {
        self.children.retain(|name, _| name == step);
        self
    }

    /// Paths of the members, for messages: `.spec.replicas`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(path.to_owned());
        }
        for (step, child) in &self.children {
            let child_path = match step.split_at(2) {
                ("f:", name) => format!("{path}.{name}"),
                ("k:", key) => format!("{path}[{}]", key_text(key)),
                (_, value) => format!("{path}[={value}]"),
            };
            child.collect(&child_path, paths);
        }
    }

    /// As `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            fields.insert(step.clone(), child.to_json());
        }
        Value::Object(fields)
    }

    /// From `fieldsV1`.
    pub(crate) fn from_json(value: &Value) -> Self {
        let Some(steps) = value.as_object().filter(|steps| !steps.is_empty()) else {
            return Self::leaf();
        };
        let mut fields = Self::default();
        for (step, child) in steps {
            if step == "." {
                fields.member = true;
            } else {
                fields.children.insert(step.clone(), Self::from_json(child));
            }
        }
        fields
    }
}

/// A key, for messages: `port=80,protocol="TCP"`.
fn key_text(key: &str) -> String {
    let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
    let parts: Vec<String> = key
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_encoded_as_by_kube_apiserver() {
        let object = json!({
            "metadata": {"labels": {"a": "b"}, "finalizers": ["x/y"]},
            "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"app": "web"}},
        });
        let fields = Fields::of(&Position::top("Service"), &object);
        let expected = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x/y\"": {}}},
            "f:spec": {
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}},
                "f:selector": {},
            },
        });
        assert_eq!(fields.to_json(), expected);
        assert_eq!(Fields::from_json(&expected), fields);
    }

    #[test]
    fn sets_have_common_different_and_united_fields() {
        let position = Position::top("ConfigMap");
        let one = Fields::of(&position, &json!({"data": {"a": "1", "b": "2"}}));
        let two = Fields::of(&position, &json!({"data": {"b": "3", "c": "4"}}));
        assert_eq!(one.common(&two).paths(), [".data.b"]);
        assert_eq!(one.without(&two).paths(), [".data.a"]);
        assert_eq!(one.union(&two).paths(), [".data.a", ".data.b", ".data.c"]);
    }

    #[test]
    fn an_atomic_list_changes_as_one_field() {
        let old = json!({"status": {"loadBalancer": {"ingress": [{"ip": "a"}]}}});
        let new = json!({"status": {"loadBalancer": {"ingress": [{"ip": "b"}]}}});
        let changed = Fields::changed(&Position::top("Ingress"), Some(&old), &new);
        assert_eq!(changed.paths(), [".status.loadBalancer.ingress"]);
    }
}
