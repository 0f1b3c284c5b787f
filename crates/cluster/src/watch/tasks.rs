//! Runs what the [`Hub`](super::hub::Hub) wants done: reflectors, and requests for single objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use headgate_compile::{Kind, Name, ObjectRef};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::backoff::Backoff;
use super::body::{collect, send};
use super::decode::{Decoded, Decoder, Page, Wanted};
use super::failure::Failure;
use super::hub::Task;
use super::message::{Id, Message, News};
use super::reflector::{Reflector, Shared};
use super::selection::{Scope, Selection};
use super::zone;

/// Requests for single objects at the same time.
const REQUESTS: usize = 8;

/// Everything that runs; it ends when this is dropped.
pub(super) struct Tasks {
    shared: Shared,
    published: Option<Name>,
    /// Of the kinds that are kept by name.
    wanted: HashMap<Kind, Wanted>,
    reflectors: HashMap<Id, AbortHandle>,
    slots: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Tasks {
    /// Nothing runs yet.
    pub(super) fn new(shared: Shared, published: Option<Name>) -> Self {
        let kept_by_name = Kind::ALL.into_iter().filter(|kind| kind.is_kept_by_name());
        Self {
            shared,
            published,
            wanted: kept_by_name.map(|kind| (kind, Wanted::default())).collect(),
            reflectors: HashMap::new(),
            slots: Arc::new(Semaphore::new(REQUESTS)),
            running: JoinSet::new(),
        }
    }

    /// Does what is wanted.
    pub(super) fn run(&mut self, task: Task) {
        // Those that ended are forgotten.
        while self.running.try_join_next().is_some() {}
        match task {
            Task::Start(id, selection) => self.start(id, selection),
            Task::Stop(id) => {
                if let Some(reflector) = self.reflectors.remove(&id) {
                    reflector.abort();
                }
            }
            Task::Keep(object) => {
                if let Some(wanted) = self.wanted.get(&object.kind) {
                    wanted.insert(object.name);
                }
            }
            Task::Drop(object) => {
                if let Some(wanted) = self.wanted.get(&object.kind) {
                    wanted.remove(&object.name);
                }
            }
            Task::Fetch(object, request) => self.fetch(object, request),
        }
    }

    /// Finds out in which zone we are.
    pub(super) fn find_zone(&mut self, pod: Name) {
        let shared = self.shared.clone();
        self.running.spawn(zone::find(pod, shared));
    }

    fn start(&mut self, id: Id, selection: Selection) {
        let is_alone = matches!(selection.scope, Scope::Named(_));
        let decoder = Decoder {
            kind: selection.kind,
            wanted: self
                .wanted
                .get(&selection.kind)
                .filter(|_| !is_alone)
                .cloned(),
            published: self.published.clone(),
        };
        let relist = Arc::new(Notify::new());
        let reflector = Reflector::new((id, selection), decoder, self.shared.clone(), relist);
        let handle = self.running.spawn(reflector.run());
        self.reflectors.insert(id, handle);
    }

    fn fetch(&mut self, object: ObjectRef, request: u64) {
        let shared = self.shared.clone();
        let slots = self.slots.clone();
        let wanted = self.wanted.get(&object.kind).cloned();
        self.running.spawn(async move {
            let Ok(_slot) = slots.acquire().await else {
                return;
            };
            fetch(object, request, &shared, wanted.as_ref()).await;
        });
    }
}

/// Requests an object until there is a response or the task is dropped. A list of one needs no other permission than
/// watching them all.
async fn fetch(object: ObjectRef, request: u64, shared: &Shared, wanted: Option<&Wanted>) {
    let timing = shared.timing;
    let mut backoff = Backoff::new(timing.first_retry);
    let is_wanted = || wanted.is_none_or(|wanted| wanted.contains(&object.name));
    while is_wanted() && !shared.out.is_closed() {
        match list_one(&object, shared).await {
            Ok(found) => return answer(object, request, found, shared).await,
            // Whoever may watch them all later brings it.
            Err(Failure::Denied(_) | Failure::Unknown(_)) => {
                return answer(object, request, None, shared).await;
            }
            Err(failure) => {
                tracing::debug!(%object, error = %failure, "cannot be read now");
                sleep(timing.wait(&failure, &mut backoff)).await;
            }
        }
    }
}

async fn list_one(object: &ObjectRef, shared: &Shared) -> Result<Option<Decoded>, Failure> {
    let selection = Selection::named(object);
    let request = kube::core::Request::new(selection.path()).list(&selection.list());
    let request = request.map_err(|error| Failure::Invalid(error.to_string()))?;
    let body = send(&shared.client, request, shared.timing.patience).await?;
    let text = collect(body, shared.timing.patience).await?;
    let page = Page::read(&text)?;
    let decoder = Decoder {
        kind: object.kind,
        wanted: None,
        published: None,
    };
    for json in page.items() {
        let (decoded, _) = decoder.decode(json);
        let name = match &decoded {
            Decoded::Read(arrived) => &arrived.name,
            Decoded::Unreadable(name, _) => name,
            Decoded::Unwanted => continue,
        };
        if *name == object.name {
            return Ok(Some(decoded));
        }
    }
    Ok(None)
}

async fn answer(object: ObjectRef, request: u64, found: Option<Decoded>, shared: &Shared) {
    let message = Message {
        arrived: Instant::now(),
        news: News::Fetched(object, request, found),
    };
    // Nobody listens any more when this fails.
    let _ = shared.out.send(message).await;
}
