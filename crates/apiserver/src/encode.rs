//! Encoding of objects and lists: complete, as metadata only, or as tables.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::convert;
use super::failure::Failure;
use super::kinds::Kind;
use super::stored::Stored;
use super::table;

/// The form that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Objects.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`, for kubectl.
    Table,
}

impl Form {
    /// The first acceptable form that is supported.
    pub(crate) fn accepted(accept: &str) -> Self {
        for media in accept.split(',') {
            if media.contains("protobuf") {
                continue;
            }
            let has = |what: &str| media.split(';').any(|part| part.trim() == what);
            if has("as=PartialObjectMetadata") || has("as=PartialObjectMetadataList") {
                return Self::Metadata;
            }
            if has("as=Table") {
                return Self::Table;
            }
            return Self::Whole;
        }
        Self::Whole
    }

    /// An object.
    pub(crate) fn object(self, kind: &Kind, stored: &Stored) -> Bytes {
        match self {
            Self::Whole => complete(kind, &item(kind, stored)),
            Self::Metadata => bytes(&partial(stored)),
            Self::Table => bytes(&table::of(
                kind,
                [stored],
                &json!({"resourceVersion": stored.version.to_string()}),
            )),
        }
    }

    /// A list with its metadata.
    pub(crate) fn list<'a>(
        self,
        kind: &Kind,
        metadata: &Value,
        items: impl ExactSizeIterator<Item = &'a Stored>,
    ) -> Bytes {
        match self {
            Self::Whole => whole_list(kind, metadata, items),
            Self::Metadata => bytes(&json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "items": items.map(partial).collect::<Vec<_>>(),
            })),
            Self::Table => bytes(&table::of(kind, items, metadata)),
        }
    }

    /// The object of a bookmark.
    pub(crate) fn bookmark(self, kind: &Kind, version: u64, annotations: Option<Value>) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        bytes(&match self {
            Self::Whole => {
                json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata})
            }
            Self::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Self::Table => {
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": null, "rows": []})
            }
        })
    }
}

/// `{"type":…,"object":…}` and the end of its line.
pub(crate) fn event(to: &mut BytesMut, name: &str, object: &[u8]) {
    to.put_slice(b"{\"type\":\"");
    to.put_slice(name.as_bytes());
    to.put_slice(b"\",\"object\":");
    to.put_slice(object);
    to.put_slice(b"}\n");
}

/// An ERROR event.
pub(crate) fn error_event(to: &mut BytesMut, failure: &Failure) {
    event(to, "ERROR", &bytes(&failure.status()));
}

/// A value as JSON.
pub(crate) fn bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// An object without `apiVersion` and `kind`, in the form of the requested kind.
fn item(kind: &Kind, stored: &Stored) -> Bytes {
    if kind.is_new_event() {
        return bytes(&Value::Object(convert::to_new_event(stored.object())));
    }
    stored.json.clone()
}

fn complete(kind: &Kind, item: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(item.len() + 80);
    whole.put_slice(b"{\"kind\":\"");
    whole.put_slice(kind.kind.as_bytes());
    whole.put_slice(b"\",\"apiVersion\":\"");
    whole.put_slice(kind.api_version().as_bytes());
    whole.put_slice(b"\",");
    whole.put_slice(item.get(1..).unwrap_or_default());
    whole.freeze()
}

fn whole_list<'a>(
    kind: &Kind,
    metadata: &Value,
    items: impl ExactSizeIterator<Item = &'a Stored>,
) -> Bytes {
    let mut list = BytesMut::new();
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        kind.kind,
        kind.api_version()
    );
    list.put_slice(head.as_bytes());
    for (index, stored) in items.enumerate() {
        if index > 0 {
            list.put_u8(b',');
        }
        list.put_slice(&item(kind, stored));
    }
    list.put_slice(b"]}");
    list.freeze()
}

/// The metadata of an object, as an object.
pub(crate) fn partial(stored: &Stored) -> Value {
    let mut object: Map<String, Value> = stored.object();
    let metadata = object.remove("metadata").unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}
