//! Observed statuses, the published Service and the zone.

use headgate_apiserver::ApiServer;
use headgate_cluster::status::Observations as _;
use headgate_compile::{Kind, Name};
use serde_json::json;

use crate::world::{World, ingress, options, service};

fn address(ip: &str) -> serde_json::Value {
    json!({"loadBalancer": {"ingress": [{"ip": ip}]}})
}

#[test]
fn statuses_are_observed_without_making_changes() {
    let api = ApiServer::start();
    let mut web = ingress("web", "web");
    web["status"] = address("127.0.0.8");
    api.create(web);
    let mut world = World::ready(&api, options());
    let statuses = world.watch.statuses();
    let name = Name::new("shop", "web");
    let observed = statuses.observed(&name).unwrap();
    assert_eq!(observed.entries[0].ip.as_deref(), Some("127.0.0.8"));
    assert!(!observed.managed && !observed.uid.is_empty());
    api.modify("Ingress", "shop", "web", |web| {
        web["status"] = address("127.0.0.7");
        web["metadata"]["managedFields"] = json!([{
            "manager": "headgate", "operation": "Apply", "subresource": "status",
            "apiVersion": "networking.k8s.io/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}},
        }]);
    });
    world.work_until("the status", || {
        let observed = statuses.observed(&name).unwrap();
        observed.entries[0].ip.as_deref() == Some("127.0.0.7")
    });
    assert!(world.is_quiet());
    api.delete("Ingress", "shop", "web");
    world.until("it to go", |world| !world.has(Kind::Ingress, "shop", "web"));
    assert_eq!(statuses.observed(&name), None);
}

#[test]
fn the_published_service_is_observed() {
    let api = ApiServer::start();
    let mut front = service("system", "front");
    front["spec"]["type"] = json!("LoadBalancer");
    front["status"] = address("127.0.0.6");
    api.create(front);
    let mut options = options();
    options.publish_service = Some(Name::new("system", "front"));
    let mut world = World::ready(&api, options);
    let statuses = world.watch.statuses();
    let published = statuses.publish_service().unwrap();
    assert_eq!(published.load_balancer[0].ip.as_deref(), Some("127.0.0.6"));
    api.modify("Service", "system", "front", |front| {
        front["status"] = address("127.0.0.5")
    });
    world.work_until("the address", || {
        let published = statuses.publish_service().unwrap();
        published.load_balancer[0].ip.as_deref() == Some("127.0.0.5")
    });
    api.delete("Service", "system", "front");
    world.work_until("it to go", || statuses.publish_service().is_none());
}

#[test]
fn the_zone_is_that_of_the_pod_s_node() {
    let api = ApiServer::start();
    api.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": "system"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]},
    }));
    let mut options = options();
    options.timing.zone = std::time::Duration::from_millis(10);
    options.compile.endpoints.topology = true;
    options.pod = Some(Name::new("system", "pod"));
    // Nothing waits for it.
    let mut world = World::ready(&api, options);
    api.create(json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}},
    }));
    world.until("the zone", |world| {
        world.snapshot().environment().zone.as_deref() == Some("zone-a")
    });
}
