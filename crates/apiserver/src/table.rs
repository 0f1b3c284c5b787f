//! Tables, which `kubectl get` prints.

use serde_json::{Value, json};

use super::clock;
use super::encode;
use super::kinds::Kind;
use super::stored::{Stored, complete};

/// A column: its title, and its text for an object.
type Column = (&'static str, fn(&Value) -> String);

/// Objects as a table.
pub(crate) fn of<'a>(
    kind: &Kind,
    items: impl IntoIterator<Item = &'a Stored>,
    metadata: &Value,
) -> Value {
    let columns = columns(kind.kind);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|(title, _)| {
            let format = if *title == "Name" { "name" } else { "" };
            json!({"name": title, "type": "string", "format": format, "description": title, "priority": 0})
        })
        .collect();
    let rows: Vec<Value> = items
        .into_iter()
        .map(|stored| {
            let object = complete(kind, stored.object());
            let cells: Vec<String> = columns.iter().map(|(_, text)| text(&object)).collect();
            json!({"cells": cells, "object": encode::partial(stored)})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

const NAME: Column = ("Name", |object| text(&object["metadata"]["name"]));
const AGE: Column = ("Age", |object| {
    clock::age(
        object["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap_or_default(),
    )
});

fn columns(kind: &str) -> Vec<Column> {
    let of_kind: Vec<Column> = match kind {
        "Ingress" => vec![
            ("Class", |object| {
                or_none(&object["spec"]["ingressClassName"])
            }),
            ("Hosts", hosts),
            ("Address", addresses),
            ("Ports", ports),
        ],
        "IngressClass" => vec![("Controller", |object| text(&object["spec"]["controller"]))],
        "Service" => vec![
            ("Type", |object| text(&object["spec"]["type"])),
            ("Cluster-IP", |object| or_none(&object["spec"]["clusterIP"])),
            ("External-IP", |object| match addresses(object) {
                none if none.is_empty() => "<none>".to_owned(),
                some => some,
            }),
            ("Port(s)", |object| {
                each(&object["spec"]["ports"], |port| {
                    format!("{}/{}", port["port"], text(&port["protocol"]))
                })
            }),
        ],
        "Secret" => vec![
            ("Type", |object| text(&object["type"])),
            ("Data", |object| count(&object["data"])),
        ],
        "ConfigMap" => vec![("Data", |object| count(&object["data"]))],
        "Namespace" => vec![("Status", |object| text(&object["status"]["phase"]))],
        "Pod" => vec![("Status", |object| text(&object["status"]["phase"]))],
        "Lease" => vec![("Holder", |object| text(&object["spec"]["holderIdentity"]))],
        "Deployment" | "StatefulSet" => vec![
            ("Ready", |object| {
                let ready = object["status"]["readyReplicas"].as_i64().unwrap_or(0);
                format!("{ready}/{}", object["spec"]["replicas"])
            }),
            ("Available", |object| {
                object["status"]["availableReplicas"]
                    .as_i64()
                    .unwrap_or(0)
                    .to_string()
            }),
        ],
        "Job" => vec![("Completions", |object| {
            object["status"]["succeeded"]
                .as_i64()
                .unwrap_or(0)
                .to_string()
        })],
        "EndpointSlice" => vec![
            ("AddressType", |object| text(&object["addressType"])),
            ("Endpoints", |object| {
                each(&object["endpoints"], |endpoint| {
                    text(&endpoint["addresses"][0])
                })
            }),
        ],
        "Event" => vec![
            ("Type", |object| text(&object["type"])),
            ("Reason", |object| text(&object["reason"])),
            ("Object", |object| {
                let about = &object["involvedObject"];
                format!(
                    "{}/{}",
                    text(&about["kind"]).to_lowercase(),
                    text(&about["name"])
                )
            }),
            ("Message", |object| text(&object["message"])),
        ],
        _ => Vec::new(),
    };
    let mut columns = vec![NAME];
    columns.extend(of_kind);
    columns.push(AGE);
    columns
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn or_none(value: &Value) -> String {
    value.as_str().unwrap_or("<none>").to_owned()
}

fn count(value: &Value) -> String {
    value
        .as_object()
        .map_or(0, serde_json::Map::len)
        .to_string()
}

fn each(list: &Value, text: impl Fn(&Value) -> String) -> String {
    let texts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    texts.join(",")
}

fn hosts(ingress: &Value) -> String {
    let hosts = each(&ingress["spec"]["rules"], |rule| {
        match rule["host"].as_str() {
            Some(host) if !host.is_empty() => host.to_owned(),
            _ => "*".to_owned(),
        }
    });
    if hosts.is_empty() {
        "*".to_owned()
    } else {
        hosts
    }
}

fn addresses(object: &Value) -> String {
    each(
        &object["status"]["loadBalancer"]["ingress"],
        |address| match address["ip"].as_str() {
            Some(ip) => ip.to_owned(),
            None => text(&address["hostname"]),
        },
    )
}

fn ports(ingress: &Value) -> String {
    let tls = ingress["spec"]["tls"]
        .as_array()
        .is_some_and(|tls| !tls.is_empty());
    if tls { "80, 443" } else { "80" }.to_owned()
}
