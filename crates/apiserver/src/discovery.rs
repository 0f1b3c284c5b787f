//! Paths that are not resources: discovery, version, health, OpenAPI.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::encode;
use super::failure::Failure;
use super::kinds::{self, KINDS, Kind, REVIEWS, Review, group_version};
use super::request_info::RequestInfo;
use super::shared::Shared;
use super::store::Store;
use super::transport::{ApiResponse, Content};

/// The media type of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Verbs of every stored kind.
const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The response to a request for such a path.
pub(crate) fn respond(shared: &Shared, info: &RequestInfo) -> Result<ApiResponse, Failure> {
    if info.verb != "get" {
        return Err(Failure::no_such_path());
    }
    let aggregated = info.accept.split(',').any(|media| {
        let has = |what: &str| media.split(';').any(|part| part.trim() == what);
        has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
    });
    let state = shared.state();
    let store = &state.store;
    let segments: Vec<&str> = info.path.trim_matches('/').split('/').collect();
    let value = match segments.as_slice() {
        ["healthz" | "livez" | "readyz"] => {
            let ok = Content::Other(
                Bytes::from_static(b"ok"),
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            return Ok(ApiResponse::new(StatusCode::OK, ok));
        }
        ["version"] => version(&shared.options.version),
        ["api"] if aggregated => return Ok(aggregated_list(store, &[""])),
        ["apis"] if aggregated => {
            let named: Vec<&str> = group_names(store);
            return Ok(aggregated_list(store, &named));
        }
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": shared.address.to_string()}],
        }),
        ["apis"] => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": group_names(store).into_iter().map(|name| group(store, name)).collect::<Vec<_>>(),
        }),
        ["apis", name] if group_names(store).contains(name) => {
            let mut group = group(store, name);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        ["api", version] => resources(store, "", version)?,
        ["apis", group, version] => resources(store, group, version)?,
        ["openapi", "v3"] => openapi_index(store),
        ["openapi", "v3", "api", version] => openapi(store, "", version)?,
        ["openapi", "v3", "apis", group, version] => openapi(store, group, version)?,
        _ => return Err(Failure::no_such_path()),
    };
    Ok(ApiResponse::ok(encode::bytes(&value)))
}

fn version(git_version: &str) -> Value {
    let mut numbers = git_version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next(), numbers.next());
    json!({
        "major": major.unwrap_or("1"), "minor": minor.unwrap_or("0"), "gitVersion": git_version,
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// All groups except the core group.
fn group_names(store: &Store) -> Vec<&'static str> {
    let mut names: Vec<&str> = kinds::groups(store)
        .into_iter()
        .map(|(group, _)| group)
        .filter(|group| !group.is_empty())
        .collect();
    // Versions of a group may be apart in the table.
    let mut known = Vec::new();
    names.retain(|name| {
        let is_new = !known.contains(name);
        known.push(*name);
        is_new
    });
    names
}

/// The versions of a group, the preferred one first.
fn versions_of(store: &Store, group: &str) -> Vec<&'static str> {
    let all = kinds::groups(store).into_iter();
    all.filter(|(name, _)| *name == group)
        .map(|(_, version)| version)
        .collect()
}

fn group(store: &Store, name: &str) -> Value {
    let versions = versions_of(store, name).into_iter();
    let versions: Vec<Value> = versions
        .map(|version| json!({"groupVersion": group_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn in_group(
    store: &Store,
    group: &str,
    version: &str,
) -> (Vec<&'static Kind>, Vec<&'static Review>) {
    let stored = KINDS
        .iter()
        .filter(|kind| kind.group == group && kind.version == version && kind.is_served(store));
    let reviews = REVIEWS
        .iter()
        .filter(|review| review.group == group && version == "v1");
    (stored.collect(), reviews.collect())
}

fn known(
    store: &Store,
    group: &str,
    version: &str,
) -> Result<(Vec<&'static Kind>, Vec<&'static Review>), Failure> {
    let found = in_group(store, group, version);
    if found.0.is_empty() && found.1.is_empty() {
        return Err(Failure::no_such_path());
    }
    Ok(found)
}

/// The kind of a subresource, its group and version, and its verbs.
fn subresource(kind: &Kind, name: &str) -> (&'static str, Value, &'static [&'static str]) {
    let of_kind = json!([kind.group, kind.version]);
    match name {
        "scale" => (
            "Scale",
            json!(["autoscaling", "v1"]),
            &["get", "patch", "update"],
        ),
        "token" => (
            "TokenRequest",
            json!(["authentication.k8s.io", "v1"]),
            &["create"],
        ),
        "finalize" => (kind.kind, of_kind, &["update"]),
        _ => (kind.kind, of_kind, &["get", "patch", "update"]),
    }
}

fn resources(store: &Store, group: &str, version: &str) -> Result<Value, Failure> {
    let (stored, reviews) = known(store, group, version)?;
    let mut listed = Vec::new();
    for kind in stored {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": VERBS, "storageVersionHash": "",
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !categories(kind).is_empty() {
            resource["categories"] = json!(categories(kind));
        }
        listed.push(resource);
        for &name in kind.subresources {
            let (of, api, verbs) = subresource(kind, name);
            listed.push(json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
                "kind": of, "group": api[0], "version": api[1], "verbs": verbs,
            }));
        }
    }
    for review in reviews {
        listed.push(json!({
            "name": review.plural, "singularName": review.singular, "namespaced": false, "kind": review.kind,
            "verbs": ["create"],
        }));
    }
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version), "resources": listed,
    }))
}

fn aggregated_list(store: &Store, groups: &[&str]) -> ApiResponse {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| aggregated(store, group))
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    ApiResponse::new(
        StatusCode::OK,
        Content::Other(encode::bytes(&list), HeaderValue::from_static(AGGREGATED)),
    )
}

/// A group with its versions.
fn aggregated(store: &Store, group: &str) -> Value {
    let versions = versions_of(store, group).into_iter();
    let versions: Vec<Value> = versions
        .map(|version| aggregated_version(store, group, version))
        .collect();
    json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
}

fn aggregated_version(store: &Store, group: &str, version: &str) -> Value {
    let (stored, reviews) = in_group(store, group, version);
    let scope = |namespaced: bool| if namespaced { "Namespaced" } else { "Cluster" };
    let response = |kind: &str, group: &Value, version: &Value| json!({"kind": kind, "group": group, "version": version});
    let mut listed: Vec<Value> = stored
        .into_iter()
        .map(|kind| {
            let subresources: Vec<Value> = kind
                .subresources
                .iter()
                .map(|&name| {
                    let (of, api, verbs) = subresource(kind, name);
                    json!({"subresource": name, "responseKind": response(of, &api[0], &api[1]), "verbs": verbs})
                })
                .collect();
            json!({
                "resource": kind.plural, "singularResource": kind.singular, "scope": scope(kind.namespaced),
                "responseKind": response(kind.kind, &group.into(), &version.into()),
                "verbs": VERBS, "shortNames": kind.short, "categories": categories(kind), "subresources": subresources,
            })
        })
        .collect();
    listed.extend(reviews.into_iter().map(|review| {
        json!({
            "resource": review.plural, "singularResource": review.singular, "scope": scope(false),
            "responseKind": response(review.kind, &group.into(), &version.into()), "verbs": ["create"],
        })
    }));
    json!({"version": version, "resources": listed, "freshness": "Current"})
}

/// The categories of a kind, for `kubectl get all`.
fn categories(kind: &Kind) -> &'static [&'static str] {
    const ALL: &[&str] = &[
        "Pod",
        "Service",
        "DaemonSet",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "Job",
        "CronJob",
    ];
    if ALL.contains(&kind.kind) {
        &["all"]
    } else {
        &[]
    }
}

/// The path of a group, without the leading slash.
fn root(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

fn openapi_index(store: &Store) -> Value {
    let paths: BTreeMap<String, Value> = kinds::groups(store)
        .into_iter()
        .map(|(group, version)| {
            let root = root(group, version);
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{root}?hash=1")});
            (root, url)
        })
        .collect();
    json!({"paths": paths})
}

/// The part of a group's schema with which clients leave validation to the server. It does not validate, but clients then
/// send the object instead of downloading schemas.
fn openapi(store: &Store, group: &str, version: &str) -> Result<Value, Failure> {
    let (stored, _) = known(store, group, version)?;
    let root = root(group, version);
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .into_iter()
        .map(parameter)
        .collect();
    let mut paths = BTreeMap::new();
    for kind in stored {
        let scope = if kind.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let operation = |action: &str| {
            json!({
                "parameters": parameters, "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": {"group": group, "kind": kind.kind, "version": version},
            })
        };
        let path = format!("/{root}/{scope}{}", kind.plural);
        paths.insert(path.clone(), json!({"post": operation("post")}));
        paths.insert(
            format!("{path}/{{name}}"),
            json!({"put": operation("put"), "patch": operation("patch")}),
        );
    }
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths, "components": {"schemas": {}},
    }))
}
