//! Which documents concern us, by their `apiVersion` and `kind`.

use headgate_compile::Kind;

/// What a document is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recognized {
    /// An object that a table is made from.
    Object(Kind),
    /// A list of objects; of one kind if it says so.
    List(Option<Kind>),
    /// Nothing of ours.
    Foreign,
    /// A kind of ours in a version that is not served any more, or never was.
    WrongVersion(Kind),
}

/// What a document with this `apiVersion` and `kind` is.
pub(crate) fn recognize(version: &str, kind: &str) -> Recognized {
    if let Some(known) = named(kind) {
        return recognize_object(version, known);
    }
    match kind.strip_suffix("List") {
        Some("") if version == "v1" => Recognized::List(None),
        Some(item) => match named(item).map(|known| recognize_object(version, known)) {
            Some(Recognized::Object(known)) => Recognized::List(Some(known)),
            Some(other) => other,
            None => Recognized::Foreign,
        },
        None => Recognized::Foreign,
    }
}

/// Whether documents of this kind can concern us, whatever their version.
pub(crate) fn may_concern_us(kind: &str) -> bool {
    let item = kind.strip_suffix("List").unwrap_or(kind);
    item.is_empty() || named(item).is_some()
}

fn named(kind: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|known| known.as_str() == kind)
}

/// Other projects have kinds of these names too (a Service of Knative, an Ingress of OpenShift): only groups of
/// Kubernetes itself are in the wrong version.
fn recognize_object(version: &str, kind: Kind) -> Recognized {
    if version == kind.api_version() {
        return Recognized::Object(kind);
    }
    let group = version.split_once('/').map(|(group, _)| group);
    if group.is_none_or(|group| kind.is_of_group(group)) {
        Recognized::WrongVersion(kind)
    } else {
        Recognized::Foreign
    }
}
