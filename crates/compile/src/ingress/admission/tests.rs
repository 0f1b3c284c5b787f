//! Every check with allowed and denied Ingresses; `state` describes the notation.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod expressions;
mod laws;
mod state;

use self::state::{State, ingress};

use crate::{Name, Namespaces, Options};

/// Asserts the review of each line in a state without settings.
#[track_caller]
fn check(stored: &[&str], cases: &[(&str, &str)]) {
    check_in(&State::new(stored, &[], Options::default()), cases);
}

#[track_caller]
fn check_in(state: &State, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let found = state.text(line);
        let is_prefix = expected
            .strip_suffix('*')
            .is_some_and(|start| found.starts_with(start));
        assert!(
            is_prefix || found == *expected,
            "{line}\nexpected {expected}\nfound    {found}"
        );
    }
}

#[test]
fn ingresses_being_deleted_or_not_selected_are_allowed() {
    let bad = "auth-type=nonsense";
    check(
        &[],
        &[
            (
                &format!("s/a a.example Prefix:/(x {bad} +deleting"),
                "not selected",
            ),
            (
                &format!("s/a a.example Prefix:/(x {bad} +class:other"),
                "not selected",
            ),
            (
                &format!("s/a a.example Prefix:/(x {bad} +class:missing"),
                "not selected",
            ),
            (&format!("s/a a.example Prefix:/x {bad}"), "no: *"),
        ],
    );
    let one = Options {
        namespaces: Namespaces::One("s".into()),
        ..Options::default()
    };
    let selected = Options {
        namespaces: Namespaces::Selected("kubernetes.io/metadata.name=watched".parse().unwrap()),
        ..Options::default()
    };
    let lines = [
        format!("t/a a.example {bad}"),
        format!("s/a a.example {bad}"),
    ];
    let [unwatched, watched] = &lines;
    let state = State::new(&[], &[], one);
    check_in(&state, &[(unwatched, "not selected"), (watched, "no: *")]);
    let labelled = format!("watched/a a.example {bad}");
    let state = State::new(&[], &[], selected);
    check_in(&state, &[(unwatched, "not selected"), (&labelled, "no: *")]);
}

#[test]
fn inspection_comes_before_the_class() {
    check(
        &[],
        &[
            (
                "s/a a.example Any:/x/etc/passwd +class:other",
                "no: spec.rules[0].http.paths[0].path: the value \"/x/etc/passwd\" is not allowed: it contains \"/etc/passwd\"",
            ),
            (
                "s/a a.example Any:/{alias~/secrets;} +class:other",
                "no: spec.rules[0].http.paths[0].path: *",
            ),
            ("s/a a.example Any:/root~x; +class:other", "no: *"),
            ("s/a a.example Any:/alias/root +class:other", "not selected"),
            (
                "s/a content_by_lua +class:other",
                "no: spec.rules[0].host: *",
            ),
            (
                "s/a a.example tls:/etc/nginx:x",
                "no: spec.tls[0].hosts[0]: *",
            ),
            (
                "s/a a.example tls:a.example:/var/run/secrets",
                "no: spec.tls[0].secretName: *",
            ),
            ("s/a a.example tls:a.example:cert Prefix:/etc", "ok"),
        ],
    );
    let options = Options {
        deep_inspect: false,
        ..Options::default()
    };
    let state = State::new(&[], &[], options);
    let object = ingress("s/a a.example Any:/etc/passwd", 1);
    assert_eq!(state.review(&object).denied, None);
}

#[test]
fn catch_all_is_refused_by_flag() {
    let line = "s/a a.example +default-backend";
    check(&[], &[(line, "ok"), ("s/a +default-backend", "ok")]);
    let options = Options {
        disable_catch_all: true,
        ..Options::default()
    };
    let cases = [
        (line, "no: spec.defaultBackend *"),
        ("s/a _ Prefix:/x", "ok"),
    ];
    check_in(&State::new(&[], &[], options), &cases);
}

#[test]
fn uid_is_a_uuid() {
    check(
        &[],
        &[
            (
                "s/a a.example +uid:0B1C7A52-6F0E-4C1D-9D5B-2F6F5C0E8A11",
                "ok",
            ),
            (
                "s/a a.example +uid:",
                "no: metadata.uid is not a UUID: \"\"",
            ),
            (
                "s/a a.example +uid:../../x",
                "no: metadata.uid is not a UUID: \"../../x\"",
            ),
            (
                "s/a a.example +uid:0b1c7a52x6f0e-4c1d-9d5b-2f6f5c0e8a11",
                "no: metadata.uid *",
            ),
            (
                "s/a a.example +uid:gb1c7a52-6f0e-4c1d-9d5b-2f6f5c0e8a11",
                "no: metadata.uid *",
            ),
        ],
    );
}

#[test]
fn literal_path_types_take_literal_paths() {
    let problem = "host \"a.example\": path \"/x(y)\" cannot have pathType \"Prefix\", which takes \"/\" and then letters, digits and . _ - / only; regular expressions have pathType ImplementationSpecific";
    let denied = format!("no: {problem}");
    let warned = format!("ok\n{problem}");
    let cases = [
        ("s/a a.example Prefix:/x.y_z-1/2 Exact:/X", "ok"),
        ("s/a a.example Prefix:/x(y)", &*denied),
        (
            "s/a a.example Exact:/x*",
            "no: host \"a.example\": path \"/x*\" cannot have pathType \"Exact\"*",
        ),
        (
            "s/a a.example :/x$",
            "no: host \"a.example\": path \"/x$\" cannot have pathType \"Prefix\"*",
        ),
        ("s/a _ Exact:/%20", "no: host \"_\": *"),
        ("s/a a.example Exact:x", "no: *"),
        ("s/a a.example Any:/x(y)", "ok"),
        ("s/a a.example Prefix:", "ok"),
    ];
    check(&[], &cases);
    let off = State::new(
        &[],
        &[("strict-validate-path-type", "false")],
        Options::default(),
    );
    check_in(&off, &[("s/a a.example Prefix:/x(y)", &warned)]);
    let broken = State::new(
        &[],
        &[("strict-validate-path-type", "no")],
        Options::default(),
    );
    check_in(&broken, &[("s/a a.example Prefix:/x(y)", &denied)]);
}

#[test]
fn annotation_names_and_words() {
    let closed = "ok\nmetadata.annotations[nginx.ingress.kubernetes.io/server-snippet]: *";
    let server = "s/a a.example server-snippet=return~404;";
    let unsupported = "s/a a.example server-snippet=auth_request~/x;";
    let other_prefix = "s/a a.example other.example/my-snippet=x";
    check(
        &[],
        &[
            (
                server,
                "no: annotation \"nginx.ingress.kubernetes.io/server-snippet\" cannot be used: *",
            ),
            (
                other_prefix,
                "no: annotation \"other.example/my-snippet\" cannot be used: *",
            ),
            ("s/a a.example other.example/snippets=x", "ok"),
        ],
    );
    let allowed = [("allow-snippet-annotations", "true")];
    let high = State::new(&[], &allowed, Options::default());
    let risky = "no: annotation \"nginx.ingress.kubernetes.io/server-snippet\": its risk is Critical and annotations-risk-level allows High";
    check_in(&high, &[(server, risky), (other_prefix, "ok")]);
    let both = [("annotations-risk-level", "Critical"), allowed[0]];
    check_in(
        &State::new(&[], &both, Options::default()),
        &[(server, "ok"), (unsupported, closed)],
    );
    let medium = State::new(
        &[],
        &[("annotations-risk-level", "Medium")],
        Options::default(),
    );
    check_in(
        &medium,
        &[
            ("s/a a.example proxy-body-size=1m", "ok"),
            ("s/a a.example allowlist-source-range=10.0.0.0/8", "ok"),
            (
                "s/a a.example auth-url=http://a.example/",
                "no: annotation \"nginx.ingress.kubernetes.io/auth-url\": its risk is High *",
            ),
        ],
    );
    let words = [("annotation-value-word-blocklist", "load_module,evil")];
    let words = State::new(&[], &words, Options::default());
    check_in(
        &words,
        &[
            (
                "s/a a.example upstream-vhost=devil.example",
                "no: annotation \"nginx.ingress.kubernetes.io/upstream-vhost\" contains the word \"evil\", *",
            ),
            ("s/a a.example unheard-of=evil", "no: annotation *"),
            ("s/a a.example other.example/x=evil", "ok"),
        ],
    );
}

#[test]
fn another_prefix_excludes_the_usual_one() {
    let options = Options {
        annotations_prefix: "corp.example".into(),
        ..Options::default()
    };
    let cases = [
        (
            "s/a a.example proxy-body-size=1m",
            "no: annotation \"nginx.ingress.kubernetes.io/proxy-body-size\": this controller reads annotations under the prefix corp.example, *",
        ),
        ("s/a a.example corp.example/proxy-body-size=1m", "ok"),
        (
            "s/a a.example corp.example/auth-type=x",
            "no: corp.example/auth-type: *",
        ),
        ("s/a a.example nginx.ingress.kubernetes.iox/y=1", "ok"),
    ];
    check_in(&State::new(&[], &[], options), &cases);
}

#[test]
fn what_compilation_refuses_is_denied() {
    check(
        &[],
        &[
            (
                "s/a a.example auth-type=nonsense",
                "no: nginx.ingress.kubernetes.io/auth-type: *",
            ),
            (
                "s/a a.example server-alias=a{b;",
                "no: nginx.ingress.kubernetes.io/server-alias: *",
            ),
            (
                "s/a a.example limit-rps=many",
                "no: nginx.ingress.kubernetes.io/limit-rps: *",
            ),
            // Closed, and ignored.
            (
                "s/a a.example allowlist-source-range=nonsense",
                "ok\nmetadata.annotations[nginx.ingress.kubernetes.io/allowlist-source-range]: *",
            ),
            (
                "s/a a.example proxy-read-timeout=soon",
                "ok\nmetadata.annotations[nginx.ingress.kubernetes.io/proxy-read-timeout]: *",
            ),
        ],
    );
}

#[test]
fn paths_of_other_ingresses() {
    let taken = |path: &str, name: &str| {
        format!("no: host \"a.example\" and path \"{path}\" is already defined in ingress {name}")
    };
    let x = taken("/x", "s/old");
    let slash = taken("/x/", "s/old");
    check(
        &["s/old a.example Prefix:/x Prefix:/"],
        &[
            ("s/a a.example Prefix:/x", &x),
            ("s/a a.example Any:/x", &x),
            ("s/a a.example Prefix:/x/", &slash),
            ("s/a a.example Prefix:/", &taken("/", "s/old")),
            // The asymmetry of ingress-nginx.
            ("s/a a.example Exact:/x", "ok"),
            ("s/a a.example Exact:/x/", &slash),
            ("s/a a.example Prefix:/x/y Prefix:/xy", "ok"),
            ("s/a b.example Prefix:/x", "ok"),
            ("s/a _ Prefix:/x", "ok"),
            ("s/old a.example Prefix:/x Prefix:/ Prefix:/y", "ok"),
            ("s/a b.example Prefix:/z a.example Prefix:/y Prefix:/x", &x),
        ],
    );
    let exact = ["s/old a.example Exact:/x"];
    check(
        &exact,
        &[
            ("s/a a.example Prefix:/x", &x),
            ("s/a a.example Exact:/x", &x),
            ("s/a a.example Prefix:/x/", "ok"),
            ("s/a a.example Prefix:/", "ok"),
        ],
    );
    let verbatim = ["s/old a.example Any:/x use-regex=true"];
    check(
        &verbatim,
        &[
            ("s/a a.example Exact:/x", &x),
            ("s/a a.example Prefix:/x/", "ok"),
        ],
    );
    let nameless = ["s/old _ Prefix:/x"];
    check(
        &nameless,
        &[(
            "s/a _ Prefix:/x",
            "no: host \"_\" and path \"/x\" is already defined in ingress s/old",
        )],
    );
    // The loser of a conflict does not own the path, and a default location has no owner.
    let conflict = ["s/old a.example Prefix:/x", "s/late a.example Prefix:/x"];
    check(
        &conflict,
        &[
            ("s/old a.example Prefix:/x app-root=/y", "ok"),
            ("s/late a.example Prefix:/x", &x),
            ("s/a a.example Prefix:/", "ok"),
        ],
    );
    // The owner of a prefix keeps it beside a newer exact path.
    let asymmetric = ["s/old a.example Prefix:/x", "s/late a.example Exact:/x"];
    check(
        &asymmetric,
        &[
            ("s/old a.example Prefix:/x", "ok"),
            ("s/late a.example Exact:/x", "ok"),
        ],
    );
}

/// Paths are looked up in an index only where many Ingresses share a host.
#[test]
fn paths_of_a_host_that_many_ingresses_share() {
    for count in [2, 16, 17, 40] {
        let stored: Vec<String> = (0..count)
            .map(|n| format!("s/i{n} a.example Prefix:/{n} b{n}.example Prefix:/x"))
            .collect();
        let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
        let state = State::new(&stored, &[], Options::default());
        for owner in [0, 1, count - 1] {
            let taken = format!(
                "no: host \"a.example\" and path \"/{owner}\" is already defined in ingress s/i{owner}"
            );
            let own = format!("s/i{owner} a.example Prefix:/{owner}");
            check_in(
                &state,
                &[
                    (&format!("s/new a.example Prefix:/{owner}"), &taken),
                    (&own, "ok"),
                ],
            );
        }
        let state = state.remove(&Name::new("s", "i1"));
        check_in(&state, &[("s/new a.example Prefix:/1", "ok")]);
    }
}

#[test]
fn canaries_share_paths_with_primaries_only() {
    let stored = [
        "s/main a.example Prefix:/x",
        "s/canary a.example Prefix:/x canary=true canary-weight=10",
        "s/not a.example Prefix:/y canary=false",
    ];
    check(
        &stored,
        &[
            (
                "s/a a.example Prefix:/x",
                "no: host \"a.example\" and path \"/x\" is already defined in ingress s/main",
            ),
            (
                "s/a a.example Prefix:/x canary=true",
                "no: host \"a.example\" and path \"/x\" is already defined in ingress s/canary",
            ),
            ("s/a a.example Prefix:/x canary=false", "ok"),
            ("s/a a.example Prefix:/y", "ok"),
            ("s/a a.example Prefix:/y canary=true", "ok"),
            (
                "s/canary a.example Prefix:/x canary=true canary-weight=20",
                "ok",
            ),
            ("s/canary a.example Prefix:/x", "no: *"),
            ("s/main a.example Prefix:/x canary=true", "no: *"),
        ],
    );
}

#[test]
fn paths_that_are_not_expressions() {
    let bad = "no: host \"a.example\": path \"/x(\" is not a regular expression: *";
    check(
        &[
            "s/old b.example Any:/b(/|$)(.*) use-regex=true",
            "s/older c.example Prefix:/c",
        ],
        &[
            ("s/a a.example Any:/x(", "ok"),
            ("s/a a.example Any:/x( use-regex=true", bad),
            ("s/a a.example Any:/x( rewrite-target=/y", bad),
            // Another Ingress puts the host into regex mode.
            ("s/a b.example Any:/x(", "no: host \"b.example\": *"),
            ("s/a c.example Any:/x(", "ok"),
            ("s/a a.example Any:/(?=x)(?!y).*+ use-regex=true", "ok"),
            (
                "s/a a.example Any:/x( use-regex=true canary=true",
                "ok\nmetadata.annotations[nginx.ingress.kubernetes.io/use-regex]: has no effect on a canary*",
            ),
            ("s/a a.example Any:/(a{1000}){1000} use-regex=true", "no: *"),
        ],
    );
    let many: String = (0..300).map(|n| format!(" Any:/x{n}(a|b)")).collect();
    let line = format!("s/a a.example{many} use-regex=true");
    check(&[], &[(&line, "ok\ntoo many regular expressions *")]);
    // Expressions in service are not checked again.
    check(&[&line], &[(&line, "ok")]);
}

#[test]
fn warnings_name_annotations_without_effect() {
    let prefix = "metadata.annotations[nginx.ingress.kubernetes.io/";
    check(
        &[],
        &[
            (
                "s/a a.example secure-backends=true",
                &format!("ok\n{prefix}secure-backends]: removed *"),
            ),
            (
                "s/a a.example enable-influxdb=true",
                &format!("ok\n{prefix}enable-influxdb]: removed *"),
            ),
            (
                "s/a a.example proxy-body-sise=1m",
                &format!(
                    "ok\n{prefix}proxy-body-sise]: unknown annotation; ignored: did you mean proxy-body-size?"
                ),
            ),
            ("s/a a.example auth-url=auth.example", "ok\n*"),
            ("s/a a.example rewrite-target=/$", "ok*"),
            (
                "s/a a.example canary=true canary-by-header=x canary-by-header-pattern=(",
                &format!(
                    "ok\n{prefix}canary-by-header-pattern]: \"(\" is not a regular expression*"
                ),
            ),
            (
                "s/a a.example other.example/unknown=1 proxy-body-size=1m",
                "ok",
            ),
        ],
    );
    let state = State::new(&[], &[], Options::default());
    let unknown: String = (0..30)
        .map(|n| format!(" {}{n}=1", "é".repeat(150)))
        .collect();
    let line = format!("s/a a.example proxy-read-timeout=soon{unknown}");
    let warnings = state.review(&ingress(&line, 50)).warnings;
    assert_eq!(warnings.len(), 20);
    assert!(
        warnings[0].contains("proxy-read-timeout"),
        "the worst first: {warnings:?}"
    );
    assert_eq!(warnings[19], "and 12 more");
    assert!(warnings.iter().all(|line| line.len() <= 256));
}

#[test]
fn counts_the_compared_ingresses() {
    let stored = [
        "s/x a.example Exact:/x",
        "s/y a.example Prefix:/y b.example Exact:/y",
        "s/z c.example Prefix:/z",
    ];
    let state = State::new(&stored, &[], Options::default());
    let tested = |line| state.review(&ingress(line, 50)).tested;
    // Those with the same host and path, and the reviewed one; sharing only the host is not a conflict.
    assert_eq!(tested("s/a a.example Exact:/y b.example Prefix:/x"), 2);
    assert_eq!(tested("s/x a.example Prefix:/x"), 1);
    assert_eq!(tested("s/a a.example Exact:/z"), 1);
    assert_eq!(tested("s/a a.example Prefix:/x +class:other"), 0);
}
