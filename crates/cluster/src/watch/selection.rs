//! Which objects are watched: one selection a watch, decided by flags.

use headgate_compile::{Kind, Name, Namespaces, Object, ObjectRef};
use kube::api::{ListParams, WatchParams};

use super::WatchOptions;

/// Types of Secrets that no Ingress names: Helm's releases alone are often most of a cluster's Secrets.
const OTHER_SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token,\
                             type!=kubernetes.io/dockerconfigjson,type!=kubernetes.io/dockercfg,\
                             type!=kubernetes.io/ssh-auth,type!=bootstrap.kubernetes.io/token";
/// The label of Helm 2's releases.
const NOT_TILLER: &str = "OWNER!=TILLER";
/// The label by which slices name their Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Objects of one kind that are listed and watched together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Their kind.
    pub(super) kind: Kind,
    /// Which of them.
    pub(super) scope: Scope,
    /// Selector of labels beside what the scope says.
    pub(super) labels: Option<String>,
}

/// Which objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All.
    All,
    /// Those of a namespace.
    Namespace(String),
    /// One.
    Named(Name),
    /// Slices of a Service.
    SlicesOf(Name),
}

impl Selection {
    fn new(kind: Kind, scope: Scope) -> Self {
        let labels = match (kind, &scope) {
            (Kind::ConfigMap, Scope::All | Scope::Namespace(_)) => Some(NOT_TILLER.to_owned()),
            (Kind::EndpointSlice, Scope::SlicesOf(service)) => {
                Some(format!("{SERVICE_NAME}={}", service.name))
            }
            (Kind::EndpointSlice, _) => Some(SERVICE_NAME.to_owned()),
            _ => None,
        };
        Self {
            kind,
            scope,
            labels,
        }
    }

    /// One object.
    pub(super) fn named(object: &ObjectRef) -> Self {
        Self::new(object.kind, Scope::Named(object.name.clone()))
    }

    /// Whether an object belongs here.
    pub(super) fn covers(&self, object: &Object, name: &Name) -> bool {
        match (&self.scope, object) {
            (Scope::SlicesOf(service), Object::EndpointSlice(slice)) => {
                slice.service() == Some(service)
            }
            (Scope::SlicesOf(_), _) => false,
            _ => self.covers_name(name),
        }
    }

    /// Whether an object of that name may belong here; of slices of one Service it takes the object to be sure.
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
        let (group, plural) = match self.kind {
            Kind::Ingress => ("/apis/networking.k8s.io/v1", "ingresses"),
            Kind::IngressClass => ("/apis/networking.k8s.io/v1", "ingressclasses"),
            Kind::Service => ("/api/v1", "services"),
            Kind::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
            Kind::Endpoints => ("/api/v1", "endpoints"),
            Kind::Secret => ("/api/v1", "secrets"),
            Kind::ConfigMap => ("/api/v1", "configmaps"),
            Kind::Namespace => ("/api/v1", "namespaces"),
        };
        let namespace = match &self.scope {
            Scope::All => None,
            Scope::Namespace(namespace) => Some(&**namespace),
            Scope::Named(name) | Scope::SlicesOf(name) => Some(&*name.namespace),
        };
        match namespace.filter(|_| self.kind.is_namespaced()) {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }

    /// Selector of fields.
    fn fields(&self) -> Option<String> {
        let name = match &self.scope {
            Scope::Named(name) => Some(format!("metadata.name={}", name.name)),
            Scope::All | Scope::Namespace(_) | Scope::SlicesOf(_) => None,
        };
        let types = (self.kind == Kind::Secret).then(|| OTHER_SECRETS.to_owned());
        match (name, types) {
            (Some(name), Some(types)) => Some(format!("{name},{types}")),
            (name, types) => name.or(types),
        }
    }

    /// Of a list.
    pub(super) fn list(&self) -> ListParams {
        ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields(),
            ..ListParams::default()
        }
    }

    /// Of a watch.
    pub(super) fn watch(&self) -> WatchParams {
        WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields(),
            ..WatchParams::default()
        }
    }

    /// What to call it in logs.
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

/// The selections that flags ask for, but those of objects that objects name. Those of a kind share no object, provided
/// that the first that covers an object has it: what is named comes first.
pub(super) fn by_flags(options: &WatchOptions) -> Vec<Selection> {
    let scope = match &options.compile.namespaces {
        Namespaces::One(namespace) => Scope::Namespace(namespace.to_string()),
        Namespaces::All | Namespaces::Selected => Scope::All,
    };
    let mut all = Vec::new();
    // The settings name further objects, so they are known first, whatever else there is to list.
    if let Some(name) = &options.compile.settings {
        all.push(Selection::new(Kind::ConfigMap, Scope::Named(name.clone())));
    }
    all.push(Selection::new(Kind::Ingress, scope.clone()));
    all.push(Selection::new(Kind::IngressClass, Scope::All));
    for kind in [
        Kind::Service,
        Kind::EndpointSlice,
        Kind::Secret,
        Kind::ConfigMap,
    ] {
        all.push(Selection::new(kind, scope.clone()));
    }
    if let Some(selector) = options.namespace_selector.as_ref() {
        all.push(Selection {
            labels: Some(selector.clone()),
            ..Selection::new(Kind::Namespace, Scope::All)
        });
    }
    for object in named_by_flags(options) {
        let is_covered = all
            .iter()
            .any(|one| one.kind == object.kind && one.covers_name(&object.name));
        if is_covered {
            continue;
        }
        if object.kind == Kind::Service
            && options.compile.default_backend.as_ref() == Some(&object.name)
        {
            let slices = Scope::SlicesOf(object.name.clone());
            all.push(Selection::new(Kind::EndpointSlice, slices));
        }
        all.push(Selection::named(&object));
    }
    all
}

/// Services, and whatever else the caller wants.
fn named_by_flags(options: &WatchOptions) -> impl Iterator<Item = ObjectRef> {
    let backend = options.compile.default_backend.iter();
    let published = options.publish_service.iter();
    let services = backend.chain(published).map(|name| ObjectRef {
        kind: Kind::Service,
        name: name.clone(),
    });
    services.chain(options.extra.iter().cloned())
}

#[cfg(test)]
mod tests {
    use headgate_compile::Options;

    use super::*;

    fn described(options: &WatchOptions) -> Vec<String> {
        by_flags(options).iter().map(Selection::describe).collect()
    }

    #[test]
    fn a_namespace_limits_all_but_what_flags_name() {
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
    fn paths_and_selectors_are_the_api_s() {
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
            namespace_selector: Some("team=web".to_owned()),
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
