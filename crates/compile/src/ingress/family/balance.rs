//! Load balancing.

use std::num::NonZeroUsize;

use headgate_table::{Balance, Template};

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    LOAD_BALANCE: &'static str =
        annotation(
            "load-balance",
            types::words(&["round_robin", "ewma", "chash", "chashsubset", "sticky_balanced", "sticky_persistent"]),
            "round_robin or ewma; the other words have separate annotations and mean round_robin here.")
            .setting(&settings::upstream::LOAD_BALANCE).refuses().on_canary()
            .unread_beside(OWN_LOAD_BALANCE.row()).field_of(OWN_LOAD_BALANCE.row());
    OWN_LOAD_BALANCE: &'static str =
        annotation(
            "headgate.dev/load-balance",
            types::words(&["round_robin", "ewma", "least_conn", "chash", "chashsubset", "sticky_balanced", "sticky_persistent"]),
            "round_robin, ewma or least_conn, which ingress-nginx does not have: the endpoint with the fewest requests in flight. \
             The other words have separate annotations and mean round_robin here.")
            .setting(&settings::upstream::LOAD_BALANCE).on_canary();
    UPSTREAM_HASH_BY: String =
        annotation("upstream-hash-by", types::spaced(Class::Variables),
            "Consistent hashing over this text with variables such as $request_uri or $http_x_user.")
            .risk(Risk::High).refuses().on_canary();
    UPSTREAM_HASH_BY_SUBSET: bool =
        annotation("upstream-hash-by-subset", types::BOOL, "The hash chooses a subset, then a random member of it.")
            .default("false").refuses().on_canary();
    UPSTREAM_HASH_BY_SUBSET_SIZE: i64 =
        annotation("upstream-hash-by-subset-size", types::INT, "Endpoints in one subset.")
            .default("3").refuses().on_canary();
} }

/// How an endpoint is chosen without affinity; `None`: as in the ConfigMap.
pub(crate) fn read(reader: &mut Reader) -> Option<Balance> {
    let algorithm = algorithm(reader);
    hash(reader).or(algorithm)
}

/// The algorithm of a word of `load-balance`; `None` for those with separate annotations.
pub(crate) fn by_word(word: &str) -> Option<Balance> {
    match word {
        "round_robin" => Some(Balance::RoundRobin),
        "ewma" => Some(Balance::Ewma),
        "least_conn" => Some(Balance::LeastConn),
        _ => None,
    }
}

fn algorithm(reader: &mut Reader) -> Option<Balance> {
    let mut keys = [&OWN_LOAD_BALANCE, &LOAD_BALANCE].into_iter();
    let (key, word) = keys.find_map(|key| Some((key, reader.get(key)?)))?;
    let algorithm = by_word(word);
    if algorithm.is_none() {
        let message = format!(
            "{word} has separate annotations (upstream-hash-by, affinity); round_robin is used"
        );
        reader.warn(key, message);
    }
    Some(algorithm.unwrap_or_default())
}

fn hash(reader: &mut Reader) -> Option<Balance> {
    let key = reader.get(&UPSTREAM_HASH_BY)?;
    let size = reader.positive_or_default(&UPSTREAM_HASH_BY_SUBSET_SIZE);
    let subset = NonZeroUsize::new(size as usize);
    match Template::parse(&key) {
        Ok(key) => Some(Balance::Hash {
            key,
            subset: subset.filter(|_| reader.on(&UPSTREAM_HASH_BY_SUBSET)),
        }),
        Err(error) => {
            let message =
                format!("\"{key}\": {error}; endpoints are chosen as without the annotation");
            reader.error(&UPSTREAM_HASH_BY, message);
            None
        }
    }
}
