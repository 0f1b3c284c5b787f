//! Recognizes supported documents by their `apiVersion` and `kind`.

use headgate_compile::Kind;

/// Type of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recognized {
    /// An object of a supported kind.
    Object(Kind),
    /// A list of objects; `None`: of any kinds.
    List(Option<Kind>),
    /// Another kind, which is ignored.
    Unsupported,
    /// A supported kind in another version than the served one.
    WrongVersion(Kind),
}

pub(crate) fn recognize(version: &str, kind: &str) -> Recognized {
    if let Some(known) = named(kind) {
        return recognize_object(version, known);
    }
    match kind.strip_suffix("List") {
        Some("") if version == "v1" => Recognized::List(None),
        Some(item) => match named(item).map(|known| recognize_object(version, known)) {
            Some(Recognized::Object(known)) => Recognized::List(Some(known)),
            Some(other) => other,
            None => Recognized::Unsupported,
        },
        None => Recognized::Unsupported,
    }
}

/// Whether documents of this kind, or their items, may be of a supported kind, whatever the version.
pub(crate) fn may_be_supported(kind: &str) -> bool {
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
    let split = version.split_once('/');
    let group = split.map(|(group, _)| group);
    let is_other = |(group, version): (&str, &str)| {
        group == kind.group() && kind.versions().contains(&version)
    };
    if split.is_some_and(is_other) {
        return Recognized::Object(kind);
    }
    if group.is_none_or(|group| kind.is_of_group(group)) {
        Recognized::WrongVersion(kind)
    } else {
        Recognized::Unsupported
    }
}
