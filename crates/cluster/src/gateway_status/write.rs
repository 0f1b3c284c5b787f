//! Writing one status to the API server, and the finalizer of a GatewayClass.

use std::sync::Arc;

use headgate_compile::{Kind, ObjectRef};
use jiff::Timestamp;
use kube::Client;
use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::ObservedStatus;
use super::part;
use crate::field_manager::FIELD_MANAGER;
use crate::leadership::Leader;
use crate::status::{WriteError, bounded};

/// Most attempts when other clients write at the same time.
const ATTEMPTS: usize = 5;

/// Writes statuses.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) controller: Arc<str>,
}

/// A status to write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) object: ObjectRef,
    /// The version in which the kind is served.
    pub(super) version: &'static str,
    /// The generation that it speaks of; `None`: the object is not served.
    pub(super) generation: Option<i64>,
    /// See [`part::desired`].
    pub(super) part: Arc<Value>,
    /// The digest of the part.
    pub(super) digest: u64,
    /// The status as observed.
    pub(super) before: ObservedStatus,
}

/// An object after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct After {
    /// The digest of what its status has of the part: another one if the API server does not know all fields.
    pub(super) digest: u64,
    /// `metadata.resourceVersion`; 0 if it is no number.
    pub(super) version: u64,
}

impl Writer {
    /// Writes the status, if `leader` is current right before. `None`: the object is gone or newer than the status.
    pub(super) async fn write(
        &self,
        write: &Write,
        leader: &Leader,
    ) -> Result<Option<After>, WriteError> {
        let mut attempt = 1;
        loop {
            match self.once(write, leader).await {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn once(&self, write: &Write, leader: &Leader) -> Result<Option<After>, WriteError> {
        let kind = write.object.kind;
        let name = &write.object.name;
        let request = Request::new(path(write)).get(&name.name, &GetParams::default());
        let read = async {
            self.client
                .request::<Value>(request.map_err(invalid)?)
                .await
        };
        let mut object = bounded("reading", kind.as_str(), name, read).await?;
        if object["metadata"]["uid"] != *write.before.uid {
            return Ok(None);
        }
        let present = self.present(kind, &object);
        if let Some(generation) = write.generation {
            let newest = object["metadata"]["generation"].as_i64();
            if newest.is_some_and(|newest| newest > generation)
                || part::generation(&present) > generation
            {
                return Ok(None);
            }
        }
        if part::digest(&present) == write.digest {
            return Ok(Some(self.after(write, &object)));
        }
        if part::wants_finalizer(&write.part) != part::wants_finalizer(&present)
            && let Some(patched) = self.set_finalizer(write, &object, leader).await?
        {
            object = patched;
            let present = self.present(kind, &object);
            if part::digest(&present) == write.digest {
                return Ok(Some(self.after(write, &object)));
            }
        }
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let merged = part::merge(kind, &object["status"], &write.part, &self.controller, &now);
        object["status"] = merged;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let body = object.to_string().into_bytes();
        let request =
            Request::new(path(write)).replace_subresource("status", &name.name, &params, body);
        if !leader.is_current(Instant::now()) {
            return Err(WriteError::NotLeader);
        }
        let replace = async {
            self.client
                .request::<Value>(request.map_err(invalid)?)
                .await
        };
        let written = bounded("writing the status of", kind.as_str(), name, replace).await?;
        Ok(Some(self.after(write, &written)))
    }

    /// Adds or removes the finalizer of an object as just read. `None`: an object that is being deleted gets none.
    async fn set_finalizer(
        &self,
        write: &Write,
        object: &Value,
        leader: &Leader,
    ) -> Result<Option<Value>, WriteError> {
        let (kind, name) = (write.object.kind, &write.object.name);
        let metadata = &object["metadata"];
        let is_wanted = part::wants_finalizer(&write.part) == Some(true);
        if is_wanted && metadata["deletionTimestamp"].is_string() {
            return Ok(None);
        }
        let mut finalizers: Vec<&str> = finalizers(object).collect();
        match is_wanted {
            true => finalizers.push(part::FINALIZER),
            false => finalizers.retain(|finalizer| *finalizer != part::FINALIZER),
        }
        // Only of this version, so that those of others are not lost.
        let patch = json!({"metadata": {
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": finalizers,
        }});
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(path(write)).patch(&name.name, &params, &Patch::Merge(patch));
        if !leader.is_current(Instant::now()) {
            return Err(WriteError::NotLeader);
        }
        let patch = async {
            self.client
                .request::<Value>(request.map_err(invalid)?)
                .await
        };
        let action = "writing the finalizer of";
        bounded(action, kind.as_str(), name, patch).await.map(Some)
    }

    /// The part that an object has.
    fn present(&self, kind: Kind, object: &Value) -> Value {
        let own = part::own(kind, &object["status"], &self.controller);
        part::with_finalizer(kind, own, part::has_finalizer(finalizers(object)))
    }

    fn after(&self, write: &Write, object: &Value) -> After {
        let part = self.present(write.object.kind, object);
        let version = object["metadata"]["resourceVersion"].as_str();
        After {
            digest: part::digest(&part),
            version: version
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
        }
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let all = object["metadata"]["finalizers"].as_array();
    all.into_iter().flatten().filter_map(Value::as_str)
}

fn invalid(error: kube::core::request::Error) -> kube::Error {
    kube::Error::BuildRequest(error)
}

/// Path of the collection.
fn path(write: &Write) -> String {
    let kind = write.object.kind;
    let (group, version, plural) = (kind.group(), write.version, kind.plural());
    if kind.is_namespaced() {
        let namespace = &write.object.name.namespace;
        format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}")
    } else {
        format!("/apis/{group}/{version}/{plural}")
    }
}
