//! Header fields whose names nginx calls invalid: it drops them before anything reads the request.

use headgate_table::Settings;
use http::HeaderMap;

use super::spoofable_headers::remove_those;

/// Removes the fields whose names have other characters than letters, digits and hyphens, unless the settings
/// `ignore-invalid-headers` and `enable-underscores-in-headers` let them pass (behaviour.md 3.1).
pub(super) fn remove(headers: &mut HeaderMap, settings: &Settings) {
    if settings.invalid_headers {
        return;
    }
    let is_valid = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || *byte == b'-'
            || (*byte == b'_' && settings.underscores_in_headers)
    };
    remove_those(headers, |name| {
        !name.as_str().as_bytes().iter().all(is_valid)
    });
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn passing(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings::default();
        change(&mut settings);
        let names = ["x-plain", "x_under", "x.dotted"].map(HeaderName::from_static);
        let one = HeaderValue::from_static("1");
        let mut headers = names.map(|name| (name, one.clone())).into_iter().collect();
        remove(&mut headers, &settings);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn names_pass_as_the_settings_say() {
        assert_eq!(passing(|_| {}), ["x-plain"]);
        let underscores = passing(|settings| settings.underscores_in_headers = true);
        assert_eq!(underscores, ["x-plain", "x_under"]);
        let all = passing(|settings| settings.invalid_headers = true);
        assert_eq!(all, ["x-plain", "x_under", "x.dotted"]);
    }
}
