//! Writing one status to the API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::networking::v1::{
    Ingress, IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus,
};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::addresses::bounded;
use super::plan::{Desired, Write, is_same};
use super::{Address, WriteError, owns_status};
use crate::field_manager::FIELD_MANAGER;
use crate::leadership::Leader;

/// Most attempts at read and update when other clients write at the same time.
const ATTEMPTS: usize = 3;

/// Writes statuses.
pub(super) struct Writer {
    client: Client,
    /// Use server-side apply, until that is forbidden: the role of ingress-nginx allows `update` only.
    may_patch: AtomicBool,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            may_patch: AtomicBool::new(true),
        }
    }

    /// Tries to patch again: permissions may have changed.
    pub(super) fn retry_patch(&self) {
        self.may_patch.store(true, Ordering::Relaxed);
    }

    /// Writes the status, if `leader` is current right before each request.
    pub(super) async fn write(&self, write: &Write, leader: &Leader) -> Result<(), WriteError> {
        if self.may_patch.load(Ordering::Relaxed) {
            match self.apply(write, leader).await {
                Err(error) if error.is_forbidden() => {
                    if self.may_patch.swap(false, Ordering::Relaxed) {
                        tracing::debug!("patching statuses is forbidden; updating them");
                    }
                }
                result => return result,
            }
        }
        self.update(write, leader).await
    }

    async fn apply(&self, write: &Write, leader: &Leader) -> Result<(), WriteError> {
        let Desired::Addresses(addresses) = &write.desired else {
            return self.clear(write, leader).await;
        };
        let status = json!({"loadBalancer": {"ingress": entries(addresses)}});
        self.patch(write, leader, Some(status)).await.map(drop)
    }

    /// Applying without a status removes the fields that this field manager applied.
    async fn clear(&self, write: &Write, leader: &Leader) -> Result<(), WriteError> {
        let after = self.patch(write, leader, None).await?;
        // Entries that are left were written by update, or by another client with the same content. The clearing at the
        // end removes both; otherwise this field manager must own them.
        let has_entries = after
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref())
            .is_some_and(|entries| !entries.is_empty());
        if has_entries && (owns_status(&after.metadata) || !write.before.managed) {
            let empty = json!({"loadBalancer": {"ingress": []}});
            self.patch(write, leader, Some(empty)).await?;
            self.patch(write, leader, None).await?;
        }
        Ok(())
    }

    async fn patch(
        &self,
        write: &Write,
        leader: &Leader,
        status: Option<Value>,
    ) -> Result<Ingress, WriteError> {
        // The uid makes the write a conflict if the Ingress was deleted and created again.
        let mut applied = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {
                "namespace": write.ingress.namespace,
                "name": write.ingress.name,
                "uid": write.before.uid,
            },
        });
        if let Some(status) = status {
            applied["status"] = status;
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let (api, patch) = (self.api(write), Patch::Apply(&applied));
        check(leader)?;
        let request = api.patch_status(&write.ingress.name, &params, &patch);
        bounded("writing the status of", "Ingress", &write.ingress, request).await
    }

    async fn update(&self, write: &Write, leader: &Leader) -> Result<(), WriteError> {
        let mut attempt = 1;
        loop {
            match self.update_once(write, leader).await {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn update_once(&self, write: &Write, leader: &Leader) -> Result<(), WriteError> {
        let api = self.api(write);
        let read = api.get(&write.ingress.name);
        let mut ingress = bounded("reading", "Ingress", &write.ingress, read).await?;
        if ingress.metadata.uid.as_deref() != Some(&*write.before.uid) {
            return Ok(());
        }
        let present = observed(&ingress);
        let desired: &[Address] = match &write.desired {
            Desired::Addresses(addresses) => addresses,
            // Another client has written it meanwhile.
            Desired::Cleared if present != write.before.entries => return Ok(()),
            Desired::Cleared if write.before.managed && !owns_status(&ingress.metadata) => {
                return Ok(());
            }
            Desired::Cleared => &[],
        };
        if is_same(&present, desired) {
            return Ok(());
        }
        let balancer = IngressLoadBalancerStatus {
            ingress: Some(desired.iter().map(entry).collect()),
        };
        ingress.status = Some(IngressStatus {
            load_balancer: Some(balancer),
        });
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        check(leader)?;
        let request = api.replace_status(&write.ingress.name, &params, &ingress);
        bounded("writing the status of", "Ingress", &write.ingress, request)
            .await
            .map(drop)
    }

    fn api(&self, write: &Write) -> Api<Ingress> {
        Api::namespaced(self.client.clone(), &write.ingress.namespace)
    }
}

fn check(leader: &Leader) -> Result<(), WriteError> {
    if leader.is_current(Instant::now()) {
        Ok(())
    } else {
        Err(WriteError::NotLeader)
    }
}

fn observed(ingress: &Ingress) -> Arc<[Address]> {
    let balancer = ingress
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref());
    let entries = balancer
        .filter_map(|balancer| balancer.ingress.as_ref())
        .flatten();
    entries
        .map(|entry| Address::new(entry.ip.as_deref(), entry.hostname.as_deref()))
        .collect()
}

fn entries(addresses: &[Address]) -> Value {
    let entries = addresses.iter().map(|address| {
        let mut entry = serde_json::Map::new();
        let fields = [("ip", &address.ip), ("hostname", &address.hostname)];
        for (field, text) in fields {
            if let Some(text) = text {
                entry.insert(field.to_owned(), (**text).into());
            }
        }
        Value::Object(entry)
    });
    entries.collect()
}

fn entry(address: &Address) -> IngressLoadBalancerIngress {
    IngressLoadBalancerIngress {
        ip: address.ip.as_deref().map(str::to_owned),
        hostname: address.hostname.as_deref().map(str::to_owned),
        ports: None,
    }
}
