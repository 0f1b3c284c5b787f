//! The bound on the memory of a namespace's regular expressions, at a review and while served.

use super::check_in;
use super::state::{State, ingress};
use crate::ingress::annotations::DEFAULT_PREFIX;
use crate::{IngressStatus, Name, Options};

const BOUND: [(&str, &str); 1] = [("max-regex-memory-per-namespace", "64k")];
/// A little more than half of it.
const HEAVY: &str = "use-regex=true Any:/[a-z]{300}";

fn heavy(name: &str, host: &str) -> String {
    format!("{name} {host} {HEAVY}")
}

#[test]
fn expressions_beyond_the_bound_are_denied() {
    let stored = [heavy("s/one", "a.example")];
    let state = State::new(&[&*stored[0]], &BOUND, Options::default());
    check_in(
        &state,
        &[
            (
                &heavy("s/two", "b.example"),
                "no: with its regular expressions those of namespace s, *",
            ),
            (&heavy("s/one", "b.example"), "ok"),
            (&heavy("t/two", "b.example"), "ok"),
            ("s/two b.example use-regex=true Any:/api(/|$)(.*)", "ok"),
        ],
    );
    let unlimited = [("max-regex-memory-per-namespace", "0")];
    let state = State::new(&[&*stored[0]], &unlimited, Options::default());
    check_in(&state, &[(&heavy("s/two", "b.example"), "ok")]);
}

#[test]
fn an_older_ingress_takes_the_place_of_a_younger_one_and_gives_it_back() {
    let status = |state: &State, name: &str| state.compiled.statuses()[&Name::new("s", name)];
    let state = State::new(&[], &BOUND, Options::default());
    let state = state.store(ingress(&heavy("s/young", "a.example"), 9));
    assert_eq!(status(&state, "young"), IngressStatus::Served);
    let state = state.store(ingress(&heavy("s/older", "b.example"), 1));
    assert_eq!(status(&state, "older"), IngressStatus::Served);
    assert_eq!(status(&state, "young"), IngressStatus::Refused);
    let state = state.remove(&Name::new("s", "older"));
    assert_eq!(status(&state, "young"), IngressStatus::Served);
    // A lighter version makes room, too.
    let state = state.store(ingress(&heavy("s/older", "b.example"), 1));
    assert_eq!(status(&state, "young"), IngressStatus::Refused);
    let state = state.store(ingress("s/older b.example Prefix:/x", 1));
    assert_eq!(status(&state, "young"), IngressStatus::Served);
}

#[test]
fn aliases_that_repeat_too_much_are_left_out() {
    let warnings = |count: usize| {
        let aliases: Vec<String> = (0..count)
            .map(|number| format!("~^h{number}[a-z]{{900}}$"))
            .collect();
        let mut ingress = ingress("s/one a.example", 50);
        let annotations = ingress.metadata.annotations.get_or_insert_default();
        annotations.insert(format!("{DEFAULT_PREFIX}/server-alias"), aliases.join(","));
        let state = State::new(&[], &[], Options::default());
        let review = state.review(&ingress);
        assert_eq!(review.denied, None);
        review.warnings.join("\n")
    };
    assert_eq!(warnings(3), "");
    assert!(warnings(60).contains("repeat too much"), "{}", warnings(60));
}
