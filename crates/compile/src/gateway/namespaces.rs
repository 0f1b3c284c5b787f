//! The namespaces whose routes or ListenerSets may be attached (gateway-api.md 2.9, 5.4).

use std::sync::Arc;

use crate::objects::Namespace;
use crate::objects::custom::{AllowedListeners, ListenerSpec, NamespaceSelection};
use crate::options::LabelSelector;
use crate::{Name, Snapshot};

/// Namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceRule {
    /// One.
    Same(Arc<str>),
    /// All.
    All,
    /// Those with these labels.
    Selected(LabelSelector),
    /// None.
    None,
}

impl NamespaceRule {
    /// Those of the routes of a listener, whose object is in namespace `own`: the same one by default.
    pub(crate) fn of_routes(spec: &ListenerSpec, own: &Arc<str>) -> Self {
        let allowed = spec.allowed_routes.as_ref();
        Self::of(
            allowed.and_then(|allowed| allowed.namespaces.as_ref()),
            "Same",
            own,
        )
    }

    /// Those of the ListenerSets of a Gateway in namespace `own`: none by default.
    pub(crate) fn of_listener_sets(allowed: Option<&AllowedListeners>, own: &Arc<str>) -> Self {
        Self::of(
            allowed.and_then(|allowed| allowed.namespaces.as_ref()),
            "None",
            own,
        )
    }

    /// A value that is not known, or a selector that cannot be read, selects nothing.
    fn of(selection: Option<&NamespaceSelection>, default: &str, own: &Arc<str>) -> Self {
        let from = selection.and_then(|selection| selection.from.as_deref());
        match from.unwrap_or(default) {
            "Same" => Self::Same(own.clone()),
            "All" => Self::All,
            "Selector" => {
                let selector = selection.and_then(|selection| selection.selector.as_ref());
                let selector = selector.and_then(|labels| LabelSelector::of(labels).ok());
                selector.map_or(Self::None, Self::Selected)
            }
            _ => Self::None,
        }
    }

    /// Whether objects of `namespace` are allowed.
    pub(crate) fn allows(&self, namespace: &str, snapshot: &Snapshot) -> bool {
        match self {
            Self::Same(own) => **own == *namespace,
            Self::All => true,
            Self::Selected(selector) => snapshot
                .get::<Namespace>(&Name::new("", namespace))
                .is_some_and(|known| selector.matches(&known.labels)),
            Self::None => false,
        }
    }
}
