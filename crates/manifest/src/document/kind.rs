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

/// The `apiVersion` that a kind is read in.
pub(crate) fn api_version(kind: Kind) -> &'static str {
    match kind {
        Kind::Ingress | Kind::IngressClass => "networking.k8s.io/v1",
        Kind::EndpointSlice => "discovery.k8s.io/v1",
        Kind::Service | Kind::Endpoints | Kind::Secret | Kind::ConfigMap | Kind::Namespace => "v1",
    }
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
    if version == api_version(kind) {
        return Recognized::Object(kind);
    }
    let ours = match version.split_once('/') {
        None => true,
        Some((group, _)) => match kind {
            Kind::Ingress => group == "extensions" || group == "networking.k8s.io",
            Kind::IngressClass => group == "networking.k8s.io",
            Kind::EndpointSlice => group == "discovery.k8s.io",
            Kind::Service | Kind::Endpoints | Kind::Secret | Kind::ConfigMap | Kind::Namespace => {
                false
            }
        },
    };
    if ours {
        Recognized::WrongVersion(kind)
    } else {
        Recognized::Foreign
    }
}
