//! Parameters of Gateways: those of their class, and their own, which take precedence (gateway-api.md 2.1, 2.12).

use super::condition::Problem;
use crate::objects::custom::{
    Custom, GatewayClassSpec, GatewaySpec, HeadgateParametersSpec, OWN_GROUP, ServiceParameters,
    Spec as _,
};
use crate::{Name, Snapshot};

/// The types that the Service of a Gateway can have.
const TYPES: [&str; 3] = ["ClusterIP", "LoadBalancer", "NodePort"];

/// The parameters that a GatewayClass names; the default ones if it names none.
///
/// # Errors
/// Why they cannot be used: another kind, no such object, or a value that is not allowed.
pub fn class_parameters(
    class: &Custom<GatewayClassSpec>,
    snapshot: &Snapshot,
) -> Result<ServiceParameters, String> {
    let Some(reference) = &class.spec.parameters_ref else {
        return Ok(ServiceParameters::default());
    };
    let namespace = reference.namespace.as_deref().ok_or_else(|| {
        format!(
            "spec.parametersRef of GatewayClass {} has no namespace",
            class.name
        )
    })?;
    let name = Name::new(namespace, &reference.name);
    parameters((&reference.group, &reference.kind), &name, snapshot)
}

/// The parameters of a Gateway of `class`.
pub(super) fn of_gateway(
    gateway: &Custom<GatewaySpec>,
    class: Option<&Custom<GatewayClassSpec>>,
    snapshot: &Snapshot,
) -> Result<ServiceParameters, Problem> {
    let invalid = |message| Problem::new("InvalidParameters", message);
    let infrastructure = gateway.spec.infrastructure.as_ref();
    let reference = infrastructure.and_then(|all| all.parameters_ref.as_ref());
    let own = reference.map(|reference| {
        let name = Name::new(&gateway.name.namespace, &reference.name);
        parameters((&reference.group, &reference.kind), &name, snapshot)
    });
    let own = own.transpose().map_err(invalid)?.unwrap_or_default();
    let of_class = class.map(|class| class_parameters(class, snapshot));
    let of_class = of_class.transpose().map_err(invalid)?.unwrap_or_default();
    Ok(own.over(of_class))
}

fn parameters(
    (group, kind): (&str, &str),
    name: &Name,
    snapshot: &Snapshot,
) -> Result<ServiceParameters, String> {
    let known = HeadgateParametersSpec::NAME;
    if group != OWN_GROUP || kind != known {
        return Err(format!(
            "parameters of kind {} of group {} are not supported; {known} of group {OWN_GROUP} are",
            kind.escape_debug(),
            group.escape_debug()
        ));
    }
    let object = snapshot.get::<Custom<HeadgateParametersSpec>>(name);
    let object = object.ok_or_else(|| format!("there is no {known} {name}"))?;
    let service = &object.spec.service;
    match service.kind.as_deref() {
        Some(other) if !TYPES.contains(&other) => Err(format!(
            "spec.service.type {} of {known} {name} is none of {}",
            other.escape_debug(),
            TYPES.join(", ")
        )),
        _ => Ok(service.clone()),
    }
}
