//! From parsed values to typed objects.

use headgate_compile::{ApiObject, Kind, KindReader, Object, Workload};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Track;

use super::Item;
use super::kind::{Recognized, recognize};
use super::path::Path;
use super::strings::normalize;
use super::unknown::{misplaced_annotations, notice};

/// Maximum depth of lists in lists; in practice there is one level.
const MAX_LISTS: usize = 4;
/// Maximum of errors reported for one document: more would say nothing new.
const MAX_FAULTS: usize = 100;

/// The fields by which an Ingress of v1beta1 differs from one of v1.
const INGRESS_CHANGES: &str = ", in which serviceName is service.name, servicePort is service.port.number or .name, \
                               spec.backend is spec.defaultBackend, and each path needs a pathType";

/// An invalid value.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: Path,
    pub(crate) message: String,
}

/// Collects the objects of a document.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) items: Vec<Item>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) notices: Vec<Fault>,
    pub(crate) workloads: Vec<Workload>,
    wants_workloads: bool,
}

impl Reader {
    /// Also collects the workloads of ingress-nginx.
    pub(crate) fn with_workloads() -> Self {
        Self {
            wants_workloads: true,
            ..Self::default()
        }
    }

    /// Whether documents of this kind may be of a wanted workload.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.wants_workloads && Workload::KINDS.contains(&kind)
    }

    pub(crate) fn read(&mut self, value: Value) {
        self.read_value(value, &Path::default());
    }

    fn read_value(&mut self, value: Value, path: &Path) {
        match value {
            Value::Null => {}
            Value::Object(object) => self.read_object(object, path),
            _ => self.fault(
                path,
                "is not a manifest: expected a mapping with apiVersion, kind and metadata",
            ),
        }
    }

    fn read_object(&mut self, object: Map<String, Value>, path: &Path) {
        let Some(kind) = object.get("kind") else {
            // Values or settings of other tools have no apiVersion either.
            if object.contains_key("apiVersion") {
                self.fault(&path.key("kind"), "is missing");
            }
            return;
        };
        let Some(kind) = kind.as_str() else {
            return self.fault(&path.key("kind"), "is not a string");
        };
        let version = object
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match recognize(version, kind) {
            Recognized::Unsupported if version == "apps/v1" && self.wants(kind) => {
                let known = Workload::KINDS.into_iter().find(|known| *known == kind);
                let read = |kind| Workload::read(kind, Value::Object(object));
                let workload = known.and_then(read);
                self.workloads.extend(workload);
            }
            Recognized::Object(kind) => self.read_supported(kind, object, path),
            Recognized::List(kind) => self.read_list(kind, object, path),
            Recognized::Unsupported => tracing::debug!(
                api_version = version,
                kind,
                "ignored a document of an unsupported kind"
            ),
            Recognized::WrongVersion(kind) => self.wrong_version(kind, version, path),
        }
    }

    fn wrong_version(&mut self, kind: Kind, version: &str, path: &Path) {
        let (name, served) = (kind.as_str(), kind.api_version());
        let problem = if version.is_empty() {
            "is missing".to_owned()
        } else {
            format!("{version:?} of {name} is not served")
        };
        let changed = match kind {
            Kind::Ingress => INGRESS_CHANGES,
            _ => "",
        };
        self.fault(
            &path.key("apiVersion"),
            &format!("{problem}: use {served:?}{changed}"),
        );
    }

    /// Items of a typed list may omit kind and apiVersion.
    fn read_list(&mut self, kind: Option<Kind>, mut list: Map<String, Value>, path: &Path) {
        let lists = path.indices().count();
        let path = path.key("items");
        if lists == MAX_LISTS {
            return self.fault(&path, "is nested in too many lists");
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
            self.read_value(item, &path.index(index));
        }
    }

    fn read_supported(&mut self, kind: Kind, mut object: Map<String, Value>, path: &Path) {
        let title = title(kind, &object);
        let mut faults = misplaced_annotations(kind, &object, path);
        faults.extend(normalize(kind, &mut object, path));
        if faults.is_empty() {
            match kind.read(Decode {
                kind,
                value: object,
                path,
            }) {
                Ok((object, unknown)) => {
                    let notices = unknown.into_iter().map(|field| notice(path, field));
                    let notices = notices.map(|notice| Fault {
                        message: format!("{}{title}", notice.message),
                        ..notice
                    });
                    let room = MAX_FAULTS.saturating_sub(self.notices.len());
                    self.notices.extend(notices.take(room));
                    self.items.push(Item {
                        indices: path.indices().collect(),
                        reference: object.reference(),
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

/// Kind and name of the object, as far as known, for the end of a message.
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

/// Decodes a value as the API's type of its kind.
struct Decode<'a> {
    kind: Kind,
    value: Map<String, Value>,
    path: &'a Path,
}

impl KindReader for Decode<'_> {
    /// The object, and the fields that its type does not have.
    type Output = Result<(Object, Vec<Path>), Fault>;

    fn read<K: ApiObject>(self) -> Self::Output {
        let Self {
            kind,
            mut value,
            path,
        } = self;
        if kind.is_custom() {
            // Their types have only what is read of them.
            for known in ["apiVersion", "kind", "status"] {
                value.remove(known);
            }
        }
        let (mut object, unknown) = deserialize::<K>(value, path).map_err(|fault| match kind {
            _ if kind.is_confidential() => without_value(fault),
            _ => fault,
        })?;
        check_names(kind, object.metadata_mut(), &path.key("metadata"))?;
        Ok((object.into(), unknown))
    }
}

/// The object, and its unknown fields.
fn deserialize<T: DeserializeOwned>(
    object: Map<String, Value>,
    path: &Path,
) -> Result<(T, Vec<Path>), Fault> {
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(Value::Object(object), &mut track);
    let read = serde_ignored::deserialize(deserializer, |field| {
        if unknown.len() < MAX_FAULTS {
            unknown.push(path.join_ignored(&field));
        }
    });
    match read {
        Ok(object) => Ok((object, unknown)),
        Err(error) => Err(Fault {
            path: path.join(&track.path()),
            message: error.to_string(),
        }),
    }
}

/// Replaces the message of the deserializer, which can quote the value.
fn without_value(fault: Fault) -> Fault {
    Fault {
        path: fault.path,
        message: "is of the wrong type, or not base64 where it must be".to_owned(),
    }
}

/// Defaults the namespace and rejects names that an API server would reject: they end up in logs and labels.
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

fn check_name(name: &str, max_length: usize, path: &Path) -> Result<(), Fault> {
    let edge = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let within = |byte: u8| edge(Some(byte)) || byte == b'-' || byte == b'.';
    let is_valid =
        edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(within);
    if is_valid && name.len() <= max_length {
        return Ok(());
    }
    let message = format!(
        "{name:?} is not a valid name: at most {max_length} of a-z, 0-9, `-` and `.`, with a letter or digit at both ends"
    );
    Err(Fault {
        path: path.clone(),
        message,
    })
}
