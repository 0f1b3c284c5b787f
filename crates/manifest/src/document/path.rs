//! Paths of values in a document.

use std::fmt;

use serde_path_to_error::Segment;

/// One step from a value to one within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The steps from the top of a document to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    /// The value of `key` within this one.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// Element `index` of this one.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The indices among the steps, outermost first.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|step| match step {
            Step::Index(index) => Some(*index),
            Step::Key(_) => None,
        })
    }

    /// This path extended by one of the deserializer of typed objects.
    pub(crate) fn join(&self, within: &serde_path_to_error::Path) -> Self {
        let mut steps = self.0.clone();
        steps.extend(within.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        }));
        Self(steps)
    }

    /// This path extended by one to a field that no type has.
    pub(crate) fn join_ignored(&self, within: &serde_ignored::Path<'_>) -> Self {
        use serde_ignored::Path as Ignored;
        match within {
            Ignored::Root => self.clone(),
            Ignored::Seq { parent, index } => self.join_ignored(parent).index(*index),
            Ignored::Map { parent, key } => self.join_ignored(parent).key(key),
            Ignored::Some { parent }
            | Ignored::NewtypeStruct { parent }
            | Ignored::NewtypeVariant { parent } => self.join_ignored(parent),
        }
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{:?}]", start(key))?,
                Step::Key(key) if position == 0 => f.write_str(start(key))?,
                Step::Key(key) => write!(f, ".{}", start(key))?,
            }
        }
        Ok(())
    }
}

/// The first bytes of a key, which a message has; no field and hardly any annotation has a longer name.
fn start(key: &str) -> &str {
    const SHOWN: usize = 200;
    &key[..key.floor_char_boundary(SHOWN)]
}

/// Whether a key is unambiguous between dots.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
