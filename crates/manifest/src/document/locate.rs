//! The lines of values. Objects are read without positions, which is faster; this parses a document again, with them, when
//! there are errors to report.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::parse::yaml_options;
use super::path::{Path, Step};

/// The line of each path's value, or of the innermost value around it that exists; from 0. JSON is read as YAML.
pub(crate) fn locate(text: &str, paths: &[&Path]) -> Vec<usize> {
    if paths.is_empty() {
        return Vec::new();
    }
    let tree: Option<Spanned<Tree>> =
        serde_saphyr::from_str_with_options(text, yaml_options()).ok();
    paths
        .iter()
        .map(|path| tree.as_ref().map_or(0, |tree| line_of(tree, path)))
        .collect()
}

fn line_of(top: &Spanned<Tree>, path: &Path) -> usize {
    let mut found = top;
    for step in &path.0 {
        match found.value.child(step) {
            Some(child) => found = child,
            None => break,
        }
    }
    usize::try_from(found.referenced.line())
        .unwrap_or_default()
        .saturating_sub(1)
}

/// The shape of a document.
enum Tree {
    Scalar,
    List(Vec<Spanned<Self>>),
    Map(Vec<(String, Spanned<Self>)>),
}

impl Tree {
    fn child(&self, step: &Step) -> Option<&Spanned<Self>> {
        match (self, step) {
            (Self::List(elements), Step::Index(index)) => elements.get(*index),
            (Self::Map(entries), Step::Key(key)) => entries
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}
