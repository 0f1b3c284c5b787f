//! Which Ingresses this controller serves (behaviour.md 2.9).

use k8s_openapi::api::networking::v1::Ingress;

use crate::objects::{IngressClass, Namespace};
use crate::options::{ClassSelection, Namespaces};
use crate::{Name, Options, Snapshot};

const LEGACY_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Whether an Ingress is served: by its class, the watched namespace and `--disable-catch-all`.
pub(crate) fn is_selected(ingress: &Ingress, snapshot: &Snapshot, options: &Options) -> bool {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    if !is_watched(namespace, snapshot, options) {
        return false;
    }
    let has_default_backend = ingress
        .spec
        .as_ref()
        .is_some_and(|spec| spec.default_backend.is_some());
    if options.disable_catch_all && has_default_backend {
        return false;
    }
    has_selected_class(ingress, snapshot, &options.class)
}

/// Whether Ingresses of a namespace are watched.
pub(crate) fn is_watched(namespace: &str, snapshot: &Snapshot, options: &Options) -> bool {
    match &options.namespaces {
        Namespaces::All => true,
        Namespaces::One(watched) => **watched == *namespace,
        Namespaces::Selected => snapshot
            .get::<Namespace>(&Name::new("", namespace))
            .is_some(),
    }
}

/// Whether this controller serves the class of an Ingress.
pub(crate) fn has_selected_class(
    ingress: &Ingress,
    snapshot: &Snapshot,
    selection: &ClassSelection,
) -> bool {
    if let Some(name) = ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.ingress_class_name.as_deref())
        && snapshot.environment().classes_readable
    {
        let class = snapshot.get::<IngressClass>(&Name::new("", name));
        return class.is_some_and(|class| is_selected_class(class, selection));
    }
    let annotation = ingress
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(LEGACY_ANNOTATION));
    match annotation {
        Some(class) => !class.is_empty() && **class == *selection.ingress_class,
        None => selection.without_class,
    }
}

/// The served classes with parameters, by name, each with the ConfigMap that its parameters refer to.
pub(crate) fn parameters(snapshot: &Snapshot, selection: &ClassSelection) -> Vec<(Name, Name)> {
    let classes = snapshot.all::<IngressClass>();
    let classes = classes.filter(|class| is_selected_class(class, selection));
    let pairs = classes.filter_map(|class| Some((class.name.clone(), class.parameters.clone()?)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

/// Whether this controller serves Ingresses of a class.
pub(crate) fn is_selected_class(class: &IngressClass, selection: &ClassSelection) -> bool {
    class.controller.as_deref() == Some(&*selection.controller_class)
        || (selection.by_name && *class.name.name == *selection.ingress_class)
}
