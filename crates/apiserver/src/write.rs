//! Writing: creation, update, patch and deletion, each from the request to the store.

mod delete;

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

pub(crate) use self::delete::{all, one as delete, remove};
use super::admission;
use super::apply;
use super::defaults;
use super::failure::Failure;
use super::kinds::{self, Kind};
use super::managers::{self, Writer};
use super::patch::{self, Patch};
use super::prepare::{self, Object};
use super::rbac;
use super::request_info::RequestInfo;
use super::shared::Shared;
use super::stored::{Key, Stored};
use super::users::User;
use super::validate;
use super::workloads;

/// Maximum of attempts after conflicts, as in kube-apiserver.
const MAX_ATTEMPTS: usize = 5;

/// A write: its kind, request and user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) kind: &'static Kind,
    pub(crate) info: &'a RequestInfo,
    pub(crate) user: &'a User,
}

/// The result of a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) status: StatusCode,
    pub(crate) stored: Arc<Stored>,
    pub(crate) warnings: Vec<String>,
}

/// Creates an object.
pub(crate) async fn create(caller: Caller<'_>, body: Value) -> Result<Written, Failure> {
    let kind = caller.kind;
    let mut object = prepare::typed(kind, body)?;
    if !prepare::metadata_text(&object, "resourceVersion").is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Failure::new(500, "", message));
    }
    prepare::set_key(kind, &mut object, &caller.info.key())?;
    if kind.has_status() {
        object.remove("status");
    }
    let writer = caller.writer("Update");
    new(caller, object, &writer).await
}

/// Replaces an object.
pub(crate) async fn update(caller: Caller<'_>, body: Value) -> Result<Written, Failure> {
    let (kind, key) = (caller.kind, caller.info.key());
    let mut object = prepare::typed(kind, body)?;
    prepare::set_key(kind, &mut object, &key)?;
    let before = caller.current()?;
    let conditional = !prepare::metadata_text(&object, "resourceVersion").is_empty();
    let writer = caller.writer("Update");
    let mut before = before;
    for _ in 0..MAX_ATTEMPTS {
        match change(caller, &before, object.clone(), &writer).await? {
            Some(written) => return Ok(written),
            None if conditional => break,
            None => before = caller.current()?,
        }
    }
    Err(Failure::stale(kind, &key.name))
}

/// Patches an object; server-side apply creates it.
pub(crate) async fn patch(caller: Caller<'_>, body: &[u8]) -> Result<Written, Failure> {
    let (kind, key) = (caller.kind, caller.info.key());
    let patch = Patch::read(&caller.info.content_type, body)?;
    for _ in 0..MAX_ATTEMPTS {
        let before = caller.shared.find(kind.storage(), &key);
        let written = match (&patch, before) {
            (Patch::Apply(config), before) => apply_once(caller, config, before).await?,
            (_, Some(before)) => {
                let whole = before.value(kind);
                let patched = patch::apply(kind, &patch, whole)?;
                let mut object = prepare::typed(kind, patched)?;
                prepare::set_key(kind, &mut object, &key)?;
                let writer = caller.writer("Update");
                change(caller, &before, object, &writer).await?
            }
            (_, None) => return Err(Failure::not_found(kind, &key.name)),
        };
        if let Some(written) = written {
            return Ok(written);
        }
    }
    Err(Failure::stale(kind, &key.name))
}

async fn apply_once(
    caller: Caller<'_>,
    config: &Value,
    before: Option<Arc<Stored>>,
) -> Result<Option<Written>, Failure> {
    let (kind, key) = (caller.kind, caller.info.key());
    let config = apply::read(caller, config, &key)?;
    let writer = caller.writer("Apply");
    let Some(before) = before else {
        if !caller.info.subresource.is_empty() {
            return Err(Failure::not_found(kind, &key.name));
        }
        rbac::permit(caller.shared, caller.user, &caller.info.as_creation())?;
        let mut object = config.clone();
        if kind.has_status() {
            object.remove("status");
        }
        managers::applied(kind, &mut object, &config, &writer);
        return new(caller, object, &writer).await.map(Some);
    };
    let merged = apply::merge(
        kind,
        &before,
        &config,
        &writer,
        caller.info.query.is("force"),
    )?;
    change(caller, &before, merged, &writer).await
}

async fn new(caller: Caller<'_>, mut object: Object, writer: &Writer) -> Result<Written, Failure> {
    let (shared, kind) = (caller.shared, caller.kind);
    let identity = shared.state().store.identity();
    prepare::new(kind, &mut object, identity);
    defaults::fill(kind, &mut object);
    validate::check(kind, &object, None)?;
    if writer.operation == "Update" {
        prepare::metadata(&mut object).remove("managedFields");
        managers::updated(kind, None, &mut object, writer);
    }
    let warnings = admission::review(caller, None, Some(&object)).await?;
    if caller.info.query.dry_run() {
        let stored = Arc::new(Stored::new(kind, object, 0));
        return Ok(Written {
            status: StatusCode::CREATED,
            stored,
            warnings,
        });
    }
    let stored = insert(shared, kind, object)?;
    Ok(Written {
        status: StatusCode::CREATED,
        stored,
        warnings,
    })
}

/// Replaces `before` by `object`; `None`: there was another write meanwhile.
async fn change(
    caller: Caller<'_>,
    before: &Arc<Stored>,
    mut object: Object,
    writer: &Writer,
) -> Result<Option<Written>, Failure> {
    let (shared, kind) = (caller.shared, caller.kind);
    prepare::next(kind, before, &mut object, &caller.info.subresource)?;
    defaults::fill(kind, &mut object);
    let old = before.object();
    validate::check(kind, &object, Some(&old))?;
    if writer.operation == "Update" {
        managers::updated(kind, Some(&old), &mut object, writer);
    }
    let warnings = admission::review(caller, Some(&old), Some(&object)).await?;
    let status = StatusCode::OK;
    let unchanged = prepare::same(&old, &object)
        && (writer.operation == "Update" || managers::same(&old, &object));
    if unchanged {
        let stored = before.clone();
        return Ok(Some(Written {
            status,
            stored,
            warnings,
        }));
    }
    if caller.info.query.dry_run() {
        let stored = Arc::new(Stored::new(kind, object, before.version));
        return Ok(Some(Written {
            status,
            stored,
            warnings,
        }));
    }
    let stored = replace(shared, kind, before, object);
    Ok(stored.map(|stored| Written {
        status,
        stored,
        warnings,
    }))
}

/// Stores a new object.
pub(crate) fn insert(shared: &Shared, kind: &Kind, object: Object) -> Result<Arc<Stored>, Failure> {
    let key = Key::new(
        prepare::metadata_text(&object, "namespace"),
        prepare::metadata_text(&object, "name"),
    );
    let mut state = shared.state();
    if state.store.get(kind.storage(), &key).is_some() {
        return Err(Failure::already_exists(kind, &key.name));
    }
    if kind.namespaced {
        ensure_namespace(shared, &mut state, &key.namespace)?;
    }
    let stored = state.store.put(kind.storage(), object);
    let stored = workloads::play(shared, &mut state, kind, stored);
    drop(state);
    shared.changed().notify_all();
    Ok(stored)
}

/// Stores the next state of an object; `None`: its version changed meanwhile.
pub(crate) fn replace(
    shared: &Shared,
    kind: &Kind,
    before: &Stored,
    object: Object,
) -> Option<Arc<Stored>> {
    let mut state = shared.state();
    let current = state.store.get(kind.storage(), &before.key)?;
    if current.version != before.version {
        return None;
    }
    let is_deleted = !prepare::metadata_text(&object, "deletionTimestamp").is_empty();
    let stored = state.store.put(kind.storage(), object);
    let stored = if is_deleted && !delete::has_finalizers(&stored) {
        state.store.remove(kind.storage(), &before.key)?
    } else {
        workloads::play(shared, &mut state, kind, stored)
    };
    drop(state);
    shared.changed().notify_all();
    Some(stored)
}

fn ensure_namespace(
    shared: &Shared,
    state: &mut super::shared::State,
    namespace: &str,
) -> Result<(), Failure> {
    let kind = kinds::by_name("Namespace");
    if state
        .store
        .get(kind.storage(), &Key::new("", namespace))
        .is_some()
    {
        return Ok(());
    }
    if shared.options.namespaces_must_exist {
        return Err(Failure::not_found(kind, namespace));
    }
    let mut object = Object::new();
    prepare::metadata(&mut object).insert("name".to_owned(), namespace.into());
    let identity = state.store.identity();
    prepare::new(kind, &mut object, identity);
    defaults::fill(kind, &mut object);
    state.store.put(kind.storage(), object);
    Ok(())
}

impl Caller<'_> {
    fn current(&self) -> Result<Arc<Stored>, Failure> {
        super::read::one(self.shared, self.kind, self.info)
    }

    fn writer(&self, operation: &'static str) -> Writer {
        Writer {
            manager: self.info.manager(),
            operation,
            subresource: self.info.subresource.clone(),
            api_version: self.kind.api_version(),
        }
    }
}
