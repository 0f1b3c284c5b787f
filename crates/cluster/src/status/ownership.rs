//! Ownership of a status, by managed fields.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::field_manager::FIELD_MANAGER;

/// Whether [`FIELD_MANAGER`] owns `status.loadBalancer` of the object, by apply or by update: the role of ingress-nginx
/// allows only the latter.
pub fn owns_status(metadata: &ObjectMeta) -> bool {
    let entries = metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
        .filter_map(|entry| entry.fields_v1.as_ref())
        .any(|fields| {
            let fields = fields.0.get("f:status");
            fields.is_some_and(|status| status.get("f:loadBalancer").is_some())
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use super::*;

    fn metadata(manager: &str, fields: &serde_json::Value) -> ObjectMeta {
        serde_json::from_value(serde_json::json!({"managedFields": [
            {"manager": "kubectl", "fieldsV1": {"f:spec": {}}},
            {"manager": manager, "subresource": "status", "fieldsV1": fields},
        ]}))
        .unwrap()
    }

    #[test]
    fn the_field_manager_of_load_balancer_owns_the_status() {
        let addresses = serde_json::json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
        let other = serde_json::json!({"f:status": {"f:conditions": {}}});
        assert!(owns_status(&metadata("headgate", &addresses)));
        assert!(!owns_status(&metadata(
            "nginx-ingress-controller",
            &addresses
        )));
        assert!(!owns_status(&metadata("headgate", &other)));
        assert!(!owns_status(&ObjectMeta::default()));
    }
}
