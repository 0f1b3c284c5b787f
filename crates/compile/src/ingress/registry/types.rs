//! The type of the values of each [`Kind`]: rows of a registry take their kind from here.

use std::marker::PhantomData;
use std::time::Duration;

use http::StatusCode;
use ipnet::IpNet;

use super::{Buffers, Class, Kind, NextUpstream, SizeText, Word};

/// A kind whose values are `T`s.
pub(crate) struct Typed<T> {
    kind: Kind,
    value: PhantomData<fn() -> T>,
}

impl<T> Typed<T> {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            value: PhantomData,
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }
}

pub(crate) const BOOL: Typed<bool> = Typed::new(Kind::Bool);
pub(crate) const ON_OFF: Typed<bool> = Typed::new(Kind::OnOff);
pub(crate) const INT: Typed<i64> = Typed::new(Kind::Int);
pub(crate) const SIZE: Typed<u64> = Typed::new(Kind::Size);
pub(crate) const SIZE_TEXT: Typed<SizeText> = Typed::new(Kind::SizeText);
pub(crate) const DURATION: Typed<Duration> = Typed::new(Kind::Duration);
pub(crate) const APP_ROOT: Typed<String> = Typed::new(Kind::AppRoot);
pub(crate) const CIDRS: Typed<Vec<IpNet>> = Typed::new(Kind::Cidrs);
pub(crate) const CODES: Typed<Vec<StatusCode>> = Typed::new(Kind::Codes);
pub(crate) const SERVER_NAMES: Typed<Vec<String>> = Typed::new(Kind::ServerNames);
pub(crate) const NEXT_UPSTREAM: Typed<NextUpstream> = Typed::new(Kind::NextUpstream);
pub(crate) const SERVICE: Typed<String> = Typed::new(Kind::Service);
pub(crate) const COMMON_NAME: Typed<String> = Typed::new(Kind::CommonName);
pub(crate) const BUFFERS: Typed<Buffers> = Typed::new(Kind::Buffers);
pub(crate) const LIST: Typed<Vec<String>> = Typed::new(Kind::List);
pub(crate) const RAW: Typed<String> = Typed::new(Kind::Raw);

/// Text of these characters.
pub(crate) const fn chars(class: Class) -> Typed<String> {
    Typed::new(Kind::Chars(class))
}

/// Text of these characters and spaces.
pub(crate) const fn spaced(class: Class) -> Typed<String> {
    Typed::new(Kind::Spaced(class))
}

/// One of the words that mean a `T`, in their spelling.
pub(crate) const fn one_of<T: Word>() -> Typed<T> {
    Typed::new(Kind::OneOf(T::WORDS))
}

/// One of the words that mean a `T`, case-insensitive.
pub(crate) const fn any_case_of<T: Word>() -> Typed<T> {
    Typed::new(Kind::AnyCaseOf(T::WORDS))
}

/// One of these words, in their spelling, as text.
pub(crate) const fn words(words: &'static [&'static str]) -> Typed<&'static str> {
    Typed::new(Kind::OneOf(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;
    use crate::ingress::registry::{FromValue, Validation};

    fn fits<T: FromValue>(typed: &Typed<T>, text: &str) {
        let value = typed.kind().parse(text, Validation::Full).unwrap();
        assert!(T::from_value(&value).is_some(), "{:?}", typed.kind());
    }

    #[test]
    fn every_kind_has_the_type_that_it_is_declared_with() {
        fits(&BOOL, "true");
        fits(&ON_OFF, "on");
        fits(&INT, "1");
        fits(&SIZE, "1k");
        fits(&SIZE_TEXT, "1k");
        fits(&DURATION, "1s");
        fits(&APP_ROOT, "/");
        fits(&CIDRS, "::1");
        fits(&CODES, "404");
        fits(&SERVER_NAMES, "a");
        fits(&NEXT_UPSTREAM, "off");
        fits(&SERVICE, "a");
        fits(&COMMON_NAME, "CN=a");
        fits(&BUFFERS, "4 8k");
        fits(&LIST, "a");
        fits(&RAW, "a");
        fits(&chars(Class::Basic), "a");
        fits(&spaced(Class::Basic), "a");
        fits(&words(&["a"]), "a");
        fits(&one_of::<headgate_table::HttpVersion>(), "1.1");
        fits(&any_case_of::<headgate_table::HttpVersion>(), "1.1");
    }
}
