//! Where a test runs: an API server of its own in memory or, with `HEADGATE_TEST_KUBECONFIG`, the cluster of that file, in
//! namespaces and a class of its own that are removed after. Either way the requests pass a server of the testkit, which
//! records and disturbs them, and the controller has only the rights that its chart gives it.
//!
//! A given cluster has to run on this machine: it takes no endpoints on loopback, so that they are in a network namespace
//! (which takes root), and it asks webhooks on loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use headgate_apiserver::{ApiServer, Options};
use headgate_testkit::{Echo, Namespace, Program, Request, Response, Tls, manifest, wait};
use serde_json::{Value, json};

use super::rights;
use super::support::{BINARY, Kubectl, backend, ingress};

/// Name of the ConfigMap with the settings, in [`Place::home`].
pub(super) const SETTINGS: &str = "headgate-controller";
/// Name of the lease, in [`Place::home`].
pub(super) const LEASE: &str = "headgate-leader";
/// Name of the Service whose addresses are told, in [`Place::home`].
pub(super) const ENTRY: &str = "headgate-controller";

/// Tells the places of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cluster, and what a test made there.
///
/// Objects are given as the testkit's builders make them: whatever is in the namespace `shop` or of a class is moved to
/// this place's [`Self::shop`] and class.
pub(super) struct Place {
    pub(super) api: ApiServer,
    id: String,
    /// Where endpoints are that a given cluster takes.
    endpoints: Option<Endpoints>,
    /// Kind and name of what is in no namespace.
    made: Mutex<BTreeSet<(String, String)>>,
    /// ServiceAccounts whose requests have to be permitted.
    accounts: Mutex<BTreeSet<String>>,
}

/// A namespace at the end of a cable.
struct Endpoints {
    namespace: Namespace,
    address: String,
}

impl Place {
    /// With namespaces, a class and the Service that is published.
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    /// As [`Self::new`]; a given cluster heeds only where its front listens.
    pub(super) fn with(options: Options) -> Self {
        // kubectl sends tokens over TLS only.
        let options = Options {
            tls: true,
            ..options
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (api, endpoints) = match given() {
            None => (ApiServer::start_with(options), None),
            Some(path) => {
                let kubeconfig = std::fs::read_to_string(path).unwrap();
                let api = ApiServer::before(&kubeconfig, options);
                (api, Some(Endpoints::new()))
            }
        };
        api.enforce_rbac(true);
        let place = Self {
            api,
            id: format!("headgate-test-{}-{number}", std::process::id()),
            endpoints,
            made: Mutex::default(),
            accounts: Mutex::default(),
        };
        for namespace in [place.home(), place.shop()] {
            place.replace(namespace_object(&namespace, &json!({})));
        }
        place.create(place.class_object("nginx", &place.controller_class()));
        // Without addresses, so that nothing is told unless a test gives it some.
        place.create(place.entry(json!({"type": "LoadBalancer"}), json!({})));
        place
    }

    /// Whether this is a given cluster.
    pub(super) fn is_given(&self) -> bool {
        self.endpoints.is_some()
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
        self.named("nginx")
    }

    /// `spec.controller` of the classes that are served.
    pub(super) fn controller_class(&self) -> String {
        format!("example.com/{}", self.id)
    }

    /// A name of this place for something in no namespace.
    pub(super) fn named(&self, name: &str) -> String {
        if name.starts_with(&self.id) {
            return name.to_owned();
        }
        format!("{}-{name}", self.id)
    }

    /// A name without what makes it this place's.
    pub(super) fn plain(&self, name: &str) -> String {
        let own = name.strip_prefix(&self.id);
        own.map_or(name, |rest| rest.trim_start_matches('-'))
            .to_owned()
    }

    /// An IngressClass of this controller.
    pub(super) fn class_object(&self, name: &str, controller: &str) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": self.named(name)}, "spec": {"controller": controller}})
    }

    /// The Service whose addresses are told.
    pub(super) fn entry(&self, mut spec: Value, status: Value) -> Value {
        spec["ports"] = json!([{"name": "http", "port": 80}]);
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": self.home(), "name": ENTRY}, "spec": spec, "status": status})
    }

    /// The settings.
    pub(super) fn settings(&self, data: &[(&str, &str)]) -> Value {
        manifest::config_map(&self.home(), SETTINGS, data)
    }

    /// An upstream that an endpoint of this cluster can be.
    pub(super) fn echo(&self, name: &str) -> Echo {
        match &self.endpoints {
            None => Echo::start(name),
            Some(endpoints) => {
                let address = endpoints.address.parse().unwrap();
                endpoints.namespace.run(|| Echo::start_at(address, name))
            }
        }
    }

    /// Serves `web` at host `a.test`.
    pub(super) fn publish(&self, addresses: &[SocketAddr]) {
        self.load(backend("web", addresses));
        self.create(ingress("web", "a.test", "web"));
    }

    // === Objects ===

    /// Creates an object.
    pub(super) fn create(&self, object: Value) -> Value {
        self.api.create(self.own(object))
    }

    /// Creates objects.
    pub(super) fn load(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            self.create(object);
        }
    }

    /// Creates an object, or makes it so.
    pub(super) fn replace(&self, object: Value) -> Value {
        self.api.replace(self.own(object))
    }

    /// Changes an object of the shop.
    pub(super) fn modify(&self, kind: &str, name: &str, change: impl FnMut(&mut Value)) -> Value {
        self.api.modify(kind, &self.shop(), name, change)
    }

    /// Deletes an object of the shop, or of no namespace.
    pub(super) fn delete(&self, kind: &str, name: &str) {
        self.api.delete(kind, &self.shop(), name);
    }

    /// An object of the shop.
    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.api.get(kind, &self.shop(), name)
    }

    /// Waits until an object of the shop is as wanted.
    #[track_caller]
    pub(super) fn until(&self, kind: &str, name: &str, wanted: impl FnMut(&Value) -> bool) {
        self.api.until(kind, &self.shop(), name, wanted);
    }

    /// Events of the namespace of the Ingresses.
    pub(super) fn events(&self) -> Vec<Value> {
        let shop = self.shop();
        let mut events = self.api.list("Event");
        events.retain(|event| event["metadata"]["namespace"] == shop.as_str());
        events
    }

    /// An object as it is here.
    pub(super) fn own(&self, mut object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let metadata = &mut object["metadata"];
        match metadata["namespace"].as_str() {
            Some(manifest::NAMESPACE) => metadata["namespace"] = self.shop().into(),
            Some(_) => {}
            None => {
                let name = self.named(metadata["name"].as_str().unwrap());
                metadata["name"] = name.as_str().into();
                self.made.lock().unwrap().insert((kind.clone(), name));
            }
        }
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
            return object;
        };
        if let Some(class) = spec.get("ingressClassName").and_then(Value::as_str) {
            spec.insert("ingressClassName".to_owned(), self.named(class).into());
        }
        if kind == "Service" && self.is_given() {
            // Which addresses there are is up to the cluster.
            spec.remove("clusterIP");
        }
        object
    }

    // === Requests ===

    /// Sends an object to a path below the Ingresses of the shop, as the administrator.
    pub(super) fn ask(&self, method: &str, rest: &str, ingress: &Value) -> Response {
        self.request(method, rest, ingress).send(self.api.address())
    }

    /// What [`Self::ask`] sends to the API server.
    pub(super) fn request(&self, method: &str, rest: &str, ingress: &Value) -> Request {
        let path = format!(
            "/apis/networking.k8s.io/v1/namespaces/{}/ingresses{rest}",
            self.shop()
        );
        let config: Value = serde_json::from_str(&self.api.kubeconfig()).unwrap();
        let token = config["users"][0]["user"]["token"].as_str().unwrap();
        let body = self.own(ingress.clone()).to_string();
        let request = Request::new(method, &path)
            .body(body)
            .over(&Tls::nameless());
        let request = request.field("Content-Type", "application/json");
        request.field("Authorization", &format!("Bearer {token}"))
    }

    /// The real kubectl for this place, where there is one.
    pub(super) fn kubectl(&self) -> Option<Kubectl> {
        Kubectl::with(&self.api.kubeconfig())
    }

    // === Controllers ===

    /// A controller that serves, of all namespaces.
    pub(super) fn controller(&self, arguments: &[&str]) -> Program {
        let program = self.replica("headgate-0", arguments);
        program.until_ready();
        program
    }

    /// A controller that serves, of the namespace of the Ingresses alone.
    pub(super) fn narrow_controller(&self, arguments: &[&str]) -> Program {
        let namespace = format!("--watch-namespace={}", self.shop());
        let mut all = vec![namespace.as_str()];
        all.extend(arguments);
        self.controller(&all)
    }

    /// A controller as replica `pod`, with the rights that the chart gives for these flags; it need not be ready yet.
    pub(super) fn replica(&self, pod: &str, arguments: &[&str]) -> Program {
        self.replica_as("headgate", pod, arguments)
    }

    /// As [`Self::replica`], with a ServiceAccount of this name, by which its requests are known.
    pub(super) fn replica_as(&self, account: &str, pod: &str, arguments: &[&str]) -> Program {
        let kubeconfig = self.account(account, arguments);
        self.replica_with(&kubeconfig, pod, arguments)
    }

    /// As [`Self::replica`], with this kubeconfig.
    pub(super) fn replica_with(&self, kubeconfig: &str, pod: &str, arguments: &[&str]) -> Program {
        let flags = self.flags(arguments);
        let all: Vec<&str> = flags.iter().map(String::as_str).collect();
        Program::controller(BINARY.as_ref(), kubeconfig, (&self.home(), pod), &all)
    }

    /// The flags that a controller of this place gets with these.
    pub(super) fn flags(&self, arguments: &[&str]) -> Vec<String> {
        let home = self.home();
        let mut flags = vec![
            format!("--ingress-class={}", self.class()),
            format!("--configmap={home}/{SETTINGS}"),
            format!("--election-id={LEASE}"),
        ];
        let given = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
        if !given("--controller-class") {
            flags.push(format!("--controller-class={}", self.controller_class()));
        }
        if !given("--publish-") && !given("--report-node-internal") {
            flags.push(format!("--publish-service={home}/{ENTRY}"));
        }
        flags.extend(arguments.iter().map(|&argument| argument.to_owned()));
        flags
    }

    /// A kubeconfig of a ServiceAccount with the rights that the chart gives for these flags.
    pub(super) fn account(&self, account: &str, arguments: &[&str]) -> String {
        let token = self.token(account, arguments);
        self.api.kubeconfig_for(&token)
    }

    /// As [`Self::account`], its token alone.
    pub(super) fn token(&self, account: &str, arguments: &[&str]) -> String {
        let account = rights::account(account, arguments);
        let token = self.api.service_account(&self.home(), &account);
        if self.accounts.lock().unwrap().insert(self.user(&account)) {
            rights::give(self, rights::case(arguments), &account);
        }
        token
    }

    /// The user that a ServiceAccount is.
    pub(super) fn user(&self, account: &str) -> String {
        format!("system:serviceaccount:{}:{account}", self.home())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_given() {
            let made = std::mem::take(&mut *self.made.lock().unwrap());
            for (kind, name) in made {
                // What cannot be removed is in nobody's way; a test that failed has more to say.
                let removed = catch_unwind(AssertUnwindSafe(|| self.api.delete(&kind, "", &name)));
                drop(removed);
            }
        }
        if std::thread::panicking() {
            return;
        }
        let accounts = self.accounts.lock().unwrap();
        let mut denied = self.api.denied();
        denied.retain(|request| accounts.contains(&request.user));
        assert!(denied.is_empty(), "the chart gives no right to {denied:#?}");
    }
}

impl Endpoints {
    fn new() -> Self {
        let namespace = Namespace::new().expect("network namespaces, which take root");
        let network = network();
        namespace.attach(&format!("{network}.1/24"), &format!("{network}.2/24"));
        Self {
            namespace,
            address: format!("{network}.2"),
        }
    }
}

/// The kubeconfig of a given cluster.
pub(super) fn given() -> Option<String> {
    let path = std::env::var("HEADGATE_TEST_KUBECONFIG").ok();
    path.filter(|path| !path.is_empty())
}

/// The first three numbers of a network for a cable to a namespace: others of this process differ in the third number, those
/// of processes that run at the same time mostly in the second.
pub(super) fn network() -> String {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("10.{}.{}", 128 + std::process::id() % 128, number % 256)
}

/// A Namespace with these labels.
pub(super) fn namespace_object(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// Waits until an object of the home is as wanted.
#[track_caller]
pub(super) fn until_at_home(
    place: &Place,
    kind: &str,
    name: &str,
    wanted: impl FnMut(&Value) -> bool,
) {
    place.api.until(kind, &place.home(), name, wanted);
}

/// Waits until this replica leads.
#[track_caller]
pub(super) fn until_leader(place: &Place, pod: &str) {
    until_at_home(place, "Lease", LEASE, |lease| {
        lease["spec"]["holderIdentity"] == pod
    });
}

/// Waits for something that the API server tells nobody of.
#[track_caller]
pub(super) fn until(what: &str, mut is: impl FnMut() -> bool) {
    wait::until(what, || is().then_some(()));
}
