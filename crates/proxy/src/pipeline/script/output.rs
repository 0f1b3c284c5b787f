//! Edits of responses by a script.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use headgate_table::{
    AddedField, Expires, ExpiresTime, FieldChoice, FieldTemplate, Level, OutputEdit, Template,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::pipeline::edits::takes_fields;

/// Applies the edits of `level` to the fields of a response with `status`.
pub(in crate::pipeline) fn edit(
    level: &Level,
    (status, headers): (StatusCode, &mut HeaderMap),
    expand: impl Fn(&Template) -> Vec<u8>,
) {
    for edit in &level.output {
        if !concerns(edit, status, headers) {
            continue;
        }
        let value = edit.value.as_ref().and_then(|value| filled(value, &expand));
        match (&edit.field, value) {
            (FieldChoice::Name(name), Some(value)) if edit.append => {
                headers.append(name, value);
            }
            (FieldChoice::Name(name), Some(value)) => drop(headers.insert(name, value)),
            (FieldChoice::Name(_), None) if edit.append => {}
            (FieldChoice::Name(name), None) => drop(headers.remove(name)),
            (FieldChoice::Prefix(_), _) => {
                let named = headers.keys().filter(|name| edit.field.includes(name));
                let named: Vec<HeaderName> = named.cloned().collect();
                for name in named {
                    headers.remove(name);
                }
            }
        }
    }
}

/// Adds the fields of `level`, after all edits.
pub(in crate::pipeline) fn add(
    level: &Level,
    (status, headers): (StatusCode, &mut HeaderMap),
    expand: impl Fn(&Template) -> Vec<u8>,
) {
    let usual = takes_fields(status);
    if let Some(expires) = level.expires.as_ref().filter(|_| usual) {
        let time = match expires {
            Expires::At(time) => Some(*time),
            Expires::Text(template) => {
                let text = String::from_utf8(expand(template)).unwrap_or_default();
                ExpiresTime::parse(&text, false)
            }
        };
        if let Some((at, control)) = time.and_then(|time| expiry(time, headers, SystemTime::now()))
        {
            headers.insert(EXPIRES, at);
            headers.insert(CACHE_CONTROL, control);
        }
    }
    for field in level.added.iter().filter(|field| usual || field.always) {
        let AddedField { name, value, .. } = field;
        let value = filled(value, &expand);
        if *name == LAST_MODIFIED || *name == ETAG {
            match value {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        } else if let Some(value) = value {
            headers.append(name, value);
        }
    }
}

fn concerns(edit: &OutputEdit, status: StatusCode, headers: &HeaderMap) -> bool {
    let by_status = edit.statuses.is_empty() || edit.statuses.contains(&status);
    by_status && (edit.types.is_empty() || edit.types.iter().any(|own| is_type(headers, own)))
}

/// Whether the media type of the response, without parameters, is `own`.
fn is_type(headers: &HeaderMap, own: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media = value.and_then(|value| value.split(|byte| *byte == b';').next());
    media.is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(own.as_bytes()))
}

/// `None` if it is empty, or if what a client sent into it is not allowed in a field.
fn filled(value: &FieldTemplate, expand: &impl Fn(&Template) -> Vec<u8>) -> Option<HeaderValue> {
    match value {
        FieldTemplate::Fixed(value) => Some(value.clone()).filter(|value| !value.is_empty()),
        FieldTemplate::Template(template) => {
            let text = Some(expand(template)).filter(|text| !text.is_empty())?;
            HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
        }
    }
}

/// `Expires` and `Cache-Control`; `None` if they stay as they are.
fn expiry(
    time: ExpiresTime,
    headers: &HeaderMap,
    now: SystemTime,
) -> Option<(HeaderValue, HeaderValue)> {
    const DAY: i64 = 24 * 60 * 60;
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or_default();
    let (at, seconds, past) = match time {
        ExpiresTime::Off => return None,
        ExpiresTime::Epoch => (1, 0, true),
        ExpiresTime::Max => {
            let at = HeaderValue::from_static("Thu, 31 Dec 2037 23:55:55 GMT");
            return Some((at, HeaderValue::from_static("max-age=315360000")));
        }
        ExpiresTime::After(seconds) => (now.saturating_add(seconds), seconds, seconds < 0),
        ExpiresTime::AfterModified(seconds) => match modified(headers) {
            None => (now.saturating_add(seconds), seconds, seconds < 0),
            Some(modified) => {
                let at = modified.saturating_add(seconds);
                (at, at.saturating_sub(now), seconds < 0 || at < now)
            }
        },
        ExpiresTime::Daily(seconds) => {
            let today = now - now.rem_euclid(DAY) + seconds;
            let next = if today > now { today } else { today + DAY };
            (next, next - now, false)
        }
    };
    let control = if past {
        HeaderValue::from_static("no-cache")
    } else {
        HeaderValue::try_from(format!("max-age={seconds}")).ok()?
    };
    let at = Duration::from_secs(u64::try_from(at).unwrap_or_default());
    // The latest time that a date can be written for.
    let at = SystemTime::UNIX_EPOCH.checked_add(at.min(Duration::from_secs(253_402_300_799)))?;
    let at = HeaderValue::try_from(httpdate::fmt_http_date(at)).ok()?;
    Some((at, control))
}

/// `Last-Modified`, seconds.
fn modified(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(LAST_MODIFIED)?.to_str().ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok()
}
