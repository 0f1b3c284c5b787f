//! Laws of all reviews.

use k8s_openapi::api::networking::v1::IngressTLS;
use proptest::prelude::*;

use super::state::{State, ingress};
use crate::ingress::host::AttachedIngress;
use crate::{IngressStatus, Name, Options};

/// Lines in which many paths collide and some are refused.
fn line() -> impl Strategy<Value = String> {
    const HOSTS: &[&str] = &["a.example", "b.example", "_"];
    const KINDS: &[&str] = &["Prefix", "Exact", "Any"];
    const PATHS: &[&str] = &["/", "/x", "/x/", "/x(", "/x(a|b)", "/y"];
    let path = (prop::sample::select(KINDS), prop::sample::select(PATHS))
        .prop_map(|(kind, path)| format!("{kind}:{path}"));
    const ANNOTATIONS: &[&str] = &[
        "use-regex=true",
        "rewrite-target=/z",
        "canary=true",
        "canary=false",
        "auth-type=nonsense",
        "auth-url=http://auth.example/",
        "limit-rps=none",
        "server-snippet=x",
        "allowlist-source-range=nonsense",
        "proxy-read-timeout=soon",
        "server-alias=b{",
    ];
    (
        0..6_u8,
        prop::sample::select(HOSTS),
        prop::collection::vec(path, 0..3),
        prop::collection::vec(prop::sample::select(ANNOTATIONS), 0..2),
    )
        .prop_map(|(number, host, paths, annotations)| {
            let (paths, annotations) = (paths.join(" "), annotations.join(" "));
            format!("s/i{number} {host} {paths} {annotations}")
        })
}

proptest! {
    /// An allowed Ingress is served as it is, with every path that is an expression, and is allowed again.
    #[test]
    fn allowed_is_served(lines in prop::collection::vec(line(), 1..8)) {
        let mut state = State::new(&[], &[], Options::default());
        for line in &lines {
            let name = line.split_whitespace().next().unwrap();
            let year: usize = name.trim_start_matches("s/i").parse().unwrap();
            let object = ingress(line, year);
            if state.review(&object).denied.is_some() {
                continue;
            }
            let name = Name::of(&object.metadata);
            state = state.store(object.clone());
            prop_assert_eq!(state.compiled.statuses().get(&name), Some(&IngressStatus::Served));
            let again = state.review(&object);
            prop_assert_eq!(again.denied, None, "{}", line);
            let findings = state.compiled.findings();
            let broken = findings.iter().find(|finding| {
                finding.subject.to_string().ends_with(&name.to_string())
                    && finding.message.contains("is not a regular expression")
            });
            prop_assert_eq!(broken, None);
        }
    }

    /// The Ingresses of a path are found by it, after any changes.
    #[test]
    fn paths_lead_to_their_ingresses(edits in prop::collection::vec((line(), prop::bool::ANY), 1..12)) {
        let mut state = State::new(&[], &[], Options::default());
        for (line, is_deletion) in &edits {
            let object = ingress(line, 1);
            state = if *is_deletion {
                state.remove(&Name::of(&object.metadata))
            } else {
                state.store(object)
            };
            for host in ["a.example", "b.example", "_"] {
                for path in ["/", "/x", "/x/", "/x(", "/x(a|b)", "/y"] {
                    let found = state.compiled.attached_at(host, [path, path].into_iter());
                    let mut all = state.compiled.attached_to(host);
                    all.retain(|attached| {
                        let rules = attached.ingress.rules(host).into_iter();
                        rules.flat_map(|rules| &rules.paths).any(|rule| &*rule.path == path)
                    });
                    let names = |attached: Vec<&AttachedIngress>| -> Vec<String> {
                        attached.iter().map(|attached| attached.ingress.name.to_string()).collect()
                    };
                    prop_assert_eq!(names(found), names(all), "{} {}", host, path);
                }
            }
        }
    }

    /// No object makes a review panic, and two reviews have the same result.
    #[test]
    fn total_and_deterministic(
        host in ".{0,30}",
        path in ".{0,30}",
        kind in "Exact|Prefix|ImplementationSpecific|.{0,5}",
        key in "(nginx.ingress.kubernetes.io/)?.{0,20}",
        value in ".{0,30}",
        secret in ".{0,10}",
    ) {
        let state = State::new(&["s/old a.example Any:/x(y) use-regex=true"], &[], Options::default());
        let mut object = ingress("s/a a.example Any:/", 1);
        object.metadata.annotations.get_or_insert_default().insert(key, value);
        let spec = object.spec.as_mut().unwrap();
        let rules = spec.rules.as_mut().unwrap();
        let mut odd = rules[0].clone();
        odd.host = Some(host);
        let paths = &mut odd.http.as_mut().unwrap().paths;
        paths[0].path = Some(path);
        paths[0].path_type = kind;
        rules.push(odd);
        let tls = IngressTLS {
            secret_name: Some(secret),
            ..Default::default()
        };
        spec.tls = Some(vec![tls]);
        let (first, second) = (state.review(&object), state.review(&object));
        prop_assert!(first.warnings.iter().all(|line| line.len() <= 256));
        prop_assert_eq!(first, second);
    }
}
