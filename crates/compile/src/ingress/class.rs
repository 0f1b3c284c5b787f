//! Which Ingresses this controller serves (behaviour.md 2.9).

use k8s_openapi::api::networking::v1::Ingress;

use crate::ingress::registry::excerpt;
use crate::objects::{IngressClass, Namespace};
use crate::options::{ClassSelection, Namespaces};
use crate::{Name, Options, Snapshot};

const LEGACY_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Why an Ingress is not served.
enum Unserved<'a> {
    Namespace(&'a str),
    CatchAll,
    NoClass,
    MissingClass(&'a str),
    OtherController(&'a IngressClass),
    OtherAnnotation(&'a str),
}

/// Whether an Ingress is served: by its class, the watched namespace and `--disable-catch-all`.
pub(crate) fn is_selected(ingress: &Ingress, snapshot: &Snapshot, options: &Options) -> bool {
    reason(ingress, snapshot, options).is_none()
}

/// Why an Ingress is not served, and how to get it served: the field and the message. `None` if it is served.
pub fn unserved(
    ingress: &Ingress,
    snapshot: &Snapshot,
    options: &Options,
) -> Option<(&'static str, String)> {
    let reason = reason(ingress, snapshot, options)?;
    Some((reason.field(), reason.message(snapshot, options)))
}

fn reason<'a>(
    ingress: &'a Ingress,
    snapshot: &'a Snapshot,
    options: &Options,
) -> Option<Unserved<'a>> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    if !is_watched(namespace, snapshot, options) {
        return Some(Unserved::Namespace(namespace));
    }
    let has_default_backend = ingress
        .spec
        .as_ref()
        .is_some_and(|spec| spec.default_backend.is_some());
    if options.disable_catch_all && has_default_backend {
        return Some(Unserved::CatchAll);
    }
    by_class(ingress, snapshot, &options.class)
}

/// Whether Ingresses of a namespace are watched.
pub(crate) fn is_watched(namespace: &str, snapshot: &Snapshot, options: &Options) -> bool {
    match &options.namespaces {
        Namespaces::All => true,
        Namespaces::One(watched) => **watched == *namespace,
        Namespaces::Selected(selector) => snapshot
            .get::<Namespace>(&Name::new("", namespace))
            .is_some_and(|namespace| selector.matches(&namespace.labels)),
    }
}

/// Whether this controller serves the class of an Ingress.
pub(crate) fn has_selected_class(
    ingress: &Ingress,
    snapshot: &Snapshot,
    selection: &ClassSelection,
) -> bool {
    by_class(ingress, snapshot, selection).is_none()
}

fn by_class<'a>(
    ingress: &'a Ingress,
    snapshot: &'a Snapshot,
    selection: &ClassSelection,
) -> Option<Unserved<'a>> {
    if let Some(name) = ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.ingress_class_name.as_deref())
        && snapshot.environment().classes_readable
    {
        return match snapshot.get::<IngressClass>(&Name::new("", name)) {
            None => Some(Unserved::MissingClass(name)),
            Some(class) => {
                (!is_selected_class(class, selection)).then_some(Unserved::OtherController(class))
            }
        };
    }
    let annotation = ingress
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(LEGACY_ANNOTATION));
    match annotation {
        Some(class) if !class.is_empty() && **class == *selection.ingress_class => None,
        Some(class) => Some(Unserved::OtherAnnotation(class)),
        None => (!selection.without_class).then_some(Unserved::NoClass),
    }
}

impl Unserved<'_> {
    fn field(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "metadata.namespace",
            Self::CatchAll => "spec.defaultBackend",
            Self::NoClass | Self::MissingClass(_) | Self::OtherController(_) => {
                "spec.ingressClassName"
            }
            Self::OtherAnnotation(_) => "metadata.annotations[kubernetes.io/ingress.class]",
        }
    }

    fn message(&self, snapshot: &Snapshot, options: &Options) -> String {
        let selection = &options.class;
        let right = || right_class(snapshot, selection);
        match self {
            Self::Namespace(namespace) => match &options.namespaces {
                Namespaces::Selected(selector) => format!(
                    "not served: there is no Namespace {namespace} with the labels of --watch-namespace-selector={selector}"
                ),
                Namespaces::One(watched) => {
                    format!("not served: only namespace {watched} is (--watch-namespace)")
                }
                Namespaces::All => "not served".to_owned(),
            },
            Self::CatchAll => {
                "not served: --disable-catch-all ignores Ingresses with a default backend"
                    .to_owned()
            }
            Self::NoClass => format!(
                "not served: it has no class; {}, or start with --watch-ingress-without-class",
                right()
            ),
            Self::MissingClass(class) => format!(
                "not served: there is no IngressClass {}; create it with spec.controller: {}, or {}",
                excerpt(class),
                selection.controller_class,
                right()
            ),
            Self::OtherController(class) => format!(
                "not served: IngressClass {} is of controller {}, and served are those of {}; {}",
                class.name.name,
                excerpt(class.controller.as_deref().unwrap_or("(none)")),
                selection.controller_class,
                right()
            ),
            Self::OtherAnnotation(class) => format!(
                "not served: the class \"{}\" is not {} (--ingress-class); write that, or {}",
                excerpt(class),
                selection.ingress_class,
                right()
            ),
        }
    }
}

/// How to get an Ingress served by its class.
fn right_class(snapshot: &Snapshot, selection: &ClassSelection) -> String {
    if !snapshot.environment().classes_readable {
        return format!(
            "set the annotation {LEGACY_ANNOTATION}: {}",
            selection.ingress_class
        );
    }
    let classes = snapshot.all::<IngressClass>();
    let served = classes.filter(|class| is_selected_class(class, selection));
    match served.map(|class| &class.name.name).min() {
        Some(class) => format!("set spec.ingressClassName: {class}"),
        None => format!(
            "create an IngressClass with spec.controller: {} and name it in spec.ingressClassName",
            selection.controller_class
        ),
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
