//! One pass: reads what there is, and writes what differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use foldhash::fast::RandomState;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use headgate_compile::Name;
use headgate_compile::gateway::{GatewayPort, GatewayService};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::object::{self, is_made_here, is_owned, owner};
use super::{GatewayServiceInput, GatewayServiceOptions, slices};
use crate::causes::causes;
use crate::field_manager::FIELD_MANAGER;
use crate::leadership::Leader;
use crate::status::{WriteError, bounded};

/// Most Services that are handled at a time.
const CONCURRENT: usize = 10;

pub(super) struct Pass {
    pub(super) client: Client,
    pub(super) options: GatewayServiceOptions,
    /// The problems of the last pass, which are not logged again.
    reported: BTreeSet<String>,
}

/// What there is.
struct Present {
    /// Services that were made here.
    services: HashMap<Name, Service, RandomState>,
    /// Slices that were made here, by Service.
    slices: HashMap<Name, Vec<EndpointSlice>, RandomState>,
    /// The slices of the controller's own Service.
    sources: Vec<EndpointSlice>,
}

impl Pass {
    pub(super) fn new(client: Client, options: GatewayServiceOptions) -> Self {
        Self {
            client,
            options,
            reported: BTreeSet::new(),
        }
    }

    /// Whether nothing failed. What is wrong with one Gateway does not affect the others.
    pub(super) async fn run(&mut self, input: &GatewayServiceInput, leader: &Leader) -> bool {
        let problems = match self.pass(input, leader).await {
            Ok(problems) => problems,
            Err(WriteError::NotLeader) => return true,
            Err(error) => vec![causes(&error)],
        };
        for problem in problems
            .iter()
            .filter(|problem| !self.reported.contains(*problem))
        {
            tracing::warn!(error = problem, "cannot write the Services of Gateways");
        }
        if problems.is_empty() && !self.reported.is_empty() {
            tracing::info!("writing the Services of Gateways again");
        }
        self.reported = problems.into_iter().collect();
        self.reported.is_empty()
    }

    /// Returns problems that affect single Gateways.
    async fn pass(
        &self,
        input: &GatewayServiceInput,
        leader: &Leader,
    ) -> Result<Vec<String>, WriteError> {
        let wanted: BTreeSet<GatewayPort> = input
            .services
            .iter()
            .flat_map(GatewayService::gateway_ports)
            .collect();
        let missing = self.allocate(&wanted, leader).await?;
        let mut problems: Vec<String> = Vec::new();
        if let Some(port) = missing.first() {
            let (first, last) = (self.options.range.start(), self.options.range.end());
            problems.push(format!(
                "no local port from {first} to {last} is free for {port} and {} others: widen --gateway-port-range",
                missing.len() - 1
            ));
        }
        let present = self.present().await?;
        if present.sources.is_empty() && !input.services.is_empty() {
            let name = &self.options.endpoints;
            problems.push(format!(
                "Service {name} has no EndpointSlice; the endpoints of Gateways are left as they are"
            ));
        }
        let present = &present;
        let gateways = input.services.iter();
        // Boxed, because the compiler cannot prove that a stream of them can move between threads.
        let gateways = gateways.map(|desired| self.gateway(desired, present, leader).boxed());
        let gateways: Vec<_> = gateways.collect();
        let outcomes = stream::iter(gateways).buffer_unordered(CONCURRENT);
        let outcomes: Vec<Result<(), WriteError>> = outcomes.collect().await;
        let deleted = self.delete_foreign(input, present, leader).await;
        for outcome in outcomes.into_iter().chain([deleted]) {
            match outcome {
                Ok(()) => {}
                Err(WriteError::NotLeader) => return Err(WriteError::NotLeader),
                Err(error) => problems.push(causes(&error)),
            }
        }
        Ok(problems)
    }

    async fn present(&self) -> Result<Present, WriteError> {
        let all: Api<Service> = Api::all(self.client.clone());
        let ours = format!("{}={FIELD_MANAGER}", object::MANAGED_BY);
        let services = self.list(&all, "Services of", &ours).await?;
        let all: Api<EndpointSlice> = Api::all(self.client.clone());
        let ours = format!("{}={FIELD_MANAGER}", slices::MANAGED_BY);
        let mut by_service: HashMap<Name, Vec<EndpointSlice>, RandomState> = HashMap::default();
        for slice in self.list(&all, "EndpointSlices of", &ours).await? {
            let labels = slice.metadata.labels.as_ref();
            let service = labels.and_then(|labels| labels.get(slices::SERVICE));
            if let (Some(namespace), Some(service)) = (&slice.metadata.namespace, service) {
                let name = Name::new(namespace, service);
                by_service.entry(name).or_default().push(slice);
            }
        }
        let own = &self.options.endpoints;
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &own.namespace);
        let selector = format!("{}={}", slices::SERVICE, own.name);
        Ok(Present {
            services: services
                .into_iter()
                .filter(|service| is_made_here(service, &self.options))
                .map(|service| (Name::of(&service.metadata), service))
                .collect(),
            slices: by_service,
            sources: self.list(&api, "EndpointSlices of", &selector).await?,
        })
    }

    /// Makes the Service of a Gateway what it should be, and its slices.
    async fn gateway(
        &self,
        desired: &GatewayService,
        present: &Present,
        leader: &Leader,
    ) -> Result<(), WriteError> {
        if desired.ports.values().all(Option::is_none) {
            return Ok(()); // until the record says where they are
        }
        let Some(service) = self.service(desired, present, leader).await? else {
            return Ok(());
        };
        if present.sources.is_empty() {
            return Ok(());
        }
        let known = present.slices.get(&desired.name).into_iter().flatten();
        let uid = service.metadata.uid.as_deref().unwrap_or_default();
        let known = known.filter(|slice| is_owned(&slice.metadata, uid));
        let mut known: BTreeMap<&str, &EndpointSlice> = known
            .filter_map(|slice| Some((slice.metadata.name.as_deref()?, slice)))
            .collect();
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &desired.name.namespace);
        for source in &present.sources {
            let name = slices::name(source, desired);
            let current = known.remove(&*name);
            let Some(slice) = slices::copy(source, &service, desired, current) else {
                continue;
            };
            if Some(&slice) != current {
                let name = Name::new(&desired.name.namespace, &name);
                let write = (&slice, current.is_some());
                self.write(&api, "EndpointSlice", &name, write, leader)
                    .await?;
            }
        }
        for slice in known.into_values() {
            self.delete(&api, "EndpointSlice", slice, leader).await?;
        }
        Ok(())
    }

    /// The Service of a Gateway, as it is after it was written. `None`: something else has its name, which the status of the
    /// Gateway says.
    async fn service(
        &self,
        desired: &GatewayService,
        present: &Present,
        leader: &Leader,
    ) -> Result<Option<Service>, WriteError> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &desired.name.namespace);
        let read;
        let mut current = present.services.get(&desired.name);
        if current.is_none() {
            // It may have lost its label.
            read = self.read(&api, "Service", &desired.name).await?;
            current = read.as_ref();
        }
        if current.is_some_and(|current| !is_owned(&current.metadata, &desired.uid)) {
            tracing::debug!(service = %desired.name, gateway = %desired.gateway, "the Service is not that of the Gateway");
            return Ok(None);
        }
        let Some(parameters) = &desired.parameters else {
            return Ok(current.cloned());
        };
        let service = object::service((desired, parameters), current, &self.options);
        if Some(&service) == current {
            return Ok(Some(service));
        }
        let write = (&service, current.is_some());
        let written = self
            .write(&api, "Service", &desired.name, write, leader)
            .await?;
        tracing::debug!(service = %desired.name, gateway = %desired.gateway, "wrote the Service of the Gateway");
        Ok(Some(written))
    }

    /// Deletes Services of Gateways that another controller serves now, and those that have another name now.
    async fn delete_foreign(
        &self,
        input: &GatewayServiceInput,
        present: &Present,
        leader: &Leader,
    ) -> Result<(), WriteError> {
        let desired = input.services.iter();
        let desired: HashMap<&str, &Name, RandomState> = desired
            .map(|service| (&*service.uid, &service.name))
            .collect();
        for (name, service) in &present.services {
            let Some(gateway) = owner(&service.metadata) else {
                continue;
            };
            let is_former = desired.get(gateway).is_some_and(|desired| *desired != name);
            if is_former || input.foreign.contains(gateway) {
                let api: Api<Service> = Api::namespaced(self.client.clone(), &name.namespace);
                self.delete(&api, "Service", service, leader).await?;
                tracing::info!(service = %name, "deleted the Service of a Gateway that is not served with it any more");
            }
        }
        Ok(())
    }
}

// === requests ===

impl Pass {
    pub(super) async fn read<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        name: &Name,
    ) -> Result<Option<K>, WriteError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        bounded("reading", kind, name, api.get_opt(&name.name)).await
    }

    /// Creates an object, or updates one that exists if it is still the version that was read.
    pub(super) async fn write<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        name: &Name,
        (object, exists): (&K, bool),
        leader: &Leader,
    ) -> Result<K, WriteError>
    where
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        check(leader)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        if exists {
            bounded(
                "updating",
                kind,
                name,
                api.replace(&name.name, &params, object),
            )
            .await
        } else {
            bounded("creating", kind, name, api.create(&params, object)).await
        }
    }

    /// Deletes exactly this object; that it is gone already is no failure.
    async fn delete<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        object: &K,
        leader: &Leader,
    ) -> Result<(), WriteError>
    where
        K: Clone + DeserializeOwned + Debug + Resource<DynamicType = ()>,
    {
        check(leader)?;
        let name = Name::of(object.meta());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.meta().uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let deleted = bounded("deleting", kind, &name, api.delete(&name.name, &params)).await;
        match deleted {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }

    /// All objects with these labels.
    async fn list<K>(
        &self,
        api: &Api<K>,
        what: &'static str,
        selector: &str,
    ) -> Result<Vec<K>, WriteError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let params = ListParams::default().labels(selector);
        let name = Name::new("", selector);
        Ok(bounded("listing", what, &name, api.list(&params))
            .await?
            .items)
    }
}

fn check(leader: &Leader) -> Result<(), WriteError> {
    if leader.is_current(Instant::now()) {
        Ok(())
    } else {
        Err(WriteError::NotLeader)
    }
}
