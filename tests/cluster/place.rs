//! Where tests run that need no faults: in the fixture, or in the cluster of `HEADGATE_TEST_KUBECONFIG`, with namespaces
//! and classes of their own that are removed after.
//!
//! Nothing here has endpoints, since a real cluster takes none on loopback: a route that is served answers 503, any other
//! host 404.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{ApiServer, Program};
use serde_json::{Value, json};

use super::support::{BINARY, Kubectl};

/// Tells the places of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cluster, and what a test made there.
pub(super) struct Place {
    api: Api,
    kubeconfig: String,
    id: String,
    /// Kind and name of what is in no namespace.
    made: RefCell<Vec<(String, String)>>,
}

enum Api {
    Fixture(Box<ApiServer>),
    Real(Kubectl),
}

impl Place {
    /// With namespaces and a class.
    pub(super) fn new() -> Self {
        let given = std::env::var("HEADGATE_TEST_KUBECONFIG").ok();
        let (api, kubeconfig) = match given.filter(|path| !path.is_empty()) {
            Some(path) => {
                let kubeconfig = std::fs::read_to_string(path).unwrap();
                let kubectl = Kubectl::with(&kubeconfig).expect("there is kubectl");
                (Api::Real(kubectl), kubeconfig)
            }
            None => {
                let api = ApiServer::start();
                let kubeconfig = api.kubeconfig();
                (Api::Fixture(Box::new(api)), kubeconfig)
            }
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let place = Self {
            api,
            kubeconfig,
            id: format!("headgate-test-{}-{number}", std::process::id()),
            made: RefCell::default(),
        };
        for namespace in [place.home(), place.shop()] {
            place.apply(&namespace_object(&namespace, &json!({})));
        }
        place.apply(&place.class_object(&place.class(), &place.controller_class()));
        place
    }

    /// Namespace of the controller.
    pub(super) fn home(&self) -> String {
        format!("{}-home", self.id)
    }

    /// Namespace of the Ingresses.
    pub(super) fn shop(&self) -> String {
        format!("{}-shop", self.id)
    }

    /// The class that is served.
    pub(super) fn class(&self) -> String {
        self.named("ours")
    }

    /// `spec.controller` of the classes that are served.
    pub(super) fn controller_class(&self) -> String {
        format!("example.com/{}", self.id)
    }

    /// A name of this place for something in no namespace.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }

    /// An IngressClass of this controller.
    pub(super) fn class_object(&self, name: &str, controller: &str) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": name}, "spec": {"controller": controller}})
    }

    /// An Ingress of our class for host `<name>.test`.
    pub(super) fn ingress(&self, name: &str) -> Value {
        let host = format!("{name}.test");
        let mut ingress = Ingress::new(name).host(&host).path("/", "none").object();
        ingress["metadata"]["namespace"] = self.shop().into();
        ingress["spec"]["ingressClassName"] = self.class().into();
        ingress
    }

    /// A controller for the class and the namespace of the Ingresses, once it serves.
    pub(super) fn controller(&self, arguments: &[&str]) -> Program {
        let namespace = format!("--watch-namespace={}", self.shop());
        let mut all = vec![namespace.as_str()];
        all.extend(arguments);
        self.wide_controller(&all)
    }

    /// A controller for the class in all namespaces, once it serves.
    pub(super) fn wide_controller(&self, arguments: &[&str]) -> Program {
        let flags = [
            format!("--ingress-class={}", self.class()),
            format!("--controller-class={}", self.controller_class()),
            format!("--configmap={}/settings", self.home()),
        ];
        let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
        all.extend(arguments);
        let home = self.home();
        let pod = (home.as_str(), "headgate-0");
        let program = Program::controller(BINARY.as_ref(), &self.kubeconfig, pod, &all);
        program.until_ready();
        program
    }

    /// Creates an object, or makes it so.
    pub(super) fn apply(&self, object: &Value) {
        match &self.api {
            Api::Fixture(api) => {
                api.replace(object.clone());
            }
            Api::Real(kubectl) => {
                // Replaced as a whole: what a change leaves out is gone.
                let verb = match self.look(object) {
                    Some(_) => "replace",
                    None => "create",
                };
                kubectl.feed(&[verb, "-f", "-"], &object.to_string());
            }
        }
        if object["metadata"]["namespace"].is_null() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let made = (text(&object["kind"]), text(&object["metadata"]["name"]));
            self.made.borrow_mut().push(made);
        }
    }

    /// Changes an object that is there, as its author would.
    pub(super) fn change(&self, object: &Value, change: impl Fn(&mut Value)) {
        let [kind, namespace, name] = identity(object);
        match &self.api {
            Api::Fixture(api) => {
                api.modify(kind, namespace, name, change);
            }
            Api::Real(kubectl) => {
                let mut present = self.look(object).unwrap();
                change(&mut present);
                kubectl.feed(&["replace", "-f", "-"], &present.to_string());
            }
        }
    }

    /// Deletes an object.
    pub(super) fn delete(&self, object: &Value) {
        let [kind, namespace, name] = identity(object);
        match &self.api {
            Api::Fixture(api) => {
                api.delete(kind, namespace, name);
            }
            Api::Real(kubectl) => {
                kubectl.run(&["delete", kind, name, "-n", namespace]);
            }
        }
    }

    /// The object of this kind and name as it is.
    pub(super) fn look(&self, object: &Value) -> Option<Value> {
        let [kind, namespace, name] = identity(object);
        match &self.api {
            Api::Fixture(api) => api.get(kind, namespace, name),
            Api::Real(kubectl) => {
                let found = ["get", kind, name, "-n", namespace];
                let said =
                    kubectl.run(&[&found[..], &["-o", "json", "--ignore-not-found"]].concat());
                serde_json::from_str(&said.stdout).ok()
            }
        }
    }

    /// Events of the namespace of the Ingresses, of both groups as `kubectl get events` shows them.
    pub(super) fn events(&self) -> Vec<Value> {
        match &self.api {
            Api::Fixture(api) => {
                let shop = self.shop();
                let mut events = api.list("Event");
                events.retain(|event| event["metadata"]["namespace"] == shop.as_str());
                events
            }
            Api::Real(kubectl) => {
                let said = kubectl.run(&["get", "events", "-n", &self.shop(), "-o", "json"]);
                let list: Value = serde_json::from_str(&said.stdout).unwrap();
                list["items"].as_array().cloned().unwrap_or_default()
            }
        }
    }

    /// The real kubectl for this place, where there is one.
    pub(super) fn kubectl(&self) -> Option<Kubectl> {
        Kubectl::with(&self.kubeconfig)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Api::Real(kubectl) = &self.api {
            for (kind, name) in self.made.take() {
                // What a test removed itself is gone.
                kubectl.try_run(
                    &["delete", &kind, &name, "--wait=false", "--ignore-not-found"],
                    "",
                );
            }
        }
    }
}

/// A Namespace with these labels.
pub(super) fn namespace_object(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn identity(object: &Value) -> [&str; 3] {
    let metadata = &object["metadata"];
    let text = |value: &'static str| metadata[value].as_str();
    [
        object["kind"].as_str().unwrap(),
        text("namespace").unwrap_or("default"),
        text("name").unwrap(),
    ]
}
