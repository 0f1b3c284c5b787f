//! Backends of a route, and the rules of its canaries.

use headgate_table::{Alternatives, Backend, HeaderTest, RuleTest, Split, UpstreamKey};
use serde_json::{Value, json};

use super::Converter;
use crate::Name;
use crate::build::find_port;
use crate::objects::Service;

/// The backends for requests with these header fields.
#[derive(Debug)]
pub(super) struct Case {
    /// Matches of header fields.
    pub(super) headers: Vec<Value>,
    pub(super) backends: Vec<Value>,
}

impl Converter<'_> {
    /// The backends of a split of a route in `namespace`: first those of the rules of canaries, in their order.
    ///
    /// # Errors
    /// A Service port that cannot be named.
    pub(super) fn cases(&mut self, split: &Split, namespace: &str) -> Result<Vec<Case>, String> {
        let others = split.alternatives();
        let listed = others.map_or(&[][..], Alternatives::list);
        let total = others.map_or(1, Alternatives::total);
        let sum = listed
            .iter()
            .fold(0_u32, |sum, other| sum.saturating_add(other.weight));
        let mut weighted = vec![(split.primary(), total.saturating_sub(sum))];
        weighted.extend(listed.iter().map(|other| (&other.backend, other.weight)));
        let mut cases = Vec::new();
        for rule in others.map_or(&[][..], Alternatives::rules) {
            let chosen = listed.get(rule.alternative).map(|other| &other.backend);
            for (header, is_alternative) in tests(&rule.test) {
                let backend = match chosen {
                    Some(chosen) if is_alternative => chosen,
                    _ => split.primary(),
                };
                cases.push(Case {
                    headers: vec![header],
                    backends: vec![self.backend(backend, namespace, None)?],
                });
            }
        }
        let several = weighted.len() > 1;
        let mut backends = Vec::with_capacity(weighted.len());
        for (backend, weight) in weighted {
            let weight = several.then_some(weight);
            backends.push(self.backend(backend, namespace, weight)?);
        }
        cases.push(Case {
            headers: Vec::new(),
            backends,
        });
        Ok(cases)
    }

    fn backend(
        &mut self,
        backend: &Backend,
        namespace: &str,
        weight: Option<u32>,
    ) -> Result<Value, String> {
        let key = backend.upstream();
        let key = key.ok_or("a backend is a fixed status")?;
        self.service(key, namespace, weight)
    }

    /// The reference to the Service port of an upstream.
    pub(super) fn service(
        &mut self,
        key: &UpstreamKey,
        namespace: &str,
        weight: Option<u32>,
    ) -> Result<Value, String> {
        let upstream = self.compiled.table().upstream(key);
        let port = upstream.map(|upstream| upstream.name.to_string());
        let port = port.ok_or("a backend is not known")?;
        let mut parts = port.splitn(3, '/');
        let (Some(of), Some(name), Some(port)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a backend is not known".to_owned());
        };
        let service = Name::new(of, name);
        let number = self.port(&service, port);
        let number = number.ok_or_else(|| {
            format!("Service {service} has no port \"{port}\", whose number a route needs")
        })?;
        let mut reference = json!({ "name": name, "port": number });
        if of != namespace {
            reference["namespace"] = json!(of);
            self.grant(("HTTPRoute", namespace), ("Service", &service));
        }
        if let Some(weight) = weight {
            reference["weight"] = json!(weight);
        }
        Ok(reference)
    }

    /// The number of a port of a Service: it is written as number, as `targetPort` or as name, and empty for the first.
    fn port(&self, service: &Name, port: &str) -> Option<u16> {
        let written: Option<u16> = port.parse().ok();
        let known = self.snapshot.get::<Service>(service);
        match known {
            Some(known) => find_port(&known.ports, port).map(|port| port.port),
            None => written,
        }
    }
}

/// The header fields that a rule tests, in order, with whether the alternative gets these requests.
fn tests(test: &RuleTest) -> Vec<(Value, bool)> {
    let exact = |name: &str, value: &str| json!({ "name": name, "value": value });
    let matching = |name: &str, value: String| json!({ "type": "RegularExpression", "name": name, "value": value });
    match test {
        RuleTest::Header { name, value } => {
            let name = name.as_str();
            match value {
                HeaderTest::AlwaysNever => {
                    vec![(exact(name, "always"), true), (exact(name, "never"), false)]
                }
                HeaderTest::Value(value) => vec![(exact(name, value), true)],
                HeaderTest::Pattern(pattern) => {
                    let value = format!("(?s:.*)(?:{})(?s:.*)", pattern.source());
                    vec![(matching(name, value), true)]
                }
                HeaderTest::Broken => vec![(matching(name, "(?s:.*)".to_owned()), false)],
            }
        }
        RuleTest::Cookie(name) => {
            let name = name.replace('.', "\\.");
            let cookie = |value: &str| {
                let value = format!("(?:.*;)?[ \\t]*{name}={value}[ \\t]*(?:;.*)?");
                matching("cookie", value)
            };
            vec![(cookie("always"), true), (cookie("never"), false)]
        }
    }
}
