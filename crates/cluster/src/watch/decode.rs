//! From JSON of the API server to trimmed objects, one by one: what cannot be read concerns that object alone.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::{Kind, Name, Object, Reader, Whole};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::statuses::Status;
use crate::status::PublishService;

/// Referenced names of Secrets or ConfigMaps; the others are dropped as soon as their name is read.
#[derive(Clone, Default)]
pub(super) struct Wanted(Arc<Mutex<HashSet<Name, RandomState>>>);

impl Wanted {
    pub(super) fn insert(&self, name: Name) {
        self.0.lock().insert(name);
    }

    pub(super) fn remove(&self, name: &Name) {
        self.0.lock().remove(name);
    }

    pub(super) fn contains(&self, name: &Name) -> bool {
        self.0.lock().contains(name)
    }
}

/// Reads objects of one kind.
pub(super) struct Decoder {
    pub(super) kind: Kind,
    /// Objects with other names are not kept; `None`: all are.
    pub(super) wanted: Option<Wanted>,
    /// The Service whose addresses are published.
    pub(super) published: Option<Name>,
}

/// What became of the JSON of an object.
#[derive(Debug)]
pub(super) enum Decoded {
    /// It is this.
    Read(Box<Arrived>),
    /// Nobody names it.
    Unwanted,
    /// It is no object of its kind; why.
    Unreadable(Name, String),
}

/// An object with what is kept beside it.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) name: Name,
    pub(super) object: Object,
    /// Of an Ingress.
    pub(super) status: Option<Status>,
    /// Of the published Service.
    pub(super) published: Option<PublishService>,
}

/// Identity and version of an object; all that is read of many.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: HeadMetadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMetadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(default)]
    resource_version: String,
}

/// Name and version of an object, or of a bookmark, which has no name.
pub(super) fn head(json: &RawValue) -> Result<(Name, String), Failure> {
    let head: Head<'_> = serde_json::from_str(json.get())
        .map_err(|error| Failure::Garbage(format!("an object without metadata: {error}")))?;
    let metadata = head.metadata;
    let name = Name::new(&metadata.namespace, &metadata.name);
    Ok((name, metadata.resource_version))
}

impl Decoder {
    /// Reads an object; and its version, which is empty when it has none.
    pub(super) fn decode(&self, json: &RawValue) -> (Decoded, String) {
        if let Some(wanted) = &self.wanted {
            let (name, version) = head(json).unwrap_or_else(|_| unnamed());
            if !wanted.contains(&name) {
                return (Decoded::Unwanted, version);
            }
        }
        let read = self.kind.read(Json {
            text: json.get(),
            published: self.published.as_ref(),
        });
        match read {
            Ok((arrived, version)) => (Decoded::Read(Box::new(arrived)), version),
            Err(error) => {
                let (name, version) = head(json).unwrap_or_else(|_| unnamed());
                (Decoded::Unreadable(name, self.why(&error)), version)
            }
        }
    }

    /// What is wrong; of a confidential object only where, as messages quote values.
    fn why(&self, error: &serde_json::Error) -> String {
        if self.kind.is_confidential() {
            format!(
                "unexpected content at column {} of its JSON",
                error.column()
            )
        } else {
            error.to_string()
        }
    }
}

/// Stands for an object that does not even say its name.
fn unnamed() -> (Name, String) {
    (Name::new("", ""), String::new())
}

/// Reads JSON as the API's type of a kind.
struct Json<'a> {
    text: &'a str,
    published: Option<&'a Name>,
}

impl Reader for Json<'_> {
    type Output = serde_json::Result<(Arrived, String)>;

    fn read<K: Whole>(self) -> Self::Output {
        let mut whole: K = serde_json::from_str(self.text)?;
        let version = whole.metadata_mut().resource_version.take();
        let any: &dyn Any = &whole;
        let status = any.downcast_ref().map(Status::of);
        let service: Option<&Service> = any.downcast_ref();
        let published = service.filter(|service| {
            self.published
                .is_some_and(|published| *published == Name::of(&service.metadata))
        });
        let published = published.map(PublishService::of);
        let object: Object = whole.into();
        let arrived = Arrived {
            name: object.name(),
            object,
            status,
            published,
        };
        Ok((arrived, version.unwrap_or_default()))
    }
}

/// A page of a list, its objects unread.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default)]
    pub(super) metadata: PageMetadata,
    /// `null` where a server writes no empty lists.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// Of a page.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    /// Version of the whole list.
    pub(super) resource_version: String,
    /// Where the next page begins; empty on the last.
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

impl<'a> Page<'a> {
    /// Reads a page.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(text).map_err(|error| Failure::Garbage(error.to_string()))
    }

    /// Its objects.
    pub(super) fn items(&self) -> &[&'a RawValue] {
        self.items.as_deref().unwrap_or_default()
    }
}

/// An event of a watch, its object unread.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    /// `ADDED` and so on.
    #[serde(rename = "type", borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(text).map_err(|error| Failure::Garbage(error.to_string()))
    }

    /// Whether it is the bookmark that ends the initial events.
    pub(super) fn ends_the_list(&self) -> bool {
        #[derive(Deserialize)]
        struct Bookmark {
            #[serde(default)]
            metadata: ObjectMeta,
        }
        let bookmark = serde_json::from_str::<Bookmark>(self.object.get());
        let annotations = bookmark
            .ok()
            .and_then(|bookmark| bookmark.metadata.annotations);
        annotations.is_some_and(|all| {
            let mark = all.get("k8s.io/initial-events-end");
            mark.is_some_and(|value| value == "true")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    fn decoder(kind: Kind) -> Decoder {
        Decoder {
            kind,
            wanted: None,
            published: None,
        }
    }

    #[test]
    fn an_object_of_the_wrong_shape_is_told_by_name() {
        let bad = r#"{"metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},"spec":{"rules":3}}"#;
        let (decoded, version) = decoder(Kind::Ingress).decode(raw(bad));
        assert_eq!(version, "7");
        let Decoded::Unreadable(name, message) = decoded else {
            unreachable!("a number is no list of rules");
        };
        assert_eq!(name, Name::new("shop", "web"));
        assert!(message.contains("invalid type"), "{message}");
    }

    #[test]
    fn what_is_wrong_with_a_secret_quotes_nothing_of_it() {
        let bad =
            r#"{"metadata":{"name":"cert","namespace":"shop"},"data":{"tls.key":"?private?"}}"#;
        let (decoded, _) = decoder(Kind::Secret).decode(raw(bad));
        let Decoded::Unreadable(_, message) = decoded else {
            unreachable!("this is no base64");
        };
        assert!(
            !message.contains("private") && message.contains("column"),
            "{message}"
        );
    }

    #[test]
    fn what_is_no_object_at_all_is_told_without_a_name() {
        let (decoded, version) = decoder(Kind::Ingress).decode(raw("42"));
        assert!(matches!(decoded, Decoded::Unreadable(name, _) if name == unnamed().0));
        assert_eq!(version, "");
    }

    #[test]
    fn what_nobody_names_is_not_read() {
        // Not even its data have to make sense.
        let secret = r#"{"metadata":{"name":"cert","namespace":"shop"},"data":{"tls.key":"bm8="}}"#;
        let wanted = Wanted::default();
        let decoder = Decoder {
            wanted: Some(wanted.clone()),
            ..decoder(Kind::Secret)
        };
        assert!(matches!(decoder.decode(raw(secret)).0, Decoded::Unwanted));
        wanted.insert(Name::new("shop", "cert"));
        assert!(matches!(decoder.decode(raw(secret)).0, Decoded::Read(_)));
    }

    #[test]
    fn the_end_of_a_streamed_list_is_told_by_its_annotation() {
        let line = |annotations: &str| {
            format!(
                r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"9"{annotations}}}}}}}"#
            )
        };
        let text = line(r#","annotations":{"k8s.io/initial-events-end":"true"}"#);
        assert!(Line::read(text.as_bytes()).unwrap().ends_the_list());
        assert!(!Line::read(line("").as_bytes()).unwrap().ends_the_list());
    }

    #[test]
    fn an_empty_page_may_have_no_items() {
        let page = Page::read(br#"{"metadata":{"resourceVersion":"5"},"items":null}"#).unwrap();
        assert!(page.items().is_empty());
        assert!(Page::read(b"{\"metadata\":{},\"items\":[{\"a\":").is_err());
    }
}
