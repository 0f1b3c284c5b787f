//! The environment of a test: an API server in memory or, with `HEADGATE_TEST_KUBECONFIG`, the cluster of that kubeconfig, with
//! namespaces and a class for this test alone, which are deleted afterwards. In both cases requests pass the server of
//! headgate-apiserver, which records and disturbs them, and controllers have only the permissions that the chart grants.
//!
//! A real cluster must run on this machine. It rejects endpoints on loopback, so endpoints are in a network namespace (which
//! needs root), and it calls webhooks on loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use headgate_apiserver::{ApiServer, Options};
use headgate_testkit::{Echo, NetworkNamespace, Program, Request, Response, Tls, manifest, wait};
use serde_json::{Value, json};

use super::roles;
use super::support::{BINARY, Kubectl, backend, ingress};

/// Name of the ConfigMap with the settings, in [`TestEnv::controller_namespace`].
pub(super) const SETTINGS: &str = "headgate-controller";
/// Name of the lease, in [`TestEnv::controller_namespace`].
pub(super) const LEASE: &str = "headgate-leader";
/// Name of the Service of `--publish-service`, in [`TestEnv::controller_namespace`].
pub(super) const PUBLISH_SERVICE: &str = "headgate-controller";

/// Makes the names in one process unique.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cluster, and the objects that a test created there.
///
/// It accepts objects as the testkit builds them: the namespace `shop` becomes [`Self::namespace`], and class names become this
/// test's ([`Self::localize`]).
pub(super) struct TestEnv {
    pub(super) api: ApiServer,
    id: String,
    /// Where upstreams run whose addresses a real cluster accepts.
    endpoints: Option<Endpoints>,
    /// Kind and name of the cluster-scoped objects.
    cluster_scoped: Mutex<BTreeSet<(String, String)>>,
    /// ServiceAccounts whose requests must all be permitted.
    accounts: Mutex<BTreeSet<String>>,
}

/// A network namespace at the end of a virtual cable.
struct Endpoints {
    namespace: NetworkNamespace,
    address: String,
}

impl TestEnv {
    /// A cluster with namespaces, a class and the Service of `--publish-service`.
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    /// As [`Self::new`], with options; for a real cluster only the address has an effect.
    pub(super) fn with(options: Options) -> Self {
        // kubectl sends tokens only over TLS.
        let options = Options {
            tls: true,
            ..options
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (api, endpoints) = match real_cluster() {
            None => (ApiServer::start_with(options), None),
            Some(path) => {
                let kubeconfig = std::fs::read_to_string(path).unwrap();
                let api = ApiServer::in_front_of(&kubeconfig, options);
                (api, Some(Endpoints::new()))
            }
        };
        api.enforce_rbac(true);
        let env = Self {
            api,
            id: format!("headgate-test-{}-{number}", std::process::id()),
            endpoints,
            cluster_scoped: Mutex::default(),
            accounts: Mutex::default(),
        };
        for namespace in [env.controller_namespace(), env.namespace()] {
            env.replace(namespace_object(&namespace, &json!({})));
        }
        env.create(env.class_object("nginx", &env.controller_class()));
        // Without addresses, so that no status is written unless a test adds some.
        env.create(env.publish_service(json!({"type": "LoadBalancer"}), json!({})));
        env
    }

    pub(super) fn is_real_cluster(&self) -> bool {
        self.endpoints.is_some()
    }

    /// Namespace of the controller.
    pub(super) fn controller_namespace(&self) -> String {
        format!("{}-home", self.id)
    }

    /// Namespace of the Ingresses.
    pub(super) fn namespace(&self) -> String {
        format!("{}-shop", self.id)
    }

    /// The class that is served.
    pub(super) fn class(&self) -> String {
        self.scoped("nginx")
    }

    /// `spec.controller` of the classes that are served.
    pub(super) fn controller_class(&self) -> String {
        format!("example.com/{}", self.id)
    }

    /// The name in this test of a cluster-scoped object.
    pub(super) fn scoped(&self, name: &str) -> String {
        if name.starts_with(&self.id) {
            return name.to_owned();
        }
        format!("{}-{name}", self.id)
    }

    /// The reverse of [`Self::scoped`].
    pub(super) fn unscoped(&self, name: &str) -> String {
        let rest = name.strip_prefix(&self.id);
        rest.map_or(name, |rest| rest.trim_start_matches('-'))
            .to_owned()
    }

    /// An IngressClass of this controller.
    pub(super) fn class_object(&self, name: &str, controller: &str) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": self.scoped(name)}, "spec": {"controller": controller}})
    }

    /// The Service of `--publish-service`.
    pub(super) fn publish_service(&self, mut spec: Value, status: Value) -> Value {
        spec["ports"] = json!([{"name": "http", "port": 80}]);
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": self.controller_namespace(), "name": PUBLISH_SERVICE}, "spec": spec, "status": status})
    }

    /// The ConfigMap with the settings.
    pub(super) fn settings(&self, data: &[(&str, &str)]) -> Value {
        manifest::config_map(&self.controller_namespace(), SETTINGS, data)
    }

    /// Starts an upstream whose address this cluster accepts in an endpoint.
    pub(super) fn start_echo(&self, name: &str) -> Echo {
        match &self.endpoints {
            None => Echo::start(name),
            Some(endpoints) => {
                let address = endpoints.address.parse().unwrap();
                endpoints.namespace.run(|| Echo::start_at(address, name))
            }
        }
    }

    /// Serves `web` at host `a.test`.
    pub(super) fn serve_web(&self, addresses: &[SocketAddr]) {
        self.load(backend("web", addresses));
        self.create(ingress("web", "a.test", "web"));
    }

    // === Objects ===

    pub(super) fn create(&self, object: Value) -> Value {
        self.api.create(self.localize(object))
    }

    pub(super) fn load(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            self.create(object);
        }
    }

    /// Creates or replaces an object.
    pub(super) fn replace(&self, object: Value) -> Value {
        self.api.replace(self.localize(object))
    }

    /// Changes an object in [`Self::namespace`].
    pub(super) fn modify(&self, kind: &str, name: &str, change: impl FnMut(&mut Value)) -> Value {
        self.api.modify(kind, &self.namespace(), name, change)
    }

    /// Deletes an object that is in [`Self::namespace`] or cluster-scoped.
    pub(super) fn delete(&self, kind: &str, name: &str) {
        self.api.delete(kind, &self.namespace(), name);
    }

    /// An object in [`Self::namespace`].
    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.api.get(kind, &self.namespace(), name)
    }

    /// Waits until an object in [`Self::namespace`] satisfies a condition.
    #[track_caller]
    pub(super) fn until(&self, kind: &str, name: &str, condition: impl FnMut(&Value) -> bool) {
        self.api.until(kind, &self.namespace(), name, condition);
    }

    /// Events in [`Self::namespace`].
    pub(super) fn events(&self) -> Vec<Value> {
        let namespace = self.namespace();
        let mut events = self.api.list("Event");
        events.retain(|event| event["metadata"]["namespace"] == namespace.as_str());
        events
    }

    /// An object with the namespace, class and names of this test.
    pub(super) fn localize(&self, mut object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let metadata = &mut object["metadata"];
        match metadata["namespace"].as_str() {
            Some(manifest::NAMESPACE) => metadata["namespace"] = self.namespace().into(),
            Some(_) => {}
            None => {
                let name = self.scoped(metadata["name"].as_str().unwrap());
                metadata["name"] = name.as_str().into();
                self.cluster_scoped
                    .lock()
                    .unwrap()
                    .insert((kind.clone(), name));
            }
        }
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
            return object;
        };
        if let Some(class) = spec.get("ingressClassName").and_then(Value::as_str) {
            spec.insert("ingressClassName".to_owned(), self.scoped(class).into());
        }
        if kind == "Service" && self.is_real_cluster() {
            // The cluster chooses addresses.
            spec.remove("clusterIP");
        }
        object
    }

    // === Requests ===

    /// Sends an Ingress to a path below the Ingresses of [`Self::namespace`], as the administrator.
    pub(super) fn send_ingress(&self, method: &str, rest: &str, ingress: &Value) -> Response {
        self.request(method, rest, ingress).send(self.api.address())
    }

    /// The request of [`Self::send_ingress`].
    pub(super) fn request(&self, method: &str, rest: &str, ingress: &Value) -> Request {
        let path = format!(
            "networking.k8s.io/v1/namespaces/{}/ingresses{rest}",
            self.namespace()
        );
        self.request_to(method, &path, ingress)
    }

    /// A request with this object for a path below `/apis/`.
    pub(super) fn request_to(&self, method: &str, path: &str, object: &Value) -> Request {
        let path = format!("/apis/{path}");
        let config: Value = serde_json::from_str(&self.api.kubeconfig()).unwrap();
        let token = config["users"][0]["user"]["token"].as_str().unwrap();
        let body = self.localize(object.clone()).to_string();
        let request = Request::new(method, &path)
            .body(body)
            .over(&Tls::nameless());
        let request = request.field("Content-Type", "application/json");
        request.field("Authorization", &format!("Bearer {token}"))
    }

    /// kubectl for this cluster, if it is installed.
    pub(super) fn kubectl(&self) -> Option<Kubectl> {
        Kubectl::with(&self.api.kubeconfig())
    }

    // === Controllers ===

    /// A ready controller that watches all namespaces.
    pub(super) fn controller(&self, arguments: &[&str]) -> Program {
        let program = self.replica("headgate-0", arguments);
        program.until_ready();
        program
    }

    /// A ready controller that watches [`Self::namespace`] alone.
    pub(super) fn narrow_controller(&self, arguments: &[&str]) -> Program {
        let namespace = format!("--watch-namespace={}", self.namespace());
        let mut all = vec![namespace.as_str()];
        all.extend(arguments);
        self.controller(&all)
    }

    /// A controller as replica `pod`, with the permissions that the chart grants for these flags. It may not be ready yet.
    pub(super) fn replica(&self, pod: &str, arguments: &[&str]) -> Program {
        self.replica_with_account("headgate", pod, arguments)
    }

    /// As [`Self::replica`], with this ServiceAccount, which identifies its requests.
    pub(super) fn replica_with_account(
        &self,
        account: &str,
        pod: &str,
        arguments: &[&str],
    ) -> Program {
        let kubeconfig = self.kubeconfig(account, arguments);
        self.replica_with_kubeconfig(&kubeconfig, pod, arguments)
    }

    /// As [`Self::replica`], with this kubeconfig.
    pub(super) fn replica_with_kubeconfig(
        &self,
        kubeconfig: &str,
        pod: &str,
        arguments: &[&str],
    ) -> Program {
        let flags = self.flags(arguments);
        let all: Vec<&str> = flags.iter().map(String::as_str).collect();
        Program::controller(
            BINARY.as_ref(),
            kubeconfig,
            (&self.controller_namespace(), pod),
            &all,
        )
    }

    /// The flags of a controller, including these.
    pub(super) fn flags(&self, arguments: &[&str]) -> Vec<String> {
        let home = self.controller_namespace();
        let mut flags = vec![
            format!("--ingress-class={}", self.class()),
            format!("--configmap={home}/{SETTINGS}"),
            format!("--election-id={LEASE}"),
        ];
        let has = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
        if !has("--controller-class") {
            flags.push(format!("--controller-class={}", self.controller_class()));
        }
        if !has("--publish-") && !has("--report-node-internal") {
            flags.push(format!("--publish-service={home}/{PUBLISH_SERVICE}"));
        }
        flags.extend(arguments.iter().map(|&argument| argument.to_owned()));
        flags
    }

    /// A kubeconfig of a ServiceAccount with the permissions that the chart grants for these flags.
    pub(super) fn kubeconfig(&self, account: &str, arguments: &[&str]) -> String {
        let token = self.token(account, arguments);
        self.api.kubeconfig_for(&token)
    }

    /// The token of [`Self::kubeconfig`].
    pub(super) fn token(&self, account: &str, arguments: &[&str]) -> String {
        let account = roles::account(account, arguments);
        let token = self
            .api
            .service_account(&self.controller_namespace(), &account);
        if self.accounts.lock().unwrap().insert(self.user(&account)) {
            roles::bind(self, roles::variant(arguments), &account);
        }
        token
    }

    /// The user name of a ServiceAccount.
    pub(super) fn user(&self, account: &str) -> String {
        format!(
            "system:serviceaccount:{}:{account}",
            self.controller_namespace()
        )
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if self.is_real_cluster() {
            let objects = std::mem::take(&mut *self.cluster_scoped.lock().unwrap());
            for (kind, name) in objects {
                // A failed deletion affects no other test, and must not hide why this one failed.
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
        assert!(denied.is_empty(), "the chart does not permit {denied:#?}");
    }
}

impl Endpoints {
    fn new() -> Self {
        let namespace = NetworkNamespace::new().expect("network namespaces, which need root");
        let network = network();
        namespace.attach(&format!("{network}.1/24"), &format!("{network}.2/24"));
        Self {
            namespace,
            address: format!("{network}.2"),
        }
    }
}

/// The path of the kubeconfig of a real cluster.
pub(super) fn real_cluster() -> Option<String> {
    let path = std::env::var("HEADGATE_TEST_KUBECONFIG").ok();
    path.filter(|path| !path.is_empty())
}

/// The first three numbers of a network for a cable to a network namespace: networks of one process differ in the third
/// number, those of concurrent processes mostly in the second.
pub(super) fn network() -> String {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("10.{}.{}", 128 + std::process::id() % 128, number % 256)
}

/// A Namespace with these labels.
pub(super) fn namespace_object(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// Waits until an object in the namespace of the controller satisfies a condition.
#[track_caller]
pub(super) fn until_in_controller_namespace(
    env: &TestEnv,
    kind: &str,
    name: &str,
    condition: impl FnMut(&Value) -> bool,
) {
    env.api
        .until(kind, &env.controller_namespace(), name, condition);
}

/// Waits until this replica holds the lease.
#[track_caller]
pub(super) fn until_leader(env: &TestEnv, pod: &str) {
    until_in_controller_namespace(env, "Lease", LEASE, |lease| {
        lease["spec"]["holderIdentity"] == pod
    });
}

/// Waits for a condition that causes no watch event.
#[track_caller]
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    wait::until(what, || condition().then_some(()));
}
