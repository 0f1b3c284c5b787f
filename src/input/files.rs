//! Input from files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use headgate_compile::objects::custom::{Custom, Delivered, GatewayClassSpec, GatewaySpec};
use headgate_compile::{Kind, Object, Options, Snapshot};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::progress::Progress;
use super::{Controller, Input, Objects, Place, unchecked};
use crate::config::Preset;

/// Kinds without which a report says less.
const EXPECTED: [Kind; 3] = [Kind::Service, Kind::EndpointSlice, Kind::Secret];

pub(super) fn read(place: &Place, progress: &Progress) -> Result<Input> {
    progress.phase("reading", None);
    let read = |documents| progress.add(documents);
    let contents = headgate_manifest::read(place.paths.clone(), &read);
    // Its message has its cause in it.
    let mut contents = contents.map_err(|error| anyhow::anyhow!("{error}"))?;
    let workloads = std::mem::take(&mut contents.workloads);
    let controller = Controller::of(place, workloads, Preset::Serve);
    let mut input = Input::of_files(contents, controller, source(&place.paths));
    if let Objects::Files(snapshot) = &mut input.objects {
        input.notes.extend(add_class(snapshot, &input.options));
        input
            .notes
            .extend(add_gateway_classes(snapshot, &input.options));
        for kind in EXPECTED {
            if is_absent(snapshot, kind) {
                let consequence = unchecked(kind);
                input
                    .notes
                    .push(format!("no {} in the files: {consequence}", kind.as_str()));
                input.absent.push(kind);
            }
        }
    }
    Ok(input)
}

fn source(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    paths.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Endpoints may be in objects of two kinds.
fn is_absent(snapshot: &Snapshot, kind: Kind) -> bool {
    let is_legacy = kind == Kind::EndpointSlice && snapshot.count(Kind::Endpoints) > 0;
    snapshot.count(kind) == 0 && !is_legacy
}

/// Exports of Ingresses rarely have the IngressClass: without any, the usual one is assumed.
fn add_class(snapshot: &mut Snapshot, options: &Options) -> Option<String> {
    if snapshot.count(Kind::IngressClass) > 0 {
        return None;
    }
    let class = &options.class;
    let object = IngressClass {
        metadata: ObjectMeta {
            name: Some(class.ingress_class.to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(IngressClassSpec {
            controller: Some(class.controller_class.to_string()),
            parameters: None,
        }),
    };
    snapshot.apply(Object::from(object));
    // Makes it current; everything is compiled anyway.
    snapshot.take_changes();
    Some(format!(
        "no IngressClass in the files: {} is assumed to be of {}",
        class.ingress_class, class.controller_class
    ))
}

/// Likewise, without any GatewayClass, those of the Gateways are taken to be of this controller.
fn add_gateway_classes(snapshot: &mut Snapshot, options: &Options) -> Option<String> {
    let controller = &options.gateway.as_ref()?.controller;
    if snapshot.count(Kind::GatewayClass) > 0 {
        return None;
    }
    let gateways = snapshot.all::<Custom<GatewaySpec>>();
    let names: BTreeSet<String> = gateways
        .map(|gateway| gateway.spec.gateway_class_name.clone())
        .collect();
    for name in &names {
        let class = json!({
            "metadata": { "name": name },
            "spec": { "controllerName": controller },
        });
        let class: Delivered<GatewayClassSpec> = serde_json::from_value(class).ok()?;
        snapshot.apply(Object::from(class));
    }
    snapshot.take_changes();
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        format!(
            "no GatewayClass in the files: {} is assumed to be of {controller}",
            names.join(", ")
        )
    })
}
