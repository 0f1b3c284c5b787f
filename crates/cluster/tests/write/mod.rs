//! Shared by the tests of writers: a runtime, clients of the fixture, and permissions.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::time::{Duration, Instant};

use headgate_apiserver::ApiServer;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Generous, for loaded machines.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// An API server and the runtime of its clients.
pub(crate) struct World {
    pub(crate) api: ApiServer,
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn start() -> Self {
        Self {
            api: ApiServer::start(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// A client that may do everything.
    pub(crate) fn client(&self) -> Client {
        self.client_of(&self.api.kubeconfig())
    }

    /// A client that may do only what these rules of a ClusterRole allow.
    pub(crate) fn client_with(&self, account: &str, rules: &Value) -> Client {
        self.api.replace(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": account}, "rules": rules}),
        );
        self.api.replace(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": account},
            "subjects": [{"kind": "ServiceAccount", "namespace": "ingress", "name": account}]}));
        self.api.enforce_rbac(true);
        let token = self.api.service_account("ingress", account);
        self.client_of(&self.api.kubeconfig_for(&token))
    }

    fn client_of(&self, kubeconfig: &str) -> Client {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
        self.runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            Client::try_from(config.unwrap()).unwrap()
        })
    }

    /// Waits until the watched value holds; returns how long that took.
    #[track_caller]
    pub(crate) fn wait<T>(
        &self,
        watched: &mut watch::Receiver<T>,
        holds: impl FnMut(&T) -> bool,
    ) -> Duration {
        let start = Instant::now();
        let found = self.runtime.block_on(async {
            let found = tokio::time::timeout(TIMEOUT, watched.wait_for(holds)).await;
            found.is_ok_and(|found| found.is_ok())
        });
        assert!(found, "not within {TIMEOUT:?}");
        start.elapsed()
    }
}
