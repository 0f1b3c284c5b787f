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
use super::plan::{Wanted, Write, is_same};
use super::{Address, StatusError, owns_status};
use crate::field_manager::FIELD_MANAGER;
use crate::leadership::Leader;

/// So often a status is read and written before others who write it are left alone for now.
const ATTEMPTS: usize = 3;

/// Writes statuses.
pub(super) struct Writer {
    client: Client,
    /// By server-side apply, until that is forbidden. The permissions that ingress-nginx has are `update` only.
    may_patch: AtomicBool,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            may_patch: AtomicBool::new(true),
        }
    }

    /// Permissions may have changed.
    pub(super) fn hope(&self) {
        self.may_patch.store(true, Ordering::Relaxed);
    }

    /// Writes it, if `leader` leads when it comes to that.
    pub(super) async fn write(&self, write: &Write, leader: &Leader) -> Result<(), StatusError> {
        if self.may_patch.load(Ordering::Relaxed) {
            match self.apply(write, leader).await {
                Err(error) if error.is_forbidden() => {
                    if self.may_patch.swap(false, Ordering::Relaxed) {
                        tracing::debug!("statuses may not be patched; updating them");
                    }
                }
                result => return result,
            }
        }
        self.update(write, leader).await
    }

    async fn apply(&self, write: &Write, leader: &Leader) -> Result<(), StatusError> {
        let Wanted::Addresses(addresses) = &write.wanted else {
            return self.withdraw(write, leader).await;
        };
        let status = json!({"loadBalancer": {"ingress": entries(addresses)}});
        self.patch(write, leader, Some(status)).await.map(drop)
    }

    /// What we own of the status goes when we apply nothing.
    async fn withdraw(&self, write: &Write, leader: &Leader) -> Result<(), StatusError> {
        let after = self.patch(write, leader, None).await?;
        // It is not ours by apply: we once wrote it by update, or another wrote the same. In clearing at the end that
        // is what is being cleared; else it must be ours.
        let has_entries = after
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref())
            .is_some_and(|entries| !entries.is_empty());
        if has_entries && (owns_status(&after.metadata) || !write.before.ours) {
            let nothing = json!({"loadBalancer": {"ingress": []}});
            self.patch(write, leader, Some(nothing)).await?;
            self.patch(write, leader, None).await?;
        }
        Ok(())
    }

    async fn patch(
        &self,
        write: &Write,
        leader: &Leader,
        status: Option<Value>,
    ) -> Result<Ingress, StatusError> {
        // The uid makes an Ingress that was deleted and made again a conflict.
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

    async fn update(&self, write: &Write, leader: &Leader) -> Result<(), StatusError> {
        let mut attempt = 1;
        loop {
            match self.update_once(write, leader).await {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn update_once(&self, write: &Write, leader: &Leader) -> Result<(), StatusError> {
        let api = self.api(write);
        let read = api.get(&write.ingress.name);
        let mut ingress = bounded("reading", "Ingress", &write.ingress, read).await?;
        if ingress.metadata.uid.as_deref() != Some(&*write.before.uid) {
            return Ok(());
        }
        let present = observed(&ingress);
        let wanted: &[Address] = match &write.wanted {
            Wanted::Addresses(addresses) => addresses,
            // Meanwhile it has become another's.
            Wanted::Nothing if present != write.before.entries => return Ok(()),
            Wanted::Nothing if write.before.ours && !owns_status(&ingress.metadata) => {
                return Ok(());
            }
            Wanted::Nothing => &[],
        };
        if is_same(&present, wanted) {
            return Ok(());
        }
        let balancer = IngressLoadBalancerStatus {
            ingress: Some(wanted.iter().map(entry).collect()),
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

fn check(leader: &Leader) -> Result<(), StatusError> {
    if leader.is_current(Instant::now()) {
        Ok(())
    } else {
        Err(StatusError::NotLeader)
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
