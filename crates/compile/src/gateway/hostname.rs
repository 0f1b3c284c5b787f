//! Hostnames of listeners and routes (gateway-api.md 2.5).

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use headgate_table::CATCH_ALL;

/// A hostname: one name, all names below a suffix, or all names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hostname {
    /// `shop.example`
    Precise(Arc<str>),
    /// `*.shop.example`, with the suffix `shop.example`: one or more labels before the suffix, but not the suffix itself.
    Below(Arc<str>),
    /// Every name.
    Any,
}

impl Hostname {
    /// The hostname of a field; absent and empty mean every name. Compared in lower case.
    pub(crate) fn of(field: Option<&str>) -> Self {
        let text = field.unwrap_or_default().to_ascii_lowercase();
        match text.strip_prefix("*.") {
            _ if text.is_empty() => Self::Any,
            Some(suffix) => Self::Below(suffix.into()),
            None => Self::Precise(text.into()),
        }
    }

    /// The names that both have: the narrower of the two if it is within the other.
    pub(crate) fn intersection<'h>(&'h self, other: &'h Self) -> Option<&'h Self> {
        if self.covers(other) {
            Some(other)
        } else if other.covers(self) {
            Some(self)
        } else {
            None
        }
    }

    /// That of a host of the table.
    pub(crate) fn of_host(name: &str) -> Self {
        match name.strip_prefix("*.") {
            _ if name == CATCH_ALL => Self::Any,
            Some(suffix) => Self::Below(suffix.into()),
            None => Self::Precise(name.into()),
        }
    }

    /// This hostname and the wider ones that cover it, the narrowest first.
    pub(crate) fn and_wider(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), |name| {
            let (Self::Precise(name) | Self::Below(name)) = name else {
                return None;
            };
            let parent = name.split_once('.').map(|(_, parent)| parent);
            Some(parent.map_or(Self::Any, |parent| Self::Below(parent.into())))
        })
    }

    /// Whether all names of `other` are names of this hostname.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (Self::Precise(own), Self::Precise(name)) => own == name,
            (Self::Precise(_), Self::Below(_)) => false,
            (Self::Below(suffix), Self::Precise(name)) => is_below(name, suffix),
            (Self::Below(suffix), Self::Below(narrower)) => {
                suffix == narrower || is_below(narrower, suffix)
            }
        }
    }

    /// The name of a host in the table: `shop.example`, `*.shop.example` or `_`.
    pub(crate) fn host(&self) -> Arc<str> {
        match self {
            Self::Precise(name) => name.clone(),
            Self::Below(suffix) => format!("*.{suffix}").into(),
            Self::Any => CATCH_ALL.into(),
        }
    }
}

/// Whether `name` ends with `suffix` after at least one label and a dot.
fn is_below(name: &str, suffix: &str) -> bool {
    let labels = name
        .strip_suffix(suffix)
        .and_then(|rest| rest.strip_suffix('.'));
    labels.is_some_and(|labels| !labels.is_empty())
}

/// The more specific hostname is less: precise before wildcards, the longer wildcard before the shorter, every name last. Equally
/// specific ones in the order of their texts.
impl Ord for Hostname {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Precise(one), Self::Precise(another)) => one.cmp(another),
            (Self::Below(one), Self::Below(another)) => {
                another.len().cmp(&one.len()).then_with(|| one.cmp(another))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Hostname {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hostname {
    fn rank(&self) -> u8 {
        match self {
            Self::Precise(_) => 0,
            Self::Below(_) => 1,
            Self::Any => 2,
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Precise(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intersection_is_the_narrower_of_the_two() {
        for (listener, route, effective) in [
            ("", "a.test", Some("a.test")),
            ("a.test", "", Some("a.test")),
            ("", "", Some("")),
            ("a.test", "A.test", Some("a.test")),
            ("a.test", "b.test", None),
            ("a.b.c", "*.b.c", Some("a.b.c")),
            ("a.b.c", "*.c", Some("a.b.c")),
            ("*.c", "a.b.c", Some("a.b.c")),
            ("*.c", "*.b.c", Some("*.b.c")),
            ("*.b.c", "*.c", Some("*.b.c")),
            ("*.b.c", "*.b.c", Some("*.b.c")),
            ("*.b.c", "b.c", None),
            ("*.b.c", "xb.c", None),
            ("*.b.c", "*.d.c", None),
        ] {
            let (listener, route) = (Hostname::of(Some(listener)), Hostname::of(Some(route)));
            let expected = effective.map(|name| Hostname::of(Some(name)));
            assert_eq!(
                listener.intersection(&route),
                expected.as_ref(),
                "{listener} {route}"
            );
            assert_eq!(
                route.intersection(&listener),
                expected.as_ref(),
                "{route} {listener}"
            );
        }
    }

    #[test]
    fn the_more_specific_hostname_comes_first() {
        let sorted = [
            "a.test",
            "b.test",
            "*.a.b.test",
            "*.b.test",
            "*.c.test",
            "*.test",
            "",
        ];
        let mut names: Vec<Hostname> = sorted.map(|name| Hostname::of(Some(name))).into();
        names.reverse();
        names.sort();
        assert_eq!(names, sorted.map(|name| Hostname::of(Some(name))));
    }
}
