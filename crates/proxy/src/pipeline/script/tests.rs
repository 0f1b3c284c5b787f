#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use std::sync::Arc;

use headgate_table::{
    Level, PathRewrite, Phase, Piece, Template, VariableMapBuilder, VariableMaps,
};

use super::*;
use crate::request::testing::Sample;

fn template(text: &str) -> Template {
    Template::with_locals(text, Phase::Request).unwrap()
}

fn set(name: &str, value: &str) -> Step {
    Step::Set {
        target: Assigned::Local(name.into()),
        value: template(value),
    }
}

fn rewrite(pattern: &str, path: &str, then: AfterRewrite) -> Step {
    Step::Rewrite(PathRewrite {
        pattern: Arc::new(Pattern::new(pattern).unwrap()),
        path: template(path),
        query: None,
        keeps_query: true,
        then,
    })
}

fn when(value: &str, test: ValueTest, steps: Vec<Step>, level: usize) -> Step {
    Step::If {
        condition: Condition {
            value: template(value),
            test,
            negated: false,
        },
        steps: steps.into(),
        level,
    }
}

/// How `steps` end for a request for `target`: the level, the end, the path and the value of `$x`.
fn ran(target: &str, steps: Vec<Step>) -> String {
    let script = Script {
        steps: steps.into(),
        levels: vec![Level::default(); 3].into(),
        ..Script::default()
    };
    let sample = Sample::new("GET", target).header("x-user", "u-7");
    let mut context = sample.context();
    let outcome = run(&mut context, &script);
    let ended = match outcome.ended {
        Ok(ended) => format!("{ended:?}"),
        Err(LocalResponse::Page(status)) => status.as_u16().to_string(),
        Err(LocalResponse::Redirect { status, location }) => {
            format!("{} {}", status.as_u16(), location.to_str().unwrap())
        }
        Err(other) => format!("{other:?}"),
    };
    let path = String::from_utf8_lossy(context.path()).into_owned();
    let query = context.query().map(|query| format!("?{query}"));
    let x = context.evaluate(&template("$x"));
    format!(
        "{} {ended} {path}{} [{x}]",
        outcome.level,
        query.unwrap_or_default()
    )
}

#[test]
fn steps_run_in_order_until_one_ends_them() {
    let number = || ValueTest::Matches(Arc::new(Pattern::new("^u-([0-9]+)$").unwrap()));
    for (steps, expected) in [
        (vec![], "0 Proceed /a?q=1 []"),
        (
            vec![set("x", "1"), set("x", "$x-2")],
            "0 Proceed /a?q=1 [1-2]",
        ),
        (
            vec![when("$http_x_user", number(), vec![set("x", "n$1")], 1)],
            "1 Proceed /a?q=1 [n7]",
        ),
        (
            vec![
                when("$http_x_user", ValueTest::True, vec![], 1),
                when(
                    "$arg_q",
                    ValueTest::Equals(template("1")),
                    vec![Step::Break],
                    2,
                ),
                set("x", "never"),
            ],
            "2 Broke /a?q=1 []",
        ),
        (
            vec![when("$arg_none", ValueTest::True, vec![set("x", "1")], 1)],
            "0 Proceed /a?q=1 []",
        ),
        (
            vec![
                rewrite("^/(a)$", "/b/$1", AfterRewrite::Continue),
                set("x", "$uri"),
            ],
            "0 Changed /b/a?q=1 [/b/a]",
        ),
        (
            vec![rewrite("^/a$", "/b", AfterRewrite::Last), set("x", "never")],
            "0 Moved /b?q=1 []",
        ),
        (
            vec![rewrite("^/a$", "/b", AfterRewrite::Continue), Step::Break],
            "0 Broke /b?q=1 []",
        ),
        (
            vec![rewrite("^/none$", "/b", AfterRewrite::Last)],
            "0 Proceed /a?q=1 []",
        ),
        (
            vec![rewrite("^/a$", "/x/../../y", AfterRewrite::Break)],
            "0 400 /a?q=1 []",
        ),
        (
            vec![rewrite(
                "^/a$",
                "https://b.test/",
                AfterRewrite::Redirect(StatusCode::FOUND),
            )],
            "0 302 https://b.test/?q=1 /a?q=1 []",
        ),
        (
            vec![
                Step::Return(FixedResponse::Page(StatusCode::FORBIDDEN)),
                set("x", "never"),
            ],
            "0 403 /a?q=1 []",
        ),
        (
            vec![
                Step::Set {
                    target: Assigned::Args,
                    value: template("r=2"),
                },
                set("x", "$arg_r"),
            ],
            "0 Proceed /a?r=2 [2]",
        ),
    ] {
        assert_eq!(ran("/a?q=1", steps), expected);
    }
}

#[test]
fn a_text_with_line_breaks_cannot_become_a_field() {
    let to = template("https://b.test/$arg_q");
    let steps = vec![Step::Return(FixedResponse::Redirect(StatusCode::FOUND, to))];
    let ended = ran("/a?q=%0d%0aX:1", steps);
    assert!(ended.contains("302 https://b.test/%0d%0aX:1"), "{ended}");
}

#[test]
fn a_condition_that_cannot_be_decided_refuses() {
    let endless = Pattern::new(r"^(?=x?)(a|aa)+\1b$").unwrap();
    let test = ValueTest::Matches(Arc::new(endless));
    let target = format!("/a?q={}", "a".repeat(3000));
    let ended = ran(&target, vec![when("$arg_q", test, vec![], 1)]);
    assert!(ended.starts_with("0 500 "), "{ended}");
}

#[test]
fn a_map_or_a_location_that_cannot_be_decided_refuses() {
    let map = |name: &str, source: &str| {
        let mut builder = VariableMapBuilder::new();
        let endless = Pattern::new(r"^(?=x?)(a|aa)+\1b$").unwrap();
        builder.add_pattern(endless, template("1"));
        builder.set_default(template(""));
        Arc::new(builder.build(name, template(source)))
    };
    let maps = VariableMaps::new([
        map("deny", "$arg_q"),
        map("chained", "$deny"),
        map("country", "$geoip2_country_code"),
    ]);
    let maps = Arc::new(maps);
    for (query, value, expected) in [
        ("a".repeat(3000), "$deny", 500),
        ("a".repeat(3000), "$chained", 500),
        ("b".to_owned(), "$chained", 0),
        ("b".to_owned(), "$country", 500),
        ("b".to_owned(), "$geoip2_country_code", 500),
    ] {
        let forbidden = Step::Return(FixedResponse::Page(StatusCode::FORBIDDEN));
        let script = Script {
            steps: [when(value, ValueTest::True, vec![forbidden], 0)].into(),
            ..Script::default()
        };
        let target = format!("/a?q={query}");
        let sample = Sample::new("GET", &target).settings(|settings| settings.maps = maps.clone());
        let ended = match run(&mut sample.context(), &script).ended {
            Err(LocalResponse::Page(status)) => status.as_u16(),
            _ => 0,
        };
        assert_eq!(ended, expected, "{value}");
    }
}

#[test]
fn the_last_piece_of_a_template_may_be_a_variable_of_the_script() {
    assert!(matches!(template("$x").pieces(), [Piece::Group(_)]));
}
