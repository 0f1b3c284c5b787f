//! The requests of an election, each with a timeout.

use std::time::Duration;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};

use super::{LeaseError, LeaseOptions};
use crate::field_manager::FIELD_MANAGER;

/// `timeoutSeconds` of a watch.
const WATCH_SECONDS: u32 = 290;

/// Reads and writes the Lease.
pub(super) struct Leases {
    api: Api<Lease>,
    name: String,
    label: Box<str>,
    timeout: Duration,
}

impl Leases {
    pub(super) fn new(client: Client, options: &LeaseOptions) -> Self {
        Self {
            api: Api::namespaced(client, &options.lease.namespace),
            name: options.lease.name.to_string(),
            label: options.lease.to_string().into(),
            timeout: options.ttl / 4,
        }
    }

    pub(super) async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        match self.bounded("reading", self.api.get(&self.name)).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        let params = params();
        let created = self.api.create(&params, lease);
        self.bounded("creating", created).await
    }

    /// Fails when another client wrote it since `lease` was read.
    pub(super) async fn replace(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        let params = params();
        let replaced = self.api.replace(&self.name, &params, lease);
        self.bounded("writing", replaced).await
    }

    /// The lease after each change, `None` when it was deleted. The stream ends when the watch ends or is refused: an
    /// election works without it, and without its permission.
    pub(super) fn changes(&self, version: &str) -> impl Stream<Item = Option<Lease>> {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        let version = version.to_owned();
        let opened = async move { self.api.watch(&params, &version).await };
        opened.into_stream().flat_map(events)
    }

    async fn bounded<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, LeaseError> {
        let lease = self.label.clone();
        match tokio::time::timeout(self.timeout, request).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) => Err(LeaseError::Api {
                action,
                lease,
                source: Box::new(source),
            }),
            Err(_) => Err(LeaseError::Timeout {
                action,
                lease,
                seconds: self.timeout.as_secs_f64(),
            }),
        }
    }
}

type Events<'e> = BoxStream<'e, Result<WatchEvent<Lease>, kube::Error>>;

fn events<S>(opened: Result<S, kube::Error>) -> BoxStream<'static, Option<Lease>>
where
    S: Stream<Item = Result<WatchEvent<Lease>, kube::Error>> + Send + 'static,
{
    let events: Events<'static> = match opened {
        Ok(events) => events.boxed(),
        Err(_) => stream::empty().boxed(),
    };
    let leases = events.map(|event| match event {
        Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)) => Some(Some(lease)),
        Ok(WatchEvent::Deleted(_)) => Some(None),
        Ok(WatchEvent::Bookmark(_) | WatchEvent::Error(_)) | Err(_) => None,
    });
    leases
        .take_while(|lease| std::future::ready(lease.is_some()))
        .filter_map(std::future::ready)
        .boxed()
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}
