//! `return` and `default_type`.

use headgate_table::{FixedResponse, Phase};
use http::{HeaderValue, StatusCode};

use super::directive::Directive;
use super::values::{shown, status, template};

/// Statuses with a `Location`, as nginx has them for `return`.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// `return CODE [TEXT|URL]` or `return URL`
pub(super) fn fixed(arguments: &[String]) -> Result<Directive, String> {
    let response = match arguments {
        [one] => match status(one) {
            Ok(code) if code.as_u16() == 444 => FixedResponse::Close,
            Ok(code) if code.as_u16() < 400 => empty(code)?,
            Ok(code) => FixedResponse::Page(code),
            Err(_) if is_url(one) => {
                FixedResponse::Redirect(StatusCode::FOUND, template(one, Phase::Request)?)
            }
            Err(error) => return Err(error),
        },
        [code, text] => {
            let code = status(code)?;
            let text = template(text, Phase::Request)?;
            if REDIRECTS.contains(&code.as_u16()) {
                FixedResponse::Redirect(code, text)
            } else {
                FixedResponse::Text(code, text)
            }
        }
        _ => return Err("expected a status code and perhaps a text or URL".to_owned()),
    };
    Ok(Directive::Return(response))
}

/// A status without a text. nginx responds to redirects without a target by an empty `Location`, which is no redirect.
fn empty(code: StatusCode) -> Result<FixedResponse, String> {
    if REDIRECTS.contains(&code.as_u16()) {
        return Err(format!("{} needs a URL", code.as_u16()));
    }
    Ok(FixedResponse::Text(code, template("", Phase::Request)?))
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "$scheme"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// `default_type TYPE`
pub(super) fn default_type(arguments: &[String]) -> Result<Directive, String> {
    let [text] = arguments else {
        return Err("expected one media type".to_owned());
    };
    let value = HeaderValue::from_str(text)
        .ok()
        .filter(|_| text.contains('/'));
    let value = value.ok_or_else(|| format!("\"{}\" is not a media type", shown(text)))?;
    Ok(Directive::DefaultType(value))
}
