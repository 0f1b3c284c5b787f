//! The CustomResourceDefinition of HeadgatePolicies, from the registry of annotations.

use std::fmt::Write as _;

use super::field::{self, Member, Shape, field_name, shape};
use crate::ingress::annotations::{Annotation, PolicyUse};

/// Longest text of a field. Values are bounded as a whole by the size of an object.
const MAX_TEXT: usize = 4096;
/// Most members of a list.
const MAX_MEMBERS: usize = 1024;

/// What comes before the fields.
const HEAD: &str = r#"# Generated from the registry of annotations: UPDATE_DOCS=1 cargo test -p headgate-compile --test docs
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: headgatepolicies.headgate.dev
  labels:
    gateway.networking.k8s.io/policy: Inherited
  annotations:
    # Objects of the kind survive the release.
    helm.sh/resource-policy: keep
spec:
  group: headgate.dev
  names:
    categories:
      - gateway-api
    kind: HeadgatePolicy
    listKind: HeadgatePolicyList
    plural: headgatepolicies
    shortNames:
      - hgpolicy
    singular: headgatepolicy
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources:
        status: {}
      additionalPrinterColumns:
        - name: Age
          type: date
          jsonPath: .metadata.creationTimestamp
      schema:
        openAPIV3Schema:
          description: "What annotations of an Ingress say, for Ingresses, HTTPRoutes, GRPCRoutes, or all routes of a Gateway."
          type: object
          required:
            - spec
          properties:
            apiVersion:
              type: string
            kind:
              type: string
            metadata:
              type: object
            spec:
              type: object
              required:
                - targetRefs
              properties:
                targetRefs:
                  description: "What the policy is for, in its own namespace. A policy of a Gateway or listener is the default of its routes; that of a route overrides it field by field, and that of a rule overrides both."
                  type: array
                  minItems: 1
                  maxItems: 16
                  items:
                    type: object
                    required:
                      - group
                      - kind
                      - name
                    properties:
                      group:
                        description: "gateway.networking.k8s.io, or networking.k8s.io for Ingresses."
                        type: string
                        maxLength: 253
                      kind:
                        description: "Gateway, HTTPRoute, GRPCRoute or Ingress."
                        type: string
                        minLength: 1
                        maxLength: 63
                      name:
                        description: "Name of the object."
                        type: string
                        minLength: 1
                        maxLength: 253
                      sectionName:
                        description: "Name of a listener of a Gateway, or of a rule of a route; by default the whole object."
                        type: string
                        minLength: 1
                        maxLength: 253
                  x-kubernetes-validations:
                    - message: "targets are a Gateway, HTTPRoute or GRPCRoute of gateway.networking.k8s.io, or an Ingress of networking.k8s.io"
                      rule: "self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute']) || (t.group == 'networking.k8s.io' && t.kind == 'Ingress'))"
                    - message: "an Ingress has no sections"
                      rule: "self.all(t, t.kind != 'Ingress' || !has(t.sectionName))"
                    - message: "targets must be different"
                      rule: "self.all(t, self.exists_one(o, t.group == o.group && t.kind == o.kind && t.name == o.name && (has(t.sectionName) ? t.sectionName : '') == (has(o.sectionName) ? o.sectionName : '')))"
"#;

/// What comes after the fields.
const TAIL: &str = r#"            status:
              type: object
              required:
                - ancestors
              properties:
                ancestors:
                  description: "Whether the policy has effect, for each Gateway that its targets belong to, and each Ingress."
                  type: array
                  maxItems: 16
                  items:
                    type: object
                    required:
                      - ancestorRef
                      - controllerName
                      - conditions
                    properties:
                      ancestorRef:
                        type: object
                        required:
                          - name
                        properties:
                          group:
                            type: string
                            maxLength: 253
                          kind:
                            type: string
                            maxLength: 63
                          namespace:
                            type: string
                            maxLength: 63
                          name:
                            type: string
                            maxLength: 253
                          sectionName:
                            type: string
                            maxLength: 253
                          port:
                            type: integer
                            format: int32
                      controllerName:
                        type: string
                        minLength: 1
                        maxLength: 253
                      conditions:
                        type: array
                        maxItems: 8
                        items:
                          type: object
                          required:
                            - lastTransitionTime
                            - message
                            - reason
                            - status
                            - type
                          properties:
                            lastTransitionTime:
                              type: string
                              format: date-time
                            message:
                              type: string
                              maxLength: 32768
                            observedGeneration:
                              type: integer
                              format: int64
                              minimum: 0
                            reason:
                              type: string
                              minLength: 1
                              maxLength: 1024
                            status:
                              type: string
                              enum:
                                - "True"
                                - "False"
                                - Unknown
                            type:
                              type: string
                              maxLength: 316
                        x-kubernetes-list-map-keys:
                          - type
                        x-kubernetes-list-type: map
"#;

/// The CustomResourceDefinition, as YAML.
pub fn definition() -> String {
    let mut page = HEAD.to_owned();
    let mut rows: Vec<&Annotation> = field::all().collect();
    rows.sort_by_key(|row| field_name(row.entry.name));
    for row in rows {
        page.push_str(&property(row));
    }
    page.push_str(TAIL);
    page
}

fn property(row: &Annotation) -> String {
    let mut lines = vec![format!("{}:", field_name(row.entry.name))];
    lines.push(format!("  description: {}", quoted(&description(row))));
    lines.extend(
        type_lines(shape(row.entry.kind))
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    let mut text = String::new();
    for line in lines {
        // Writing to a string never fails.
        let _ = writeln!(text, "                {line}");
    }
    text
}

fn description(row: &Annotation) -> String {
    let entry = &row.entry;
    let mut text = entry.doc.to_owned();
    let kind = entry.kind.expected();
    if shape(entry.kind) == Shape::Text && kind != "text" {
        let _ = write!(text, " Value: {kind}.");
    }
    if !entry.default.is_empty() {
        let _ = write!(text, " Default: {}.", entry.default);
    }
    if let PolicyUse::Ingresses(why) = row.policy {
        let _ = write!(text, " Only for Ingresses: {why}.");
    }
    text
}

fn type_lines(shape: Shape) -> Vec<String> {
    match shape {
        Shape::Boolean => vec!["type: boolean".to_owned()],
        Shape::Integer => vec!["type: integer".to_owned(), "format: int64".to_owned()],
        Shape::Size => vec![
            "x-kubernetes-int-or-string: true".to_owned(),
            "anyOf:".to_owned(),
            "  - type: integer".to_owned(),
            "  - type: string".to_owned(),
            "pattern: '^[0-9]+[bBkKmMgG]?$'".to_owned(),
        ],
        Shape::Text => texts(),
        Shape::Word(words) => choices(words),
        Shape::List(_, member) => {
            let mut lines = vec![
                "type: array".to_owned(),
                "minItems: 1".to_owned(),
                format!("maxItems: {MAX_MEMBERS}"),
                "items:".to_owned(),
            ];
            let members = match member {
                Member::Integer => vec!["type: integer".to_owned(), "format: int32".to_owned()],
                Member::Text => texts(),
                Member::Word(words) => choices(words),
            };
            lines.extend(members.into_iter().map(|line| format!("  {line}")));
            lines
        }
    }
}

fn texts() -> Vec<String> {
    vec![
        "type: string".to_owned(),
        "minLength: 1".to_owned(),
        format!("maxLength: {MAX_TEXT}"),
    ]
}

fn choices(words: &[&str]) -> Vec<String> {
    let mut lines = vec!["type: string".to_owned(), "enum:".to_owned()];
    lines.extend(words.iter().map(|word| format!("  - {}", quoted(word))));
    lines
}

/// A text in double quotes, which mean the same in YAML and JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
