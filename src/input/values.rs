//! The values of the ingress-nginx chart: the schema of Headgate's chart says what each of them does.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use headgate_compile::{Judgement, Verdict, setting_verdict};
use serde_json::Value;

use super::running;
use crate::output;

/// The schema, which is generated from the comments of values.yaml.
const SCHEMA: &str = include_str!("../../charts/headgate/values.schema.json");
/// Longest release that is read, after decompression: more than Helm can store.
const MAX_RELEASE: u64 = 64 << 20;

/// Marks in descriptions of the schema, with the verdict about values that have them.
const MARKS: [(&str, Verdict); 3] = [
    (". No effect: ", Verdict::NoEffect),
    (". Not supported: ", Verdict::NotSupported),
    (". Difference: ", Verdict::Differs),
];

static VALUES: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA).unwrap_or_default());

/// The verdicts about the values in values files.
///
/// # Errors
/// When a file cannot be read or is not YAML.
pub(super) fn of_files(files: &[PathBuf]) -> Result<Vec<Judgement>> {
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        all.extend(of_yaml(&text).with_context(|| file.display().to_string())?);
    }
    Ok(all)
}

/// The verdicts about the values in a values file.
///
/// # Errors
/// When it is not YAML.
fn of_yaml(text: &str) -> Result<Vec<Judgement>> {
    let values: Value = serde_saphyr::from_str(text).context("is not a values file")?;
    Ok(verdicts(&values))
}

/// The verdicts about the values that a Helm release was installed with; `data` is the key `release` of its Secret.
///
/// # Errors
/// When it is not one of Helm 3.
pub(super) fn of_release(data: &[u8]) -> Result<Vec<Judgement>> {
    let packed = BASE64_STANDARD.decode(data).context("is not base64")?;
    let mut text = Vec::new();
    let mut unpacked = GzDecoder::new(&*packed).take(MAX_RELEASE);
    unpacked.read_to_end(&mut text).context("is not gzip")?;
    let release: Value = serde_json::from_slice(&text).context("is not JSON")?;
    match release.get("config") {
        Some(values) => Ok(verdicts(values)),
        None => bail!("holds no values"),
    }
}

/// In the order of their names.
fn verdicts(values: &Value) -> Vec<Judgement> {
    let mut found = Vec::new();
    walk("", values, &VALUES, &mut found);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// Objects with known fields are descended into; everything else is a value.
fn walk(path: &str, value: &Value, schema: &Value, found: &mut Vec<Judgement>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let (Some(properties), Some(fields)) = (properties, value.as_object()) else {
        match (path, value) {
            (_, Value::Null) => {}
            ("controller.config", Value::Object(keys)) => {
                let verdicts = keys.iter().map(|(key, value)| {
                    let judged = setting_verdict(key, &text(value));
                    below(path, key, judged)
                });
                found.extend(verdicts);
            }
            ("controller.extraArgs", Value::Object(flags)) => {
                let verdicts = flags.iter().map(|(name, value)| {
                    let judged = running::verdict(name, &text(value));
                    below(path, name, judged)
                });
                found.extend(verdicts);
            }
            // As without the value.
            _ if is_empty(value) || schema.get("default") == Some(value) => {
                found.push(Judgement::honoured(path.to_owned()));
            }
            _ => found.push(verdict(path, schema)),
        }
        return;
    };
    let is_open = schema.get("additionalProperties") != Some(&Value::Bool(false));
    for (name, value) in fields {
        let path = match path {
            "" => output::plain(name).into_owned(),
            path => format!("{path}.{}", output::plain(name)),
        };
        match properties.get(name) {
            Some(schema) => walk(&path, value, schema, found),
            None if is_open => found.push(Judgement::honoured(path)),
            None => {
                let reason = "not a value of the chart: Helm refuses it; delete it";
                found.push(Judgement::new(path, Verdict::NotSupported, reason));
            }
        }
    }
}

/// A verdict with the path of its value as name.
fn below(path: &str, name: &str, judged: Judgement) -> Judgement {
    Judgement {
        name: format!("{path}.{}", output::plain(name)).into(),
        ..judged
    }
}

/// A value as the text that the chart makes of it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn verdict(path: &str, schema: &Value) -> Judgement {
    let description = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let marked = MARKS.iter().find_map(|(mark, verdict)| {
        let (_, reason) = description.split_once(mark)?;
        Some(Judgement::new(path.to_owned(), *verdict, reason.to_owned()))
    });
    marked.unwrap_or_else(|| Judgement::honoured(path.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "
controller:
  replicaCount: 2
  nosuch: 1
  image: {chroot: true}
  nodeSelector: {}
  config: {use-gzip: \"true\", own: x}
  extraArgs: {v: 2, no-such-flag: x}
global: {storageClass: fast}
";

    fn shown(verdicts: &[Judgement]) -> Vec<(&str, Verdict)> {
        verdicts
            .iter()
            .map(|one| (&*one.name, one.verdict))
            .collect()
    }

    const EXPECTED: [(&str, Verdict); 9] = [
        ("controller.config.own", Verdict::NoEffect),
        ("controller.config.use-gzip", Verdict::Honoured),
        ("controller.extraArgs.no-such-flag", Verdict::NotSupported),
        ("controller.extraArgs.v", Verdict::Honoured),
        ("controller.image.chroot", Verdict::NoEffect),
        ("controller.nodeSelector", Verdict::Honoured),
        ("controller.nosuch", Verdict::NotSupported),
        ("controller.replicaCount", Verdict::Honoured),
        ("global.storageClass", Verdict::Honoured),
    ];

    #[test]
    fn every_value_of_a_file_has_a_verdict() {
        assert_eq!(shown(&of_yaml(TEXT).unwrap()), EXPECTED);
        assert!(of_yaml(": : :").is_err());
    }

    #[test]
    fn the_values_of_a_release_are_unpacked() {
        let values: Value = serde_saphyr::from_str(TEXT).unwrap();
        let release = serde_json::json!({ "name": "edge", "config": values });
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(release.to_string().as_bytes()).unwrap();
        let data = BASE64_STANDARD.encode(packed.finish().unwrap());
        assert_eq!(shown(&of_release(data.as_bytes()).unwrap()), EXPECTED);
        assert!(of_release(b"x").is_err());
    }
}
