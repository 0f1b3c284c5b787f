//! Which objects are watched: one selection for each watch, by flags.

use std::borrow::Cow;

use headgate_compile::{Kind, Name, Namespaces, Object, ObjectRef};
use http::Request;
use kube::api::{ListParams, WatchParams};

use super::WatchOptions;
use super::failure::Failure;

/// Objects of one kind that are listed and watched together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    /// Label selector beside the scope.
    pub(super) labels: Option<String>,
    /// The version in which custom resources are watched.
    pub(super) version: Option<&'static str>,
    /// Whether nothing is served before it was listed.
    pub(super) is_required: bool,
}

/// Which objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Namespace(String),
    /// One object.
    Named(Name),
    /// Slices of a Service.
    SlicesOf(Name),
}

impl Selection {
    fn new(kind: Kind, scope: Scope) -> Self {
        let labels = kind.label_selector();
        let labels = match &scope {
            Scope::All | Scope::Namespace(_) => labels.map(str::to_owned),
            Scope::Named(_) => None,
            Scope::SlicesOf(service) => labels.map(|label| format!("{label}={}", service.name)),
        };
        Self {
            kind,
            scope,
            labels,
            version: None,
            is_required: kind.is_required(),
        }
    }

    /// Custom resources in the watched namespaces.
    pub(super) fn custom(kind: Kind, version: &'static str, namespaces: &Namespaces) -> Self {
        let scope = Some(scope(namespaces)).filter(|_| kind.is_namespaced());
        Self {
            version: Some(version),
            ..Self::new(kind, scope.unwrap_or(Scope::All))
        }
    }

    /// One object.
    pub(super) fn named(object: &ObjectRef) -> Self {
        Self::new(object.kind, Scope::Named(object.name.clone()))
    }

    /// Whether it selects an object.
    pub(super) fn covers(&self, object: &Object, name: &Name) -> bool {
        match &self.scope {
            Scope::SlicesOf(service) => {
                object.part_of().is_some_and(|whole| whole.name == *service)
            }
            _ => self.covers_name(name),
        }
    }

    /// Whether it may select an object of this name; for slices of a Service only the object itself is conclusive.
    pub(super) fn covers_name(&self, name: &Name) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Namespace(namespace) => *name.namespace == **namespace,
            Scope::Named(named) => named == name,
            Scope::SlicesOf(service) => service.namespace == name.namespace,
        }
    }

    /// Path of the collection.
    pub(super) fn path(&self) -> String {
        let namespace = match &self.scope {
            Scope::All => None,
            Scope::Namespace(namespace) => Some(&**namespace),
            Scope::Named(name) | Scope::SlicesOf(name) => Some(&*name.namespace),
        };
        let mut version = Cow::Borrowed(self.kind.api_version());
        if let Some(served) = self.version {
            version = format!("{}/{served}", self.kind.group()).into();
        }
        let root = if version.contains('/') { "apis" } else { "api" };
        let plural = self.kind.plural();
        match namespace.filter(|_| self.kind.is_namespaced()) {
            Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("/{root}/{version}/{plural}"),
        }
    }

    fn fields(&self) -> Option<String> {
        let name = match &self.scope {
            Scope::Named(name) => Some(format!("metadata.name={}", name.name)),
            Scope::All | Scope::Namespace(_) | Scope::SlicesOf(_) => None,
        };
        let useful = self.kind.field_selector().map(str::to_owned);
        let all: Vec<String> = name.into_iter().chain(useful).collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// A request for a list. Of CRDs only the metadata is requested: their schemas are large.
    pub(super) fn list_request(
        &self,
        parameters: &ListParams,
    ) -> Result<Request<Vec<u8>>, Failure> {
        let request = kube::core::Request::new(self.path());
        let request = match self.kind {
            Kind::CustomResourceDefinition => request.list_metadata(parameters),
            _ => request.list(parameters),
        };
        request.map_err(|error| Failure::Invalid(error.to_string()))
    }

    /// A request for a watch.
    pub(super) fn watch_request(
        &self,
        parameters: &WatchParams,
        version: &str,
    ) -> Result<Request<Vec<u8>>, Failure> {
        let request = kube::core::Request::new(self.path());
        let request = match self.kind {
            Kind::CustomResourceDefinition => request.watch_metadata(parameters, version),
            _ => request.watch(parameters, version),
        };
        request.map_err(|error| Failure::Invalid(error.to_string()))
    }

    pub(super) fn list(&self) -> ListParams {
        ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields(),
            ..ListParams::default()
        }
    }

    pub(super) fn watch(&self) -> WatchParams {
        WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields(),
            ..WatchParams::default()
        }
    }

    /// Whether serving goes on without it and roles that are limited to namespaces leave it out on purpose.
    pub(super) fn may_lack(&self) -> bool {
        (!self.kind.is_namespaced() || self.kind.is_custom()) && !self.is_required
    }

    /// For logs.
    pub(super) fn describe(&self) -> String {
        let kind = self.kind.as_str();
        match &self.scope {
            Scope::All => format!("{kind} objects"),
            Scope::Namespace(namespace) => format!("{kind} objects of namespace {namespace}"),
            Scope::Named(name) => format!("{kind} {name}"),
            Scope::SlicesOf(service) => format!("{kind} objects of Service {service}"),
        }
    }
}

/// The selections of flags; those of objects that other objects refer to are added later. If several of a kind cover an
/// object, the first owns it; named objects come first.
pub(super) fn by_flags(options: &WatchOptions) -> Vec<Selection> {
    let scope = scope(&options.compile.namespaces);
    let mut all = Vec::new();
    // First: the settings refer to further objects.
    if let Some(name) = &options.compile.settings {
        all.push(Selection::new(Kind::ConfigMap, Scope::Named(name.clone())));
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_watched()) {
        let scope = Some(&scope).filter(|_| kind.is_namespaced());
        all.push(Selection::new(kind, scope.unwrap_or(&Scope::All).clone()));
    }
    let is_gateway = options.compile.gateway.is_some();
    if let Namespaces::Selected(selector) = &options.compile.namespaces {
        all.push(Selection {
            // Compilation compares the labels too; this keeps the other namespaces out of memory.
            labels: Some(selector.to_string()).filter(|_| !is_gateway),
            is_required: true,
            ..Selection::new(Kind::Namespace, Scope::All)
        });
    } else if is_gateway {
        // Listeners select namespaces of routes by labels.
        all.push(Selection::new(Kind::Namespace, Scope::All));
    }
    if is_gateway {
        all.push(Selection::new(Kind::CustomResourceDefinition, Scope::All));
    }
    for object in services_of_flags(options) {
        let is_covered = all
            .iter()
            .any(|one| one.kind == object.kind && one.covers_name(&object.name));
        if is_covered {
            continue;
        }
        if options.compile.default_backend.as_ref() == Some(&object.name) {
            let slices = Scope::SlicesOf(object.name.clone());
            all.push(Selection::new(Kind::EndpointSlice, slices));
        }
        all.push(Selection::named(&object));
    }
    all
}

fn scope(namespaces: &Namespaces) -> Scope {
    match namespaces {
        Namespaces::One(namespace) => Scope::Namespace(namespace.to_string()),
        Namespaces::All | Namespaces::Selected(_) => Scope::All,
    }
}

fn services_of_flags(options: &WatchOptions) -> impl Iterator<Item = ObjectRef> {
    let backend = options.compile.default_backend.iter();
    let published = options.publish_service.iter();
    backend.chain(published).map(|name| ObjectRef {
        kind: Kind::Service,
        name: name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use headgate_compile::Options;

    use super::*;

    fn described(options: &WatchOptions) -> Vec<String> {
        by_flags(options).iter().map(Selection::describe).collect()
    }

    #[test]
    fn a_namespace_limits_all_but_the_objects_of_flags() {
        let options = WatchOptions {
            compile: Options {
                namespaces: Namespaces::One("shop".into()),
                settings: Some(Name::new("system", "settings")),
                default_backend: Some(Name::new("system", "errors")),
                ..Options::default()
            },
            publish_service: Some(Name::new("shop", "front")),
            ..WatchOptions::default()
        };
        assert_eq!(
            described(&options),
            [
                "ConfigMap system/settings",
                "Ingress objects of namespace shop",
                "IngressClass objects",
                "Service objects of namespace shop",
                "EndpointSlice objects of namespace shop",
                "Secret objects of namespace shop",
                "ConfigMap objects of namespace shop",
                "EndpointSlice objects of Service system/errors",
                "Service system/errors",
            ]
        );
    }

    #[test]
    fn only_classes_are_left_out_of_roles_on_purpose() {
        let all = by_flags(&WatchOptions::default());
        let optional = all.iter().filter(|one| one.may_lack());
        let optional: Vec<String> = optional.map(Selection::describe).collect();
        assert_eq!(optional, ["IngressClass objects"]);
    }

    #[test]
    fn paths_and_selectors_follow_the_api() {
        let secret = Selection::named(&ObjectRef {
            kind: Kind::Secret,
            name: Name::new("shop", "cert"),
        });
        assert_eq!(secret.path(), "/api/v1/namespaces/shop/secrets");
        let fields = secret.list().field_selector.unwrap_or_default();
        assert!(
            fields.starts_with("metadata.name=cert,type!=helm.sh/release.v1,"),
            "{fields}"
        );
        assert!(!fields.contains(' '), "{fields}");
        let slices = Selection::new(
            Kind::EndpointSlice,
            Scope::SlicesOf(Name::new("shop", "web")),
        );
        assert_eq!(
            slices.path(),
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        );
        assert_eq!(
            slices.watch().label_selector.as_deref(),
            Some("kubernetes.io/service-name=web")
        );
    }

    #[test]
    fn namespaces_are_watched_only_for_a_selector() {
        let none = WatchOptions::default();
        assert!(
            by_flags(&none)
                .iter()
                .all(|one| one.kind != Kind::Namespace)
        );
        let options = WatchOptions {
            compile: Options {
                namespaces: Namespaces::Selected("team=web".parse().expect("a selector")),
                ..Options::default()
            },
            ..WatchOptions::default()
        };
        let namespaces = by_flags(&options);
        let namespaces = namespaces.iter().find(|one| one.kind == Kind::Namespace);
        assert_eq!(
            namespaces.and_then(|one| one.labels.clone()).as_deref(),
            Some("team=web")
        );
    }
}
