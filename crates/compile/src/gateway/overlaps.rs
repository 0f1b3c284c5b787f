//! Which other listener clients may take a listener for, found without comparing it with all of them: a Gateway can have many
//! ListenerSets (gateway-api.md 2.8).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::hostname::Hostname;
use super::listener::Listener;

/// The listeners of a Gateway by what others overlap with.
#[derive(Default)]
pub(super) struct Overlaps(HashMap<Key, Least, RandomState>);

/// What a listener has, or another one of the port has in common with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// It has this hostname.
    Hostname(u16, Hostname),
    /// Its hostname is within this wider one.
    Within(u16, Hostname),
    /// A certificate that is valid for this covers its hostname.
    Covered(u16, Pattern),
    /// One of its certificates is valid for this.
    Certified(u16, Pattern),
}

/// What a certificate is valid for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Name(Box<str>),
    /// Names one label below.
    Below(Box<str>),
}

/// The two least indexes of listeners.
#[derive(Clone, Copy)]
struct Least(usize, Option<usize>);

impl Overlaps {
    /// Those of `listeners`.
    pub(super) fn of(listeners: &[Listener]) -> Self {
        let mut overlaps = Self::default();
        let all = listeners.iter().enumerate();
        for (index, listener) in all.filter(|(_, listener)| listener.may_overlap()) {
            for key in keys(listener) {
                let known = overlaps.0.entry(key).or_insert(Least(index, None));
                if known.0 != index {
                    known.1 = known.1.or(Some(index));
                }
            }
        }
        overlaps
    }

    /// The first other listener that the listener at `index` may overlap with.
    pub(super) fn first(&self, index: usize, listener: &Listener) -> Option<usize> {
        if !listener.may_overlap() {
            return None;
        }
        let found = counterparts(listener).filter_map(|key| {
            let Least(first, second) = self.0.get(&key)?;
            if *first == index {
                *second
            } else {
                Some(*first)
            }
        });
        found.min()
    }
}

/// What a listener has.
fn keys(listener: &Listener) -> impl Iterator<Item = Key> {
    let port = listener.port;
    let own = Key::Hostname(port, listener.hostname.clone());
    let wider = listener.hostname.and_wider().skip(1);
    let wider = wider.map(move |name| Key::Within(port, name));
    let covered = of_hostname(&listener.hostname).map(move |one| Key::Covered(port, one));
    let certified = of_certificates(listener).map(move |one| Key::Certified(port, one));
    std::iter::once(own)
        .chain(wider)
        .chain(covered)
        .chain(certified)
}

/// What the listeners have that a listener overlaps with.
fn counterparts(listener: &Listener) -> impl Iterator<Item = Key> {
    let port = listener.port;
    let wider = listener.hostname.and_wider();
    let wider = wider.map(move |name| Key::Hostname(port, name));
    let narrower = Key::Within(port, listener.hostname.clone());
    let covering = of_hostname(&listener.hostname).map(move |one| Key::Certified(port, one));
    let covered = of_certificates(listener).map(move |one| Key::Covered(port, one));
    wider.chain([narrower]).chain(covering).chain(covered)
}

/// The patterns that cover a hostname.
fn of_hostname(hostname: &Hostname) -> impl Iterator<Item = Pattern> {
    let host = hostname.host();
    let parent = host.split_once('.').map(|(_, parent)| parent);
    let parent = parent.map(|parent| Pattern::Below(parent.into()));
    [Pattern::Name((&*host).into())].into_iter().chain(parent)
}

fn of_certificates(listener: &Listener) -> impl Iterator<Item = Pattern> {
    let names = listener
        .certificates
        .iter()
        .flat_map(|one| one.names.iter());
    names.map(|name| match name.strip_prefix("*.") {
        Some(parent) => Pattern::Below(parent.into()),
        None => Pattern::Name((&**name).into()),
    })
}
