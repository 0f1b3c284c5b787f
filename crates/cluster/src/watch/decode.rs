//! Decodes JSON of the API server into trimmed objects, one by one: an invalid object affects no other.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::{ApiObject, Kind, KindReader, Name, Object};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::statuses::Status;
use crate::gateway_status::ObservedStatus;
use crate::status::PublishService;

/// The referenced names of Secrets or ConfigMaps; other objects are dropped as soon as their name is read.
#[derive(Clone, Default)]
pub(super) struct ReferencedNames(Arc<Mutex<HashSet<Name, RandomState>>>);

impl ReferencedNames {
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

/// Decodes objects of one kind.
pub(super) struct Decoder {
    pub(super) kind: Kind,
    /// Objects with other names are dropped; `None`: none are.
    pub(super) referenced: Option<ReferencedNames>,
    /// The Service whose addresses are published.
    pub(super) published: Option<Name>,
    /// The controller of Gateways whose entries in statuses are observed; `None`: none are.
    pub(super) controller: Option<Arc<str>>,
}

/// The result of decoding an object.
#[derive(Debug)]
pub(super) enum Decoded {
    Object(Box<DecodedObject>),
    /// Nothing refers to it.
    Unreferenced,
    /// It is not a valid object of its kind; why.
    Unreadable(Name, String),
}

/// A trimmed object, and what is kept of it for status writers.
#[derive(Debug)]
pub(super) struct DecodedObject {
    pub(super) name: Name,
    pub(super) object: Object,
    /// Of an Ingress.
    pub(super) status: Option<Status>,
    /// Of the published Service.
    pub(super) published: Option<PublishService>,
    /// Of an object of the Gateway API.
    pub(super) observed: Option<ObservedStatus>,
}

/// Name and version of an object; of many, nothing else is read.
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
        .map_err(|error| Failure::Malformed(format!("an object without metadata: {error}")))?;
    let metadata = head.metadata;
    let name = Name::new(&metadata.namespace, &metadata.name);
    Ok((name, metadata.resource_version))
}

impl Decoder {
    /// Decodes an object; returns its version too, empty if it has none.
    pub(super) fn decode(&self, json: &RawValue) -> (Decoded, String) {
        if let Some(referenced) = &self.referenced {
            let (name, version) = head(json).unwrap_or_else(|_| unnamed());
            if !referenced.contains(&name) {
                return (Decoded::Unreferenced, version);
            }
        }
        let read = self.kind.read(Json {
            text: json.get(),
            published: self.published.as_ref(),
        });
        match read {
            Ok((mut object, version)) => {
                if let Some(controller) = self.controller.as_ref().filter(|_| self.kind.is_custom())
                {
                    object.observed = ObservedStatus::read(self.kind, json.get(), controller);
                }
                (Decoded::Object(Box::new(object)), version)
            }
            Err(error) => {
                let (name, version) = head(json).unwrap_or_else(|_| unnamed());
                (Decoded::Unreadable(name, self.why(&error)), version)
            }
        }
    }

    /// The error; of a confidential object only its column, as messages quote values.
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

/// Name and version of an object without metadata.
fn unnamed() -> (Name, String) {
    (Name::new("", ""), String::new())
}

/// Decodes JSON into the API type of a kind.
struct Json<'a> {
    text: &'a str,
    published: Option<&'a Name>,
}

impl KindReader for Json<'_> {
    type Output = serde_json::Result<(DecodedObject, String)>;

    fn read<K: ApiObject>(self) -> Self::Output {
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
        let decoded = DecodedObject {
            name: object.name(),
            object,
            status,
            published,
            observed: None,
        };
        Ok((decoded, version.unwrap_or_default()))
    }
}

/// A page of a list, its objects not decoded.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default)]
    pub(super) metadata: PageMetadata,
    /// `null` from servers that write no empty lists.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    /// Resource version of the whole list.
    pub(super) resource_version: String,
    /// Token of the next page; empty on the last.
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(text).map_err(|error| Failure::Malformed(error.to_string()))
    }

    pub(super) fn items(&self) -> &[&'a RawValue] {
        self.items.as_deref().unwrap_or_default()
    }
}

/// A line of a watch, its object not decoded.
#[derive(Deserialize)]
pub(super) struct WatchEvent<'a> {
    /// `ADDED` and so on.
    #[serde(rename = "type", borrow)]
    pub(super) event_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

impl<'a> WatchEvent<'a> {
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(text).map_err(|error| Failure::Malformed(error.to_string()))
    }

    /// Whether it is the bookmark that ends the initial events.
    pub(super) fn ends_initial_events(&self) -> bool {
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
            referenced: None,
            published: None,
            controller: None,
        }
    }

    #[test]
    fn an_invalid_object_is_reported_by_name() {
        let bad = r#"{"metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},"spec":{"rules":3}}"#;
        let (decoded, version) = decoder(Kind::Ingress).decode(raw(bad));
        assert_eq!(version, "7");
        let Decoded::Unreadable(name, message) = decoded else {
            unreachable!("a number is not a list of rules");
        };
        assert_eq!(name, Name::new("shop", "web"));
        assert!(message.contains("invalid type"), "{message}");
    }

    #[test]
    fn an_error_about_a_secret_quotes_nothing_of_it() {
        let bad =
            r#"{"metadata":{"name":"cert","namespace":"shop"},"data":{"tls.key":"?private?"}}"#;
        let (decoded, _) = decoder(Kind::Secret).decode(raw(bad));
        let Decoded::Unreadable(_, message) = decoded else {
            unreachable!("this is not base64");
        };
        assert!(
            !message.contains("private") && message.contains("column"),
            "{message}"
        );
    }

    #[test]
    fn json_that_is_not_an_object_is_reported_without_a_name() {
        let (decoded, version) = decoder(Kind::Ingress).decode(raw("42"));
        assert!(matches!(decoded, Decoded::Unreadable(name, _) if name == unnamed().0));
        assert_eq!(version, "");
    }

    #[test]
    fn an_unreferenced_object_is_not_decoded() {
        let secret = r#"{"metadata":{"name":"cert","namespace":"shop"},"data":{"tls.key":"bm8="}}"#;
        let referenced = ReferencedNames::default();
        let decoder = Decoder {
            referenced: Some(referenced.clone()),
            ..decoder(Kind::Secret)
        };
        let decode = || decoder.decode(raw(secret)).0;
        assert!(matches!(decode(), Decoded::Unreferenced));
        referenced.insert(Name::new("shop", "cert"));
        assert!(matches!(decode(), Decoded::Object(_)));
    }

    #[test]
    fn an_annotation_marks_the_end_of_a_streamed_list() {
        let line = |annotations: &str| {
            format!(
                r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"9"{annotations}}}}}}}"#
            )
        };
        let text = line(r#","annotations":{"k8s.io/initial-events-end":"true"}"#);
        assert!(
            WatchEvent::read(text.as_bytes())
                .unwrap()
                .ends_initial_events()
        );
        let text = line("");
        assert!(
            !WatchEvent::read(text.as_bytes())
                .unwrap()
                .ends_initial_events()
        );
    }

    #[test]
    fn an_empty_page_may_have_no_items() {
        let page = Page::read(br#"{"metadata":{"resourceVersion":"5"},"items":null}"#).unwrap();
        assert!(page.items().is_empty());
        assert!(Page::read(b"{\"metadata\":{},\"items\":[{\"a\":").is_err());
    }
}
