//! What is a template and what is not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;

#[test]
fn text_captures_and_variables_in_order() {
    let template = Template::parse("/$1-${host}/x$http_x_user").unwrap();
    assert_eq!(
        template.pieces(),
        [
            Piece::Text("/".into()),
            Piece::Capture(1),
            Piece::Text("-".into()),
            Piece::Variable(Variable::Host),
            Piece::Text("/x".into()),
            Piece::Variable(Variable::Header(HeaderName::from_static("x-user"))),
        ]
    );
}

#[test]
fn a_capture_is_one_digit() {
    assert_eq!(
        Template::parse("$10").unwrap().pieces(),
        [Piece::Capture(1), Piece::Text("0".into())]
    );
}

#[test]
fn broken_text_is_refused() {
    assert_eq!(Template::parse("a$"), Err(TemplateError::NoName));
    assert_eq!(Template::parse("a${}"), Err(TemplateError::NoName));
    assert_eq!(Template::parse("${host"), Err(TemplateError::Unclosed));
}

#[test]
fn unknown_names_are_listed() {
    let error = Template::parse("$host $nonsense ${http_} $x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no variable $nonsense, $http_, $x"
    );
}

#[test]
fn a_variable_of_a_later_phase_is_refused() {
    let error = Template::parse("$host-$status").unwrap_err();
    assert_eq!(
        error.to_string(),
        "variable $status is known only with the response"
    );
    assert!(Template::parse_for("$status", Phase::Response).is_ok());
    assert!(Template::parse_for("$bytes_sent", Phase::Response).is_err());
}

#[test]
fn names_of_groups_are_left_to_the_path() {
    let template = Template::with_groups("/$rest/$host").unwrap();
    assert_eq!(template.groups().collect::<Vec<_>>(), ["rest"]);
}

#[test]
fn log_formats_always_parse() {
    let (format, problems) = Template::log_format("$status $nonsense $ ${x");
    assert_eq!(
        format.pieces(),
        [
            Piece::Variable(Variable::Status),
            Piece::Text(" ".into()),
            Piece::Text("-".into()),
            Piece::Text(" ".into()),
            Piece::Text("$".into()),
            Piece::Text(" ".into()),
            Piece::Text("$".into()),
            Piece::Text("{x".into()),
        ]
    );
    assert_eq!(problems.len(), 3);
}

#[test]
fn a_template_knows_the_fields_that_it_reads() {
    let (format, _) = Template::log_format(
        "$http_a $http_a $cookie_b $sent_http_c $upstream_http_d $upstream_cookie_e $remote_user",
    );
    let reads = format.reads();
    assert_eq!(*reads.request, ["a", "cookie", "authorization"]);
    assert_eq!(*reads.response, ["c"]);
    assert_eq!(*reads.upstream, ["d", "set-cookie"]);
}

#[test]
fn a_literal_keeps_its_dollars() {
    assert_eq!(
        Template::literal("a$b").pieces(),
        [Piece::Text("a$b".into())]
    );
    assert_eq!(Template::literal("a$b").as_text(), Some("a$b"));
}

/// Text becomes a template that holds all of it, or is refused with the same problems in every place; a log format never is.
fn is_a_template_or_refused(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let length = |template: &Template| {
        let pieces = template.pieces().iter();
        let lengths = pieces.map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Capture(_) => 2,
            Piece::Group(name) => 1 + name.len(),
            Piece::Variable(_) => 1,
        });
        lengths.sum::<usize>()
    };
    let (log, _) = Template::log_format(text);
    let open = Template::with_locals(text, Phase::Response);
    for phase in [Phase::Request, Phase::Response] {
        if let Ok(template) = Template::parse_for(text, phase) {
            assert_eq!(template.source(), text);
            assert!(length(&template) <= text.len());
            assert_eq!(template.groups().count(), 0);
            assert!(Template::with_locals(text, phase).is_ok());
            assert_eq!(template.as_text().is_none(), text.contains('$'));
        }
    }
    for template in open.iter().chain([&log]) {
        assert!(length(template) <= text.len());
    }
}

#[test]
fn fuzz_template() {
    headgate_fuzz::check("template", is_a_template_or_refused);
}
