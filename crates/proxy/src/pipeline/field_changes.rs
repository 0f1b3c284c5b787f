//! Changes of header fields that a service asks for which admits requests.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::spoofable_headers;

/// Changes of header fields, in the order in which they are made.
#[derive(Debug, Default)]
pub(super) struct FieldChanges(pub(super) Vec<(HeaderName, Change)>);

/// What becomes of the fields of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are replaced.
    Set(HeaderValue),
    /// One is added.
    Append(HeaderValue),
    /// One is added if there is none.
    SetIfAbsent(HeaderValue),
    /// They are replaced if there are any.
    SetIfPresent(HeaderValue),
    /// They are removed.
    Remove,
}

impl FieldChanges {
    /// Changes the fields of a request for an endpoint. What a client sent under another spelling of the names is removed.
    pub(super) fn of_request(self, headers: &mut HeaderMap) {
        for (name, _) in &self.0 {
            spoofable_headers::remove_spellings(headers, name);
        }
        self.apply(headers);
    }

    /// Changes these fields.
    pub(super) fn apply(self, headers: &mut HeaderMap) {
        for (name, change) in self.0 {
            let is_there = headers.contains_key(&name);
            match change {
                Change::Append(value) => drop(headers.append(name, value)),
                Change::Remove => drop(headers.remove(name)),
                Change::SetIfAbsent(_) if is_there => {}
                Change::SetIfPresent(_) if !is_there => {}
                Change::Set(value) | Change::SetIfAbsent(value) | Change::SetIfPresent(value) => {
                    drop(headers.insert(name, value));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_in_their_order() {
        let value = HeaderValue::from_static;
        let mut headers = HeaderMap::new();
        for name in ["x-a", "x-a", "x-b", "x_b", "x-c"] {
            headers.append(name, value("client"));
        }
        let changes = [
            ("x-a", Change::Set(value("1"))),
            ("x-a", Change::Append(value("2"))),
            ("x-b", Change::SetIfAbsent(value("3"))),
            ("x-c", Change::Remove),
            ("x-c", Change::SetIfPresent(value("4"))),
            ("x-d", Change::SetIfAbsent(value("5"))),
            ("x-d", Change::SetIfPresent(value("6"))),
        ];
        let changes = changes.map(|(name, change)| (HeaderName::from_static(name), change));
        FieldChanges(changes.into()).of_request(&mut headers);
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            left,
            [
                ("x-a", &b"1"[..]),
                ("x-a", b"2"),
                ("x-b", b"client"),
                ("x-d", b"6"),
            ]
        );
    }
}
