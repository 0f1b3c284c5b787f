//! The handle of a server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headgate_testkit::{Authority, PATIENCE};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use socket2::Socket;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::cluster::Cluster;
use super::connection;
use super::faults::{Disturbance, Fault};
use super::log::{Recorded, UsedPermission};
use super::options::Options;
use super::reviews;
use super::shared::{Disturbed, Shared};
use super::users::User;

/// Worker threads; a debug build needs more than one to keep up with a test under load.
const THREADS: usize = 2;

/// A Kubernetes API server in memory. Dropping it closes everything.
pub struct ApiServer {
    pub(super) shared: Arc<Shared>,
    runtime: Option<Runtime>,
    serving: Option<Serving>,
    tls: Option<TlsAcceptor>,
    authority: Authority,
    _reserved: Socket,
}

/// The task that accepts connections; it ends, with all of them, when `stop` is dropped.
struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// Starts a server with default options.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start_with(options: Options) -> Self {
        Self::launch(options, None)
    }

    /// Starts a server in front of the cluster of a kubeconfig: it forwards requests and changes, with faults, disturbances
    /// and stops in between. It cannot [`Self::rewind`].
    ///
    /// # Panics
    /// When it cannot listen, or the kubeconfig is unusable.
    pub fn in_front_of(kubeconfig: &str, options: Options) -> Self {
        Self::launch(options, Some(kubeconfig))
    }

    fn launch(options: Options, kubeconfig: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("kubernetes-api")
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let reserved = bind(&options, options.listen);
        let address = reserved
            .local_addr()
            .expect("a bound socket has an address");
        let address = address.as_socket().expect("it is an internet address");
        let authority = Authority::new();
        let tls = options.tls.then(|| acceptor(&authority, address.ip()));
        let cluster = kubeconfig.map(|text| Cluster::new(text, runtime.handle().clone()));
        let mut server = Self {
            shared: Shared::new(options, address, cluster),
            runtime: Some(runtime),
            serving: None,
            tls,
            authority,
            _reserved: reserved,
        };
        server.begin();
        server.resume();
        server
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:port`, or `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// The CA of its certificate, PEM; for [`Options::tls`].
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// Changes to a certificate of a new CA.
    pub fn rotate_authority(&mut self) {
        self.authority = Authority::new();
        if self.tls.is_some() {
            self.tls = Some(acceptor(&self.authority, self.address().ip()));
            self.stop();
            self.resume();
        }
    }

    /// A kubeconfig of the administrator. kubectl and Helm send tokens only over HTTPS: with enforced RBAC they need
    /// [`Options::tls`].
    pub fn kubeconfig(&self) -> String {
        const TOKEN: &str = "admin";
        self.shared.control().users.add(TOKEN, User::admin());
        self.kubeconfig_for(TOKEN)
    }

    /// A kubeconfig with this token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        use base64::Engine;
        let mut cluster = serde_json::json!({"server": self.url()});
        if self.tls.is_some() {
            let authority = base64::engine::general_purpose::STANDARD.encode(self.authority());
            cluster["certificate-authority-data"] = authority.into();
        }
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fixture",
            "clusters": [{"name": "fixture", "cluster": cluster}],
            "users": [{"name": "fixture", "user": {"token": token}}],
            "contexts": [{"name": "fixture", "context": {"cluster": "fixture", "user": "fixture", "namespace": "default"}}],
        });
        config.to_string()
    }

    /// A new token of a service account, which need not exist as an object.
    pub fn service_account(&self, namespace: &str, name: &str) -> String {
        let token = match &self.shared.cluster {
            Some(cluster) => cluster.token(namespace, name),
            None => format!("{namespace}.{name}.{:016x}", fastrand::u64(..)),
        };
        let user = User::service_account(namespace, name);
        self.shared.control().users.add(&token, user);
        token
    }

    /// Revokes a token: requests with it get 401.
    pub fn revoke(&self, token: &str) {
        self.shared.control().users.remove(token);
    }

    /// Whether to enforce RBAC. Requests without a token are then from `system:anonymous`, not from the administrator.
    pub fn enforce_rbac(&self, enforce: bool) {
        self.shared.control().enforce = enforce;
    }

    /// Permissions that requests used, granted or not.
    pub fn used_permissions(&self) -> Vec<UsedPermission> {
        self.shared.control().used.iter().cloned().collect()
    }

    /// Whether a user is permitted to do this, given as the `resourceAttributes` of a SubjectAccessReview.
    pub fn is_allowed(&self, user: &str, attributes: &serde_json::Value) -> bool {
        let spec =
            serde_json::json!({"user": user, "groups": [], "resourceAttributes": attributes});
        match &self.shared.cluster {
            Some(cluster) => cluster.is_allowed(&spec),
            None => reviews::is_allowed(&self.shared, &spec),
        }
    }

    /// Requests that were forbidden, in order.
    pub fn denied(&self) -> Vec<Recorded> {
        self.shared.control().denied.clone()
    }

    /// Sets the address of a port of a Service, for webhooks that name a Service.
    pub fn route_service(&self, namespace: &str, name: &str, port: u16, address: SocketAddr) {
        let service = (namespace.to_owned(), name.to_owned(), port);
        self.shared.control().services.insert(service, address);
    }

    /// Stops listening and closes all connections. Objects stay, and no request is recorded afterwards.
    pub fn stop(&mut self) {
        let (Some(serving), Some(runtime)) = (self.serving.take(), &self.runtime) else {
            return;
        };
        drop(serving.stop);
        if let Err(error) = runtime.block_on(serving.task) {
            assert!(std::thread::panicking(), "the listener failed: {error}");
        }
    }

    /// Listens again, on the same port.
    ///
    /// # Panics
    /// When it cannot.
    pub fn resume(&mut self) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.serving.is_none()) else {
            return;
        };
        let socket = bind(&self.shared.options, self.address());
        let guard = runtime.enter();
        let listener = connection::listen(socket).expect("a bound socket can listen");
        let (stop, stopped) = oneshot::channel();
        let accept = connection::accept(self.shared.clone(), listener, self.tls.clone(), stopped);
        let task = runtime.spawn(accept);
        self.serving = Some(Serving { stop, task });
        drop(guard);
    }

    /// Adds a fault for later requests; the first that matches a request takes effect.
    pub fn inject(&self, fault: Fault) {
        self.shared.control().faults.push(fault);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.shared.control().faults.clear();
    }

    /// Disturbs the open watches of a resource, after the changes so far.
    pub fn disturb(&self, resource: &str, disturbance: Disturbance) {
        self.add_disturbance(Some(resource.to_owned()), disturbance);
    }

    /// Disturbs all open watches.
    pub fn disturb_all(&self, disturbance: Disturbance) {
        self.add_disturbance(None, disturbance);
    }

    fn add_disturbance(&self, resource: Option<String>, disturbance: Disturbance) {
        let mut state = self.shared.state();
        let version = state.store.version();
        state.disturbances.push(Disturbed {
            version,
            resource,
            disturbance,
        });
        state.store.wake();
    }

    /// Compacts older versions: lists and watches of them get 410. Open watches continue.
    pub fn compact(&self) {
        if self.shared.cluster.is_some() {
            let version = self.version();
            self.shared.control().floor = version;
        }
        self.shared.state().store.compact();
    }

    /// Restores an earlier version and closes all watches, like the restore of a backup.
    ///
    /// # Panics
    /// When that version was compacted, or with a real cluster.
    pub fn rewind(&self, version: u64) {
        assert!(
            self.shared.cluster.is_none(),
            "a real cluster cannot be rewound"
        );
        self.disturb_all(Disturbance::Close);
        let mut state = self.shared.state();
        state.store.rewind(version);
        // Watches that open later begin after this in the log; open ones must process it.
        for disturbed in &mut state.disturbances {
            disturbed.version = disturbed.version.min(version);
        }
        state.store.wake();
        drop(state);
        self.shared.changed().notify_all();
    }

    /// The version of the latest change.
    pub fn version(&self) -> u64 {
        match &self.shared.cluster {
            Some(cluster) => cluster.version(),
            None => self.shared.state().store.version(),
        }
    }

    /// Requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.control().requests.iter().cloned().collect()
    }

    /// Clears the recorded requests and permissions.
    pub fn clear_requests(&self) {
        let mut control = self.shared.control();
        control.requests.clear();
        control.used.clear();
        control.denied.clear();
    }

    /// Waits for a request; earlier ones count, too.
    ///
    /// # Panics
    /// When none arrives within [`PATIENCE`].
    pub fn wait_for_request(&self, mut matches: impl FnMut(&Recorded) -> bool) -> Recorded {
        let mut checked = 0;
        let mut control = self.shared.control();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let found = control
                .requests
                .iter()
                .skip(checked)
                .find(|request| matches(request));
            if let Some(found) = found {
                return found.clone();
            }
            checked = control.requests.len();
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            assert!(
                left > Duration::ZERO,
                "no such request within {PATIENCE:?}: {:#?}",
                control.requests
            );
            control = super::wait(self.shared.activity(), control, left);
        }
    }

    /// Open watches of a resource.
    pub fn watches(&self, resource: &str) -> usize {
        let control = self.shared.control();
        let open = control.watches.values();
        open.filter(|open| open.resource == resource).count()
    }

    /// Waits until this many watches of a resource are open.
    ///
    /// # Panics
    /// When they are not within [`PATIENCE`].
    pub fn wait_for_watches(&self, resource: &str, count: usize) {
        let mut control = self.shared.control();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let open = control.watches.values();
            let open = open.filter(|open| open.resource == resource).count();
            if open == count {
                return;
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            assert!(
                left > Duration::ZERO,
                "{open} watches of {resource} instead of {count}"
            );
            control = super::wait(self.shared.activity(), control, left);
        }
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_tuple("ApiServer").field(&self.url()).finish()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn bind(options: &Options, address: SocketAddr) -> Socket {
    let bind = || connection::bind(address);
    let bound = match &options.network_namespace {
        Some(namespace) => namespace.run(bind),
        None => bind(),
    };
    bound.expect("an address to listen on")
}

fn acceptor(authority: &Authority, ip: IpAddr) -> TlsAcceptor {
    let issued = authority.issue(&[
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        &ip.to_string(),
    ]);
    let chain = vec![CertificateDer::from(issued.der)];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("the key is PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
