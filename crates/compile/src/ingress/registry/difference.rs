//! What is honoured with a difference from ingress-nginx: the text is next to the entry, and `check` and the documentation have
//! no other.

use super::{Kind, Validation};

/// A difference of an entry from ingress-nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// For which values it holds.
    pub when: When,
    /// What happens here and, after a semicolon, what ingress-nginx does.
    pub text: &'static str,
}

/// For which values of an entry a difference holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// For every value but the default.
    Set,
    /// While the entry is not set.
    Unset,
    /// For some requests or other objects, which the value does not show: documented, and not counted as different.
    Sometimes,
    /// For an invalid value.
    Invalid,
    /// For these values; case and space around them do not count.
    Is(&'static [&'static str]),
    /// For a comma list with one of these members, in any case.
    Lists(&'static [&'static str]),
    /// For a value that contains one of these texts.
    Has(&'static [&'static str]),
    /// For a value that starts with one of these texts.
    Starts(&'static [&'static str]),
    /// For a value that does not start with this text.
    StartsNot(&'static str),
    /// For a number above this one.
    Above(i64),
    /// For a number below this one.
    Below(i64),
    /// On an object without this other annotation.
    Without(&'static str),
}

impl Difference {
    /// A difference of this text.
    pub(crate) const fn new(when: When, text: &'static str) -> Self {
        Self { when, text }
    }
}

impl When {
    /// Whether the difference holds for the value `text` of an entry of `kind` with this default. `others` says whether another
    /// annotation is present.
    pub(crate) fn holds(
        self,
        text: &str,
        (kind, default): (Kind, &str),
        others: impl Fn(&str) -> bool,
    ) -> bool {
        let trimmed = text.trim();
        let parsed = kind.parse(text, Validation::Full);
        let number = || trimmed.parse::<i64>().ok();
        match self {
            Self::Set => parsed != kind.parse(default, Validation::TypesOnly),
            Self::Unset | Self::Sometimes => false,
            Self::Invalid => parsed.is_err(),
            Self::Is(values) => values.iter().any(|one| one.eq_ignore_ascii_case(trimmed)),
            Self::Lists(names) => trimmed.split(',').any(|member| {
                let member = member.trim();
                names.iter().any(|name| name.eq_ignore_ascii_case(member))
            }),
            Self::Has(parts) => parts.iter().any(|part| trimmed.contains(part)),
            Self::Starts(starts) => starts.iter().any(|start| trimmed.starts_with(start)),
            Self::StartsNot(start) => !trimmed.starts_with(start),
            Self::Above(bound) => number().is_some_and(|number| number > bound),
            Self::Below(bound) => number().is_some_and(|number| number < bound),
            Self::Without(other) => !others(other),
        }
    }
}

/// `DIFFERENCE { when => text }`, as a constant list.
macro_rules! differences {
    ($($when:expr => $text:literal),+ $(,)?) => {
        &[$($crate::ingress::registry::Difference::new($when, $text)),+]
    };
}
pub(crate) use differences;

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(when: When, text: &str) -> bool {
        when.holds(text, (Kind::Raw, "default"), |other| other == "beside")
    }

    #[test]
    fn values_decide() {
        for (when, yes, no) in [
            (When::Set, "x", "default"),
            (When::Is(&["off", "none"]), " OFF ", "offf"),
            (When::Lists(&["Host"]), "a, host", "x-host"),
            (When::Has(&["$"]), "a$b", "ab"),
            (When::Starts(&["~", "@"]), "@a", "a@"),
            (When::StartsNot("/"), "a", "/a"),
            (When::Above(6), "7", "6"),
            (When::Below(1), "0", "1"),
            (When::Below(1), "-1", "x"),
        ] {
            assert!(holds(when, yes), "{when:?} {yes}");
            assert!(!holds(when, no), "{when:?} {no}");
        }
        assert!(holds(When::Without("absent"), "x"));
        assert!(!holds(When::Without("beside"), "x"));
        assert!(!holds(When::Sometimes, "x") && !holds(When::Unset, "x"));
        let invalid = |text| When::Invalid.holds(text, (Kind::Bool, ""), |_| false);
        assert!(invalid("yes") && !invalid("true"));
    }
}
