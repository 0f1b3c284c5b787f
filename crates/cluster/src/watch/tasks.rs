//! Runs the tasks of the [`Hub`](super::hub::Hub): reflectors, and requests for single objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use headgate_compile::{Kind, Name, ObjectRef};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::WatchOptions;
use super::backoff::Backoff;
use super::body::{collect, send};
use super::decode::{Decoded, Decoder, Page, ReferencedNames};
use super::failure::Failure;
use super::hub::Task;
use super::message::{Id, Message, Update};
use super::reflector::{Reflector, Shared};
use super::selection::{Scope, Selection};
use super::{discovery, zone};

/// Most concurrent requests for single objects.
const REQUESTS: usize = 8;

/// The running tasks; they end when this is dropped.
pub(super) struct Tasks {
    shared: Shared,
    published: Option<Name>,
    /// The controller of Gateways whose entries in statuses are observed.
    controller: Option<Arc<str>>,
    /// For the kinds of which only referenced objects are kept; and the names of the CRDs that are.
    referenced: HashMap<Kind, ReferencedNames>,
    reflectors: HashMap<Id, AbortHandle>,
    permits: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Tasks {
    pub(super) fn new(shared: Shared, options: &WatchOptions) -> Self {
        let kept_by_name = Kind::ALL.into_iter().filter(|kind| kind.is_kept_by_name());
        let kept_by_name = kept_by_name.map(|kind| (kind, ReferencedNames::default()));
        let definitions = ReferencedNames::default();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_custom()) {
            definitions.insert(Name::new("", &kind.definition()));
        }
        Self {
            shared,
            published: options.publish_service.clone(),
            controller: options.controller(),
            referenced: kept_by_name
                .chain([(Kind::CustomResourceDefinition, definitions)])
                .collect(),
            reflectors: HashMap::new(),
            permits: Arc::new(Semaphore::new(REQUESTS)),
            running: JoinSet::new(),
        }
    }

    pub(super) fn run(&mut self, task: Task) {
        // Removes tasks that ended.
        while self.running.try_join_next().is_some() {}
        match task {
            Task::Start(id, selection) => self.start(id, selection),
            Task::Stop(id) => {
                if let Some(reflector) = self.reflectors.remove(&id) {
                    reflector.abort();
                }
            }
            Task::Keep(object) => {
                if let Some(referenced) = self.referenced.get(&object.kind) {
                    referenced.insert(object.name);
                }
            }
            Task::Drop(object) => {
                if let Some(referenced) = self.referenced.get(&object.kind) {
                    referenced.remove(&object.name);
                }
            }
            Task::Fetch(object, request) => self.fetch(object, request),
            Task::Discover(number, kinds, delay) => {
                let shared = self.shared.clone();
                self.running
                    .spawn(discovery::discover(number, kinds, delay, shared));
            }
        }
    }

    pub(super) fn find_zone(&mut self, pod: Name) {
        let shared = self.shared.clone();
        self.running.spawn(zone::find(pod, shared));
    }

    fn start(&mut self, id: Id, selection: Selection) {
        let is_named = matches!(selection.scope, Scope::Named(_));
        let decoder = Decoder {
            kind: selection.kind,
            referenced: self
                .referenced
                .get(&selection.kind)
                .filter(|_| !is_named)
                .cloned(),
            published: self.published.clone(),
            controller: self.controller.clone(),
        };
        let reflector = Reflector::new((id, selection), decoder, self.shared.clone());
        let handle = self.running.spawn(reflector.run());
        self.reflectors.insert(id, handle);
    }

    fn fetch(&mut self, object: ObjectRef, request: u64) {
        let shared = self.shared.clone();
        let permits = self.permits.clone();
        let referenced = self.referenced.get(&object.kind).cloned();
        self.running.spawn(async move {
            let Ok(_permit) = permits.acquire().await else {
                return;
            };
            fetch(object, request, &shared, referenced.as_ref()).await;
        });
    }
}

/// Requests an object until there is a response, or it is no longer referenced. By a list of one object: `get` would need
/// another permission than the watch of all.
async fn fetch(
    object: ObjectRef,
    request: u64,
    shared: &Shared,
    referenced: Option<&ReferencedNames>,
) {
    let timing = shared.timing;
    let mut backoff = Backoff::new(timing.first_retry);
    let is_referenced = || referenced.is_none_or(|names| names.contains(&object.name));
    while is_referenced() && !shared.out.is_closed() {
        match list_one(&object, shared).await {
            Ok(found) => return report(object, request, found, shared).await,
            // The watch reports the object once it is permitted.
            Err(Failure::Denied(_) | Failure::NotFound(_)) => {
                return report(object, request, None, shared).await;
            }
            Err(failure) => {
                tracing::debug!(%object, error = %failure, "requesting an object failed");
                sleep(timing.wait(&failure, false, &mut backoff)).await;
            }
        }
    }
}

async fn list_one(object: &ObjectRef, shared: &Shared) -> Result<Option<Decoded>, Failure> {
    let selection = Selection::named(object);
    let request = selection.list_request(&selection.list())?;
    let body = send(&shared.client, request, shared.timing.response_timeout).await?;
    let text = collect(body, shared.timing.response_timeout).await?;
    let page = Page::read(&text)?;
    let decoder = Decoder {
        kind: object.kind,
        referenced: None,
        published: None,
        controller: None,
    };
    for json in page.items() {
        let (decoded, _) = decoder.decode(json);
        let name = match &decoded {
            Decoded::Object(decoded) => &decoded.name,
            Decoded::Unreadable(name, _) => name,
            Decoded::Unreferenced => continue,
        };
        if *name == object.name {
            return Ok(Some(decoded));
        }
    }
    Ok(None)
}

async fn report(object: ObjectRef, request: u64, found: Option<Decoded>, shared: &Shared) {
    let message = Message {
        arrived: Instant::now(),
        update: Update::Fetched(object, request, found),
    };
    // Fails when the hub is dropped.
    let _ = shared.out.send(message).await;
}
