//! From parsed values to typed objects.

use headgate_compile::{Kind, Object, Whole};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Item;
use super::kind::{Recognized, recognize};
use super::path::Path;
use super::strings::tidy;

/// Lists within lists; one level is what exists.
const MAX_LISTS: usize = 4;
/// Problems told about one document: further ones say nothing new.
const MAX_FAULTS: usize = 100;

/// A value that is wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where it stands.
    pub(crate) path: Path,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Reads the objects out of a document.
#[derive(Default)]
pub(crate) struct Reader {
    /// The objects read.
    pub(crate) items: Vec<Item>,
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
}

/// Where a value stands in the lists around it.
#[derive(Default)]
struct Place {
    path: Path,
    index: Option<usize>,
    lists: usize,
}

impl Reader {
    /// Reads a document.
    pub(crate) fn read(&mut self, value: Value) {
        self.read_value(value, &Place::default());
    }

    fn read_value(&mut self, value: Value, place: &Place) {
        match value {
            Value::Null => {}
            Value::Object(object) => self.read_object(object, place),
            _ => self.fault(
                &place.path,
                "is not a manifest: expected a mapping with apiVersion, kind and metadata",
            ),
        }
    }

    fn read_object(&mut self, object: Map<String, Value>, place: &Place) {
        let Some(kind) = object.get("kind") else {
            // A file of values or settings for some other tool has no apiVersion either.
            if object.contains_key("apiVersion") {
                self.fault(&place.path.key("kind"), "is missing");
            }
            return;
        };
        let Some(kind) = kind.as_str() else {
            return self.fault(&place.path.key("kind"), "is not a string");
        };
        let version = object
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match recognize(version, kind) {
            Recognized::Object(kind) => self.read_known(kind, object, place),
            Recognized::List(kind) => self.read_list(kind, object, place),
            Recognized::Foreign => tracing::debug!(
                api_version = version,
                kind,
                "document of a kind that is not served"
            ),
            Recognized::WrongVersion(kind) => self.wrong_version(kind, version, place),
        }
    }

    fn wrong_version(&mut self, kind: Kind, version: &str, place: &Place) {
        let (name, right) = (kind.as_str(), kind.api_version());
        let what = if version.is_empty() {
            "is missing".to_owned()
        } else {
            format!("{version:?} of {name} is not served")
        };
        self.fault(
            &place.path.key("apiVersion"),
            &format!("{what}: use {right:?}"),
        );
    }

    /// Items of a typed list need not repeat what the list says of them.
    fn read_list(&mut self, kind: Option<Kind>, mut list: Map<String, Value>, place: &Place) {
        let path = place.path.key("items");
        if place.lists == MAX_LISTS {
            return self.fault(&path, "is a list within too many lists");
        }
        let items = match list.remove("items") {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => return,
            Some(_) => return self.fault(&path, "is not a list"),
        };
        for (index, mut item) in items.into_iter().enumerate() {
            if let (Some(kind), Some(object)) = (kind, item.as_object_mut()) {
                object.entry("kind").or_insert_with(|| kind.as_str().into());
                object
                    .entry("apiVersion")
                    .or_insert_with(|| kind.api_version().into());
            }
            self.read_value(
                item,
                &Place {
                    path: path.index(index),
                    index: Some(index),
                    lists: place.lists + 1,
                },
            );
        }
    }

    fn read_known(&mut self, kind: Kind, mut object: Map<String, Value>, place: &Place) {
        let title = title(kind, &object);
        let faults = tidy(kind, &mut object, &place.path);
        if faults.is_empty() {
            let path = &place.path;
            match kind.read(Finish {
                kind,
                value: object,
                path,
            }) {
                Ok(object) => {
                    let (reference, object) = (object.reference(), object);
                    self.items.push(Item {
                        index: place.index,
                        reference,
                        object,
                    });
                }
                Err(fault) => self.fault(&fault.path, &format!("{}{title}", fault.message)),
            }
        }
        for fault in faults {
            self.fault(&fault.path, &format!("{}{title}", fault.message));
        }
    }

    fn fault(&mut self, path: &Path, message: &str) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault {
                path: path.clone(),
                message: message.to_owned(),
            });
        }
    }
}

/// Which object it is about, as far as that can be told; at the end of a message.
fn title(kind: Kind, object: &Map<String, Value>) -> String {
    let metadata = object.get("metadata");
    let text = |key| {
        metadata
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str)
    };
    match (
        text("namespace").filter(|_| kind.is_namespaced()),
        text("name"),
    ) {
        (Some(namespace), Some(name)) => format!(" ({} {namespace}/{name})", kind.as_str()),
        (None, Some(name)) => format!(" ({} {name})", kind.as_str()),
        (_, None) => format!(" ({})", kind.as_str()),
    }
}

/// Makes an object of a value.
struct Finish<'a> {
    kind: Kind,
    value: Map<String, Value>,
    path: &'a Path,
}

impl headgate_compile::Reader for Finish<'_> {
    type Output = Result<Object, Fault>;

    fn read<K: Whole>(self) -> Self::Output {
        let Self { kind, value, path } = self;
        let mut whole: K = deserialize(value, path).map_err(|fault| match kind {
            _ if kind.is_confidential() => without_value(fault),
            _ => fault,
        })?;
        check_names(kind, whole.metadata_mut(), &path.key("metadata"))?;
        Ok(whole.into())
    }
}

fn deserialize<T: DeserializeOwned>(object: Map<String, Value>, path: &Path) -> Result<T, Fault> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| Fault {
        path: path.join(error.path()),
        message: error.inner().to_string(),
    })
}

/// The reason that a deserializer gives can quote the value.
fn without_value(fault: Fault) -> Fault {
    Fault {
        path: fault.path,
        message: "is of the wrong type, or not base64 where it must be".to_owned(),
    }
}

/// Fills in the namespace and refuses names that no API server would have stored: they end up in logs and labels.
fn check_names(kind: Kind, metadata: &mut ObjectMeta, path: &Path) -> Result<(), Fault> {
    let name = metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        return Err(Fault {
            path: path.key("name"),
            message: "is missing".to_owned(),
        });
    }
    check_name(name, 253, &path.key("name"))?;
    if !kind.is_namespaced() {
        metadata.namespace = None;
        return Ok(());
    }
    let namespace = metadata
        .namespace
        .take()
        .filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    check_name(&namespace, 63, &path.key("namespace"))?;
    metadata.namespace = Some(namespace);
    Ok(())
}

fn check_name(name: &str, longest: usize, path: &Path) -> Result<(), Fault> {
    let edge = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let within = |byte: u8| edge(Some(byte)) || byte == b'-' || byte == b'.';
    let right = edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(within);
    if right && name.len() <= longest {
        return Ok(());
    }
    let message = format!(
        "{name:?} is no name: at most {longest} of a-z, 0-9, `-` and `.`, with a letter or digit at both ends"
    );
    Err(Fault {
        path: path.clone(),
        message,
    })
}
