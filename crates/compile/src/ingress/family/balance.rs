//! Load balancing.

use std::num::NonZeroU32;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    LOAD_BALANCE: &'static str =
        annotation(
            "load-balance",
            types::words(&["round_robin", "ewma", "chash", "chashsubset", "sticky_balanced", "sticky_persistent"]),
            "round_robin or ewma; the other words have annotations of their own and mean round_robin here.")
            .setting(&settings::upstream::LOAD_BALANCE).refuses();
    UPSTREAM_HASH_BY: String =
        annotation("upstream-hash-by", types::spaced(Class::Variables),
            "Consistent hashing over this text with variables such as $request_uri or $http_x_user.")
            .risk(Risk::High).refuses();
    UPSTREAM_HASH_BY_SUBSET: bool =
        annotation("upstream-hash-by-subset", types::BOOL, "The hash chooses a subset, then a random member of it.")
            .default("false").refuses();
    UPSTREAM_HASH_BY_SUBSET_SIZE: i64 =
        annotation("upstream-hash-by-subset-size", types::INT, "Endpoints in one subset.")
            .default("3").refuses();
} }

/// How an endpoint is chosen. Affinity comes before `hash_by`, and that before `algorithm`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Balance {
    /// The algorithm; the ConfigMap's when not set.
    pub(crate) algorithm: Option<Algorithm>,
    /// Consistent hashing.
    pub(crate) hash_by: Option<HashBy>,
}

/// How endpoints take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Algorithm {
    /// One after another.
    #[default]
    RoundRobin,
    /// The faster of two, by a moving average of their answer times.
    Ewma,
}

impl Algorithm {
    /// The algorithm a word stands for; words of ingress-nginx that only annotations of their own can mean are `None`.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "round_robin" => Some(Self::RoundRobin),
            "ewma" => Some(Self::Ewma),
            _ => None,
        }
    }
}

/// Consistent hashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashBy {
    /// What is hashed: text with variables such as `$request_uri`, as written.
    pub(crate) key: String,
    /// `Some` when the hash chooses a subset of this many endpoints, and chance one of it.
    pub(crate) subset: Option<NonZeroU32>,
}

impl Balance {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            algorithm: algorithm(reader),
            hash_by: hash_by(reader),
        }
    }
}

fn algorithm(reader: &mut Reader) -> Option<Algorithm> {
    let word = reader.get(&LOAD_BALANCE)?;
    let algorithm = Algorithm::from_word(word);
    if algorithm.is_none() {
        let message = format!(
            "{word} has annotations of its own (upstream-hash-by, affinity); round_robin is used"
        );
        reader.warn(&LOAD_BALANCE, message);
    }
    Some(algorithm.unwrap_or_default())
}

fn hash_by(reader: &mut Reader) -> Option<HashBy> {
    let key = reader.get(&UPSTREAM_HASH_BY)?;
    let size = NonZeroU32::new(reader.positive_or_default(&UPSTREAM_HASH_BY_SUBSET_SIZE));
    Some(HashBy {
        key,
        subset: size.filter(|_| reader.on(&UPSTREAM_HASH_BY_SUBSET)),
    })
}
