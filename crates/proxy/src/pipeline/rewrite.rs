//! Rewriting of paths: `rewrite-target` (behaviour.md 1.1).

use std::borrow::Cow;

use bytes::Bytes;
use headgate_table::{PathEdit, PatternRewrite, Piece, Rewrite, Template, Variable};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::redirect;
use crate::request::Context;
use crate::request::path::{self, Slashes};
use crate::respond::LocalResponse;
use crate::values::Matched;

/// The target of the upstream request; by default that of the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// Path and query; `None`: the client's, as sent.
    pub(super) target: Option<PathAndQuery>,
    /// `X-Forwarded-Prefix`
    pub(super) prefix: Option<HeaderValue>,
}

/// Rewrites the path if the route says so and its pattern matches. A rewrite to a URL is a redirect.
pub(super) fn rewrite(context: &Context<'_>) -> Result<Rewritten, LocalResponse> {
    let unchanged = Rewritten {
        target: moved(context)?,
        prefix: None,
    };
    let rewrite = match context.route.rewrite.as_deref() {
        None => return Ok(unchanged),
        Some(Rewrite::Pattern(rewrite)) => rewrite,
        Some(Rewrite::Path(edit)) => {
            return Ok(Rewritten {
                target: Some(to_target(with_query(edited_path(context, edit), context))?),
                prefix: None,
            });
        }
    };
    let path = context.path();
    let found = rewrite.pattern.search(path).map_err(|_| undecided())?;
    let matched = found.map(|captures| Matched { captures, path });
    let prefix = prefix(context, rewrite, matched.as_ref());
    let Some(matched) = matched else {
        return Ok(Rewritten {
            prefix,
            ..unchanged
        });
    };
    if rewrite.redirect {
        return Err(to_url(context, rewrite, &matched));
    }
    let target = to_path(context, rewrite, &matched)?;
    Ok(Rewritten {
        target: Some(target),
        prefix,
    })
}

/// Whether the route rewrites the path of this request.
pub(super) fn applies(context: &Context<'_>) -> Result<bool, LocalResponse> {
    match context.route.rewrite.as_deref() {
        None => Ok(false),
        Some(Rewrite::Pattern(rewrite)) => {
            rewrite.pattern.decide(context.path()).ok_or_else(undecided)
        }
        Some(Rewrite::Path(_)) => Ok(true),
    }
}

/// The path with `edit`, encoded. What is behind a prefix stays as it was sent, unless it was normalised: then what was matched
/// is what is sent.
pub(super) fn edited_path(context: &Context<'_>, edit: &PathEdit) -> String {
    let path = context.path();
    let raw = context.parsed.target.raw_path();
    let is_normalised = || !percent_decode_str(raw).eq(path.iter().copied());
    let rest = match edit.rest(raw.as_bytes()) {
        Some(rest) if !is_normalised() => path_text(rest),
        _ => path::encoded(edit.rest(path).unwrap_or_default()),
    };
    edit.apply(&rest)
}

/// A part of a target that was text, from a slash on.
fn path_text(part: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(part)
}

/// As nginx responds when PCRE gives up.
fn undecided() -> LocalResponse {
    LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR)
}

fn prefix(
    context: &Context<'_>,
    rewrite: &PatternRewrite,
    matched: Option<&Matched<'_>>,
) -> Option<HeaderValue> {
    let value = context.expand(rewrite.forwarded_prefix.as_ref()?, matched);
    // Groups are decoded text, so they are encoded as a path.
    let value = path::encoded(&value);
    if value.is_empty() {
        None
    } else {
        HeaderValue::from_str(&value).ok()
    }
}

/// The target with its groups, as a path: dot segments that groups bring in are resolved, and everything is encoded,
/// because groups are decoded text. Empty segments stay, as upstreams of such rewrites expect.
fn to_path(
    context: &Context<'_>,
    rewrite: &PatternRewrite,
    matched: &Matched<'_>,
) -> Result<PathAndQuery, LocalResponse> {
    let refused = || LocalResponse::Page(StatusCode::BAD_REQUEST);
    let mut filled = context.expand(&rewrite.target, Some(matched));
    if filled.first() != Some(&b'/') {
        filled.insert(0, b'/');
    }
    let resolved = path::resolved(&filled, Slashes::Keep).map_err(|_| refused())?;
    to_target(with_query(path::encoded(&resolved).into_owned(), context))
}

fn to_target(text: String) -> Result<PathAndQuery, LocalResponse> {
    let refused = |_| LocalResponse::Page(StatusCode::BAD_REQUEST);
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(refused)
}

/// The text of the template is the URL that the author of the object wrote. What is decoded is encoded; other variables, such
/// as `$request_uri`, are encoded already.
fn to_url(context: &Context<'_>, rewrite: &PatternRewrite, matched: &Matched<'_>) -> LocalResponse {
    let location = url(context, &rewrite.target, Some(matched));
    redirect::to_location(StatusCode::FOUND, with_query(location, context))
}

/// The URL that `template` is for this request.
pub(super) fn url(
    context: &Context<'_>,
    template: &Template,
    matched: Option<&Matched<'_>>,
) -> String {
    let mut location = String::new();
    let mut piece_text = Vec::new();
    for piece in template.pieces() {
        piece_text.clear();
        context.expand_piece(piece, matched, &mut piece_text);
        // Groups of the path are decoded text; what configuration sets is a URL already.
        let decoded = match piece {
            Piece::Variable(variable) => *variable == Variable::Uri,
            Piece::Capture(_) => matched.is_some(),
            Piece::Group(name) => {
                matched.is_some_and(|matched| matched.captures.named(name, matched.path).is_some())
            }
            Piece::Text(_) => false,
        };
        if decoded {
            location.push_str(&path::encoded(&piece_text));
        } else {
            location.extend(percent_encode(&piece_text, UNSAFE));
        }
    }
    location
}

/// What no URL holds as it is.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// The path and query that a script has set, if it has.
pub(super) fn moved(context: &Context<'_>) -> Result<Option<PathAndQuery>, LocalResponse> {
    let locals = context.locals.as_ref();
    let set = locals.is_some_and(|locals| locals.path.is_some() || locals.query.is_some());
    if !set {
        return Ok(None);
    }
    to_target(with_query(
        path::encoded(context.path()).into_owned(),
        context,
    ))
    .map(Some)
}

pub(super) fn with_query(mut text: String, context: &Context<'_>) -> String {
    if let Some(query) = context.query() {
        text.push('?');
        text.push_str(query);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::Pattern;
    use std::sync::Arc;

    fn sample(target: &str, pattern: &str, replacement: &str) -> Sample {
        let mut sample = Sample::new("GET", target);
        sample.route.rewrite = Some(Arc::new(Rewrite::Pattern(PatternRewrite {
            pattern: Arc::new(Pattern::case_insensitive(pattern).unwrap()),
            target: Template::parse(replacement).unwrap(),
            redirect: replacement.starts_with("http"),
            forwarded_prefix: None,
        })));
        sample
    }

    fn show(sample: &Sample) -> String {
        match rewrite(&sample.context()) {
            Ok(Rewritten {
                target: Some(target),
                ..
            }) => target.to_string(),
            Ok(Rewritten { target: None, .. }) => "unchanged".to_owned(),
            Err(LocalResponse::Redirect { status, location }) => {
                format!("{} {}", status.as_u16(), location.to_str().unwrap())
            }
            Err(LocalResponse::Page(status)) => status.as_u16().to_string(),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn the_whole_path_becomes_the_target() {
        let api = "/api(/|$)(.*)";
        for (request, pattern, target, expected) in [
            ("/api", api, "/$2", "/"),
            ("/api/x?y=1", api, "/$2", "/x?y=1"),
            ("/API/x", api, "/$2", "/x"),
            ("/apix", api, "/$2", "unchanged"),
            ("/foo/rest", "/foo", "/bar", "/bar"),
            ("/x/foo", "/foo", "/bar", "/bar"),
            ("/api/a%20b%3Fc%25", api, "/$2", "/a%20b%3Fc%25"),
            ("/api/%c3%a9", api, "/$2", "/%C3%A9"),
            ("/s/x", "/s(.*)", "/t/$1", "/t//x"),
            ("/s/x", "/s/(.*)", "$1", "/x"),
            ("/s/x", "/s/(.*)", "/$host/$1", "/shop.example/x"),
            ("/s?", "/s", "/t", "/t?"),
        ] {
            assert_eq!(
                show(&sample(request, pattern, target)),
                expected,
                "{request} {pattern} {target}"
            );
        }
    }

    #[test]
    fn groups_cannot_climb() {
        assert_eq!(show(&sample("/p/x", "/p/x()", "/$1../D")), "400");
        assert_eq!(show(&sample("/p/.x", "/p/(.)x", "/a/$1./D")), "/D");
        assert_eq!(show(&sample("/p/.x", "/p/(.)x", "/a/$1.;/D")), "400");
    }

    #[test]
    fn a_url_is_redirected_to_with_its_groups_encoded() {
        assert_eq!(
            show(&sample("/p/a%20b?q", "/p/(.*)", "https://b.test/$1")),
            "302 https://b.test/a%20b?q"
        );
    }

    #[test]
    fn the_prefix_uses_the_groups_of_the_match() {
        let mut sample = sample("/p/x", "/(p)/(.*)", "/$2");
        let Some(Rewrite::Pattern(mut rules)) = sample.route.rewrite.as_deref().cloned() else {
            unreachable!("it is one by a pattern");
        };
        rules.forwarded_prefix = Some(Template::parse("/$1").unwrap());
        sample.route.rewrite = Some(Arc::new(Rewrite::Pattern(rules)));
        assert_eq!(rewrite(&sample.context()).unwrap().prefix.unwrap(), "/p");
    }

    #[test]
    fn what_is_behind_a_prefix_stays_as_sent_unless_it_was_normalised() {
        let edited = |target: &str, edit: PathEdit| {
            let mut sample = Sample::new("GET", target);
            sample.route.rewrite = Some(Arc::new(Rewrite::Path(edit)));
            show(&sample)
        };
        let prefix = || PathEdit::prefix("/api", "/v2/");
        assert_eq!(
            edited("/api/a%20b%2Fc?q=%20", prefix()),
            "/v2/a%20b%2Fc?q=%20"
        );
        assert_eq!(edited("/api", prefix()), "/v2");
        assert_eq!(edited("/%61pi/x%20", prefix()), "/v2/x%20");
        assert_eq!(edited("/api/b/../../api/c", prefix()), "/v2/c");
        assert_eq!(edited("/api//c", prefix()), "/v2/c");
        assert_eq!(edited("/x?y", PathEdit::Full("/z/".into())), "/z/?y");
    }
}
