//! The object whose requests annotations configure, whichever kind it is of, with the policies beside them.

use http::StatusCode;

use crate::build::ServicePort;
use crate::build::service_port::FIRST_PORT;
use crate::finding::{Finding, Severity, Subject as About};
use crate::ingress::annotations::{IngressAnnotations, full_name, short_name};
use crate::ingress::parsed::HostRules;
use crate::ingress::registry::{Problem, printable};
use crate::policies::{Values, field_name};
use crate::{Kind, Name, ObjectRef};

/// An object with its annotations as types.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a Name,
    /// With its name, the identity of its counters.
    pub(crate) uid: &'a str,
    /// Its annotations, and those that it has by policies.
    pub(crate) annotations: &'a IngressAnnotations,
    /// Those that it has by policies.
    pub(crate) values: &'a Values,
    /// Prefix of annotations.
    pub(crate) prefix: &'a str,
    /// Of an Ingress: its rules.
    pub(crate) hosts: &'a [HostRules],
    /// The status of routes that are closed.
    pub(crate) closed: StatusCode,
}

impl Subject<'_> {
    /// The Service of the `default-backend` annotation, at its first port.
    pub(crate) fn fallback(&self) -> Option<ServicePort> {
        let service = self.annotations.routing.default_backend.as_deref()?;
        let service = Name::new(&self.name.namespace, service);
        Some(ServicePort::new(service, FIRST_PORT.into()))
    }

    /// A finding about one of its annotations, named without prefix: about the policy that has it, else about the object.
    pub(crate) fn annotation_finding(
        &self,
        severity: Severity,
        annotation: &str,
        message: String,
    ) -> Finding {
        let own = (self.values.get(annotation)).map(|value| (&value.policy, annotation));
        let any = || {
            let first = self.values.all().next()?;
            Some((&first.policy, annotation))
        };
        let of_policy = own.or_else(|| any().filter(|_| self.kind != Kind::Ingress));
        let (object, field) = match of_policy {
            Some((policy, annotation)) => (
                ObjectRef {
                    kind: Kind::HeadgatePolicy,
                    name: policy.clone(),
                },
                format!("spec.{}", field_name(annotation)),
            ),
            None => (
                ObjectRef {
                    kind: self.kind,
                    name: self.name.clone(),
                },
                format!(
                    "metadata.annotations[{}]",
                    full_name(self.prefix, annotation)
                ),
            ),
        };
        Finding {
            severity,
            subject: About::Object(object),
            field: field.into(),
            message: printable(message).into(),
        }
    }

    /// The finding about a problem that reading its annotations had.
    pub(crate) fn problem(&self, problem: &Problem) -> Finding {
        let annotation = short_name(&problem.field, self.prefix);
        match annotation.filter(|name| self.values.get(name).is_some()) {
            Some(annotation) => {
                self.annotation_finding(problem.severity, annotation, problem.message.clone())
            }
            None => Finding {
                severity: problem.severity,
                subject: About::Object(ObjectRef {
                    kind: self.kind,
                    name: self.name.clone(),
                }),
                field: format!("metadata.annotations[{}]", problem.field).into(),
                message: printable(problem.message.clone()).into(),
            },
        }
    }
}
