//! The workload of a running ingress-nginx: the arguments that its flags are in. Not an object that a table is compiled from.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use crate::Name;

/// The program of ingress-nginx.
const PROGRAM: &str = "nginx-ingress-controller";
/// Parts of the names of its images.
const IMAGES: [&str; 2] = ["ingress-nginx/controller", PROGRAM];
/// Where Helm names the release of an object.
const RELEASE: &str = "meta.helm.sh/release-name";
/// The namespace of that release.
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// A Deployment or DaemonSet that runs ingress-nginx.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its namespace and name.
    pub name: Name,
    /// `Deployment` or `DaemonSet`.
    pub kind: &'static str,
    /// The image of its container.
    pub image: String,
    /// The arguments of the program, with the values of variables that are known here.
    pub arguments: Vec<String>,
    /// The Helm release that it belongs to.
    pub release: Option<Name>,
}

impl Workload {
    /// The kinds that it may have, all of `apps/v1`.
    pub const KINDS: [&str; 2] = ["Deployment", "DaemonSet"];

    /// The workload in a manifest; `None` if it is not one of ingress-nginx.
    pub fn read(kind: &str, manifest: Value) -> Option<Self> {
        let kind = *Self::KINDS.iter().find(|known| **known == kind)?;
        let Manifest { metadata, spec } = serde_json::from_value(manifest).ok()?;
        let containers = spec.template.spec?.containers;
        let container = containers
            .iter()
            .find(|container| runs_controller(container))?;
        let mut name = Name::of(&metadata);
        if name.namespace.is_empty() {
            name.namespace = "default".into();
        }
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key);
        let namespace = annotation(RELEASE_NAMESPACE).map_or(&*name.namespace, String::as_str);
        Some(Self {
            release: annotation(RELEASE).map(|release| Name::new(namespace, release)),
            kind,
            image: container.image.clone().unwrap_or_default(),
            arguments: arguments(container, &name),
            name,
        })
    }
}

/// A Deployment or DaemonSet, as far as it is read. A whole one has all fields of a Pod, whose code would be a tenth of the
/// program.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    spec: Option<PodSpec>,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    image: Option<String>,
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    name: String,
    value: Option<String>,
    value_from: Option<Source>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    field_ref: Option<FieldRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldRef {
    field_path: String,
}

fn runs_controller(container: &Container) -> bool {
    let image = container.image.as_deref().unwrap_or_default();
    let is_program = |word: &String| word == PROGRAM || word.ends_with("/nginx-ingress-controller");
    IMAGES.iter().any(|name| image.contains(name)) || words(container).any(is_program)
}

/// The command line of a container.
fn words(container: &Container) -> impl Iterator<Item = &String> {
    let command = container.command.iter().flatten();
    command.chain(container.args.iter().flatten())
}

/// From the first flag on, without programs that start the controller.
fn arguments(container: &Container, workload: &Name) -> Vec<String> {
    let variables: BTreeMap<&str, String> = container
        .env
        .iter()
        .flatten()
        .filter_map(|variable| Some((variable.name.as_str(), value(variable, workload)?)))
        .collect();
    let words = words(container).skip_while(|word| !word.starts_with('-'));
    words.map(|word| expanded(word, &variables)).collect()
}

/// The value of a variable, where it does not depend on the Pod.
fn value(variable: &Variable, workload: &Name) -> Option<String> {
    if let Some(value) = &variable.value {
        return Some(value.clone());
    }
    let field = variable.value_from.as_ref()?.field_ref.as_ref()?;
    (field.field_path == "metadata.namespace").then(|| workload.namespace.to_string())
}

/// `$(NAME)` is replaced as Kubernetes does; an unknown name stays.
fn expanded(word: &str, variables: &BTreeMap<&str, String>) -> String {
    variables
        .iter()
        .fold(word.to_owned(), |word, (name, value)| {
            word.replace(&format!("$({name})"), value)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    fn deployment(container: Value) -> Option<Workload> {
        let manifest = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "edge-controller", "namespace": "edge", "annotations": {
                "meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "edge" } },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "sidecar", "image": "x" }, container] } } },
        });
        Workload::read("Deployment", manifest)
    }

    #[test]
    fn arguments_are_those_of_the_controller_with_known_variables() {
        let workload = deployment(json!({
            "name": "controller", "image": "registry.k8s.io/ingress-nginx/controller:v1.15.0@sha256:0",
            "args": ["/nginx-ingress-controller", "--configmap=$(POD_NAMESPACE)/edge", "--v", "2", "--x=$(OTHER)"],
            "env": [{ "name": "POD_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }],
        }));
        let workload = workload.unwrap();
        assert_eq!(
            workload.arguments,
            ["--configmap=edge/edge", "--v", "2", "--x=$(OTHER)"]
        );
        assert_eq!(workload.release, Some(Name::new("edge", "edge")));
    }

    #[test]
    fn other_programs_are_none() {
        assert_eq!(
            deployment(json!({ "name": "web", "image": "nginx/nginx-ingress:4" })),
            None
        );
        let started = json!({ "name": "c", "image": "own:1", "command": ["/usr/bin/dumb-init", "--", "/nginx-ingress-controller", "--v=1"] });
        let started = deployment(started).unwrap();
        assert!(started.arguments.contains(&"--v=1".to_owned()));
    }
}
