//! Getting and listing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::encode::Form;
use super::failure::Failure;
use super::kinds::Kind;
use super::request_info::RequestInfo;
use super::selectors::Selection;
use super::shared::Shared;
use super::store::{Collection, Store};
use super::stored::{Key, Stored};

/// The object that a request names.
pub(crate) fn one(
    shared: &Shared,
    kind: &Kind,
    info: &RequestInfo,
) -> Result<Arc<Stored>, Failure> {
    let key = info.key();
    shared
        .find(kind.storage(), &key)
        .ok_or_else(|| Failure::not_found(kind, &key.name))
}

/// A page of a list.
pub(crate) fn list(shared: &Shared, kind: &Kind, info: &RequestInfo) -> Result<Bytes, Failure> {
    let selection = info.selection(kind)?;
    let request = PageRequest::read(info)?;
    let state = shared.state();
    let page = page(&state.store, kind, &selection, &request)?;
    drop(state);
    let mut metadata = json!({"resourceVersion": page.version.to_string()});
    if let Some(next) = page.next {
        metadata["continue"] = next.token().into();
        if selection.is_whole() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    let form = Form::accepted(&info.accept);
    Ok(form.list(kind, &metadata, page.items.iter().map(Arc::as_ref)))
}

/// The options of a list that select a page.
struct PageRequest {
    limit: usize,
    continues: Option<Continue>,
    /// The exact version to list.
    exact: Option<u64>,
    /// The minimum version to list.
    at_least: u64,
}

/// Content of a continue token: a page begins after this object, at that version.
struct Continue {
    version: u64,
    after: Key,
}

struct Page {
    version: u64,
    items: Vec<Arc<Stored>>,
    next: Option<Continue>,
    remaining: usize,
}

impl PageRequest {
    fn read(info: &RequestInfo) -> Result<Self, Failure> {
        let query = &info.query;
        let version = query.number("resourceVersion")?.unwrap_or(0);
        let matching = query.text("resourceVersionMatch");
        let token = query.text("continue");
        let limit = query.number("limit")?.unwrap_or(0);
        if !token.is_empty() && version > 0 {
            return Err(Failure::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        if !matching.is_empty() && !query.has("resourceVersion") {
            return Err(Failure::invalid_options(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        // A version with a limit and no match rule means exactly that version, as in kube-apiserver.
        let exact = matching == "Exact" || (matching.is_empty() && limit > 0);
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            continues: (!token.is_empty())
                .then(|| Continue::read(token))
                .transpose()?,
            exact: (exact && version > 0).then_some(version),
            at_least: version,
        })
    }
}

impl Continue {
    fn token(&self) -> String {
        let text = json!({"v": "meta.k8s.io/v1", "rv": self.version, "start": [self.after.namespace, self.after.name]});
        URL_SAFE_NO_PAD.encode(text.to_string())
    }

    fn read(token: &str) -> Result<Self, Failure> {
        let read = || {
            let text = URL_SAFE_NO_PAD.decode(token).ok()?;
            let value: Value = serde_json::from_slice(&text).ok()?;
            Some(Self {
                version: value["rv"].as_u64()?,
                after: Key::new(value["start"][0].as_str()?, value["start"][1].as_str()?),
            })
        };
        read().ok_or_else(|| Failure::bad_request("continue key is not valid"))
    }
}

fn page(
    store: &Store,
    kind: &Kind,
    selection: &Selection,
    request: &PageRequest,
) -> Result<Page, Failure> {
    let collection = store.collection(kind.storage());
    if request.at_least > store.version() {
        return Err(Failure::too_new(request.at_least, store.version()));
    }
    let version = match &request.continues {
        Some(start) => start.version,
        None => request.exact.unwrap_or_else(|| store.version()),
    };
    if version < collection.floor() || version > store.version() {
        return Err(Failure::expired(match request.continues {
            Some(_) => {
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter."
            }
            None => "The resourceVersion for the provided list is too old.",
        }));
    }
    let after = request.continues.as_ref().map(|start| &start.after);
    let limit = if request.limit == 0 {
        usize::MAX
    } else {
        request.limit
    };
    let mut rest = past(collection, selection, after, version);
    let items: Vec<_> = rest.by_ref().take(limit).collect();
    let remaining = rest.count();
    let next = match items.last() {
        Some(last) if remaining > 0 => Some(Continue {
            version,
            after: last.key.clone(),
        }),
        _ => None,
    };
    Ok(Page {
        version,
        items,
        next,
        remaining,
    })
}

/// The selected objects at a version, in order.
fn past<'a>(
    collection: &'a Collection,
    selection: &'a Selection,
    after: Option<&'a Key>,
    version: u64,
) -> Box<dyn Iterator<Item = Arc<Stored>> + 'a> {
    let namespace = selection.namespace.as_deref();
    let then = collection.differences(version);
    let present = collection.range(namespace, after);
    if then.is_empty() {
        return Box::new(present.filter(|stored| selection.has(stored)).cloned());
    }
    let mut all: BTreeMap<Key, Arc<Stored>> = present
        .map(|stored| (stored.key.clone(), stored.clone()))
        .collect();
    for (key, state) in then {
        if after.is_some_and(|after| key <= *after) {
            continue;
        }
        match (all.entry(key), state) {
            (Entry::Occupied(entry), None) => {
                entry.remove();
            }
            (Entry::Occupied(mut entry), Some(stored)) => {
                entry.insert(stored);
            }
            (Entry::Vacant(entry), Some(stored)) => {
                entry.insert(stored);
            }
            (Entry::Vacant(_), None) => {}
        }
    }
    Box::new(all.into_values().filter(|stored| selection.has(stored)))
}

/// The selected objects at the latest version.
pub(crate) fn selected(store: &Store, kind: &Kind, selection: &Selection) -> Vec<Arc<Stored>> {
    let collection = store.collection(kind.storage());
    if let Some(key) = selection.key() {
        let found = store.get(kind.storage(), &key);
        return found
            .filter(|stored| selection.has(stored))
            .cloned()
            .into_iter()
            .collect();
    }
    collection
        .range(selection.namespace.as_deref(), None)
        .filter(|stored| selection.has(stored))
        .cloned()
        .collect()
}
