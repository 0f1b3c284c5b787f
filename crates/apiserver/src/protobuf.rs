//! The few objects that kubectl always sends as protobuf: those of `kubectl create configmap`, `secret`, `namespace`,
//! `serviceaccount` and `token`, and of `kubectl auth`. Everything else must be JSON.
//!
//! Numbers of fields are those of the published `generated.proto` files of Kubernetes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The first bytes of a protobuf body.
const MAGIC: &[u8] = b"k8s\0";

/// Encoding of a field.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    Texts,
    Bytes,
    Number,
    Bool,
    Message(&'static [Field]),
    Messages(&'static [Field]),
    TextMap,
    BytesMap,
}

/// A field: number, name, shape.
type Field = (u64, &'static str, Shape);

const METADATA: &[Field] = &[
    (1, "name", Shape::Text),
    (2, "generateName", Shape::Text),
    (3, "namespace", Shape::Text),
    (11, "labels", Shape::TextMap),
    (12, "annotations", Shape::TextMap),
    (14, "finalizers", Shape::Texts),
];
const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Shape::Message(METADATA)),
    (2, "data", Shape::TextMap),
    (3, "binaryData", Shape::BytesMap),
    (4, "immutable", Shape::Bool),
];
const SECRET: &[Field] = &[
    (1, "metadata", Shape::Message(METADATA)),
    (2, "data", Shape::BytesMap),
    (3, "type", Shape::Text),
    (4, "stringData", Shape::TextMap),
    (5, "immutable", Shape::Bool),
];
const SERVICE_ACCOUNT: &[Field] = &[
    (1, "metadata", Shape::Message(METADATA)),
    (
        3,
        "imagePullSecrets",
        Shape::Messages(&[(1, "name", Shape::Text)]),
    ),
    (4, "automountServiceAccountToken", Shape::Bool),
];
const ONLY_METADATA: &[Field] = &[(1, "metadata", Shape::Message(METADATA))];
const TOKEN_REQUEST: &[Field] = &[(
    2,
    "spec",
    Shape::Message(&[
        (1, "audiences", Shape::Texts),
        (4, "expirationSeconds", Shape::Number),
    ]),
)];
const ACCESS_REVIEW: &[Field] = &[(
    2,
    "spec",
    Shape::Message(&[
        (
            1,
            "resourceAttributes",
            Shape::Message(&[
                (1, "namespace", Shape::Text),
                (2, "verb", Shape::Text),
                (3, "group", Shape::Text),
                (4, "version", Shape::Text),
                (5, "resource", Shape::Text),
                (6, "subresource", Shape::Text),
                (7, "name", Shape::Text),
            ]),
        ),
        (
            2,
            "nonResourceAttributes",
            Shape::Message(&[(1, "path", Shape::Text), (2, "verb", Shape::Text)]),
        ),
    ]),
)];

fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Namespace" | "SelfSubjectReview" => ONLY_METADATA,
        "TokenRequest" => TOKEN_REQUEST,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        _ => return None,
    })
}

/// Decodes a body; `None`: it is of another kind, or malformed.
pub(crate) fn read(body: &[u8]) -> Option<Value> {
    let unknown = body.strip_prefix(MAGIC)?;
    let (mut kind, mut version, mut raw) = (String::new(), String::new(), None);
    for part in Parts(unknown) {
        match part? {
            (1, Wire::Bytes(meta)) => {
                for part in Parts(meta) {
                    match part? {
                        (1, Wire::Bytes(text)) => version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = Some(bytes),
            _ => {}
        }
    }
    let mut object = message(fields(&kind)?, raw?)?;
    object.insert("apiVersion".to_owned(), version.into());
    object.insert("kind".to_owned(), kind.into());
    Some(Value::Object(object))
}

fn message(fields: &[Field], bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for part in Parts(bytes) {
        let (number, wire) = part?;
        let Some((_, name, shape)) = fields.iter().find(|(known, ..)| *known == number) else {
            continue;
        };
        match (shape, wire) {
            // Empty means absent.
            (Shape::Text, Wire::Bytes(b"")) => {}
            (Shape::Texts, Wire::Bytes(text)) => push(&mut object, name, utf8(text)?.into()),
            (Shape::Messages(fields), Wire::Bytes(bytes)) => {
                push(&mut object, name, Value::Object(message(fields, bytes)?));
            }
            (Shape::TextMap, Wire::Bytes(entry)) => insert(&mut object, name, entry, Shape::Text)?,
            (Shape::BytesMap, Wire::Bytes(entry)) => {
                insert(&mut object, name, entry, Shape::Bytes)?
            }
            (shape, wire) => {
                object.insert((*name).to_owned(), single(*shape, wire)?);
            }
        }
    }
    Some(object)
}

fn single(shape: Shape, wire: Wire<'_>) -> Option<Value> {
    Some(match (shape, wire) {
        (Shape::Text, Wire::Bytes(text)) => utf8(text)?.into(),
        (Shape::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Shape::Message(fields), Wire::Bytes(bytes)) => Value::Object(message(fields, bytes)?),
        (Shape::Number, Wire::Number(number)) => number.into(),
        (Shape::Bool, Wire::Number(number)) => (number != 0).into(),
        _ => return None,
    })
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    let list = object
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(value);
    }
}

/// An entry of a map: a message of key and value.
fn insert(object: &mut Map<String, Value>, name: &str, entry: &[u8], shape: Shape) -> Option<()> {
    let (mut key, mut value) = (String::new(), single(shape, Wire::Bytes(b""))?);
    for part in Parts(entry) {
        match part? {
            (1, Wire::Bytes(text)) => key = utf8(text)?,
            (2, wire) => value = single(shape, wire)?,
            _ => {}
        }
    }
    let map = object
        .entry(name)
        .or_insert_with(|| Value::Object(Map::new()));
    map.as_object_mut()?.insert(key, value);
    Some(())
}

fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// A value on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The numbered values of a message; an item of `None`: it is malformed.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part)
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.number()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Bytes(self.bytes(8)?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_map_is_decoded_and_a_truncated_one_is_not() {
        let meta = b"\x0a\x02v1\x12\x09ConfigMap";
        let raw = b"\x0a\x03\x0a\x01n\x12\x06\x0a\x01a\x12\x01b";
        let mut body = MAGIC.to_vec();
        body.extend([0x0a, meta.len() as u8]);
        body.extend(meta);
        body.extend([0x12, raw.len() as u8]);
        body.extend(raw);
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": {"a": "b"}});
        assert_eq!(read(&body), Some(expected));
        for length in 0..body.len() {
            assert_ne!(read(&body[..length]), read(&body), "{length}");
        }
    }
}
