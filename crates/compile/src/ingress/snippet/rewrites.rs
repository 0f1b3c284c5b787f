//! `rewrite`, `set` and `map`.

use std::sync::Arc;

use headgate_table::{
    AfterRewrite, Assigned, PathRewrite, Pattern, Phase, Variable, VariableMapBuilder,
};
use http::StatusCode;

use super::conditions::expression;
use super::directive::Directive;
use super::syntax::Written;
use super::values::{shown, template};

/// Most entries of a map.
const MAX_ENTRIES: usize = 2_000;
/// Most expressions of a map: each may be tried for a request.
const MAX_EXPRESSIONS: usize = 200;

/// `rewrite EXPRESSION TARGET [FLAG]`
pub(super) fn rewrite(arguments: &[String]) -> Result<Directive, String> {
    let (source, target, flag) = match arguments {
        [source, target] => (source, target, ""),
        [source, target, flag] => (source, target, flag.as_str()),
        _ => return Err("expected an expression, a target and perhaps a flag".to_owned()),
    };
    let then = match flag {
        "" => AfterRewrite::Continue,
        "last" => AfterRewrite::Last,
        "break" => AfterRewrite::Break,
        "redirect" => AfterRewrite::Redirect(StatusCode::FOUND),
        "permanent" => AfterRewrite::Redirect(StatusCode::MOVED_PERMANENTLY),
        _ => return Err(format!("\"{}\" is not a flag", shown(flag))),
    };
    let pattern = expression(source, Pattern::new)?;
    let (target, keeps_query) = match target.strip_suffix('?') {
        Some(target) => (target, false),
        None => (target.as_str(), true),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(template(query, Phase::Request)?)),
        None => (target, None),
    };
    let path = template(path, Phase::Request)?;
    let then = match then {
        AfterRewrite::Redirect(_) => then,
        _ if PathRewrite::is_url(&path) => AfterRewrite::Redirect(StatusCode::FOUND),
        _ => then,
    };
    Ok(Directive::Rewrite(PathRewrite {
        pattern,
        path,
        query,
        keeps_query,
        then,
    }))
}

/// `set $NAME VALUE`
pub(super) fn set(arguments: &[String]) -> Result<Directive, String> {
    let [name, value] = arguments else {
        return Err("expected a variable and a value".to_owned());
    };
    let name = name.strip_prefix('$').filter(|name| is_name(name));
    let name = name.ok_or("the first word is not a variable")?;
    let target = match Variable::named(name) {
        // nginx would limit the rate of the response.
        None if name.eq_ignore_ascii_case("limit_rate") => {
            return Err("$limit_rate is not supported; the annotation limit-rate is".to_owned());
        }
        None => Assigned::Local(name.to_ascii_lowercase().into()),
        Some(Variable::Args) => Assigned::Args,
        // ingress-nginx itself gives these their values afterwards.
        Some(Variable::PassAccessScheme | Variable::BestHttpHost) => return Ok(Directive::Nothing),
        Some(_) => return Err(format!("${name} is the proxy's and cannot be set")),
    };
    Ok(Directive::Set(target, template(value, Phase::Request)?))
}

/// `map SOURCE $NAME { … }`
pub(super) fn map(written: &Written) -> Result<Directive, String> {
    let [source, name] = written.arguments.as_slice() else {
        return Err("expected a source and a variable".to_owned());
    };
    let name = name.strip_prefix('$').filter(|name| is_name(name));
    let name = name.ok_or("the second word is not a variable")?;
    match Variable::named(name) {
        None => {}
        // Upgrades need no configuration here.
        Some(Variable::ConnectionUpgrade) => return Ok(Directive::Nothing),
        Some(_) => return Err(format!("${name} is the proxy's and cannot be defined")),
    }
    let entries = written.block.as_deref().ok_or("expected a block")?;
    if entries.len() > MAX_ENTRIES {
        return Err(format!("it has more than {MAX_ENTRIES} entries"));
    }
    let mut builder = VariableMapBuilder::new();
    let mut expressions = 0;
    for entry in entries {
        let at = |reason: String| format!("entry in line {}: {reason}", entry.line);
        add_entry(entry, &mut builder, &mut expressions).map_err(at)?;
    }
    if expressions > MAX_EXPRESSIONS {
        return Err(format!("it has more than {MAX_EXPRESSIONS} expressions"));
    }
    let source = template(source, Phase::Log)?;
    Ok(Directive::Map(Arc::new(builder.build(name, source))))
}

fn add_entry(
    entry: &Written,
    builder: &mut VariableMapBuilder,
    expressions: &mut usize,
) -> Result<(), String> {
    if entry.block.is_some() {
        return Err("a block".to_owned());
    }
    let value = match (entry.name.as_str(), entry.arguments.as_slice()) {
        ("volatile", []) => return Ok(()),
        ("hostnames", []) => return Err("\"hostnames\" is not supported".to_owned()),
        ("include", _) => return Err("files are not included".to_owned()),
        (_, [value]) => template(value, Phase::Log)?,
        _ => return Err("expected a text and a value".to_owned()),
    };
    let added = match entry.name.as_str() {
        "default" => builder.set_default(value),
        text => match text.strip_prefix('~') {
            Some(source) => {
                let (source, insensitive) = match source.strip_prefix('*') {
                    Some(source) => (source, true),
                    None => (source, false),
                };
                let compile = if insensitive {
                    Pattern::case_insensitive
                } else {
                    Pattern::new
                };
                let pattern = expression(source, compile)?;
                *expressions += 1;
                builder.add_pattern(Arc::unwrap_or_clone(pattern), value);
                true
            }
            None => builder.add_text(text.strip_prefix('\\').unwrap_or(text), value),
        },
    };
    if added {
        Ok(())
    } else {
        Err(format!("\"{}\" occurs twice", shown(&entry.name)))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
