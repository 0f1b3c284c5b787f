//! Checks of the characters of literal paths, and of paths that are regular expressions.

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_table::{HostClients, Pattern};
use k8s_openapi::api::networking::v1::Ingress;

use super::{quoted, shown_host};
use crate::Compiled;
use crate::build::service_port::Transport;
use crate::ingress::host::{AttachedIngress, in_regex_mode};
use crate::ingress::parsed::{self, ParsedIngress};

/// Maximum number of expressions that one review compiles, except those already in service. The rest is checked when it is
/// served. Compiling one may take a millisecond, and many users may submit Ingresses.
pub(super) const MAX_EXPRESSIONS: usize = 64;
/// Maximum total bytes of those expressions.
const MAX_BYTES: usize = 16 << 10;

/// The first path with a character that its type does not allow: Exact and Prefix are literal, so a character of an expression
/// is a mistake or an attack.
pub(super) fn strict(ingress: &Ingress) -> Option<String> {
    let rules = ingress.spec.iter().flat_map(|spec| &spec.rules).flatten();
    for rule in rules {
        for path in rule.http.iter().flat_map(|http| &http.paths) {
            let text = path.path.as_deref().unwrap_or_default();
            let kind = match &*path.path_type {
                "ImplementationSpecific" => continue,
                "" => "Prefix",
                kind => kind,
            };
            if !text.is_empty() && !parsed::is_literal(text) {
                return Some(format!(
                    "host \"{}\": path {} cannot have pathType {}, which takes \"/\" and then letters, digits and . _ - / only; regular expressions have pathType ImplementationSpecific",
                    shown_host(rule.host.as_deref()).escape_debug(),
                    quoted(text),
                    quoted(kind),
                ));
            }
        }
    }
    None
}

/// Compiles the paths that would be regular expressions. An invalid one is denied; ingress-nginx allows it and fails to reload.
/// Returns a warning if there are more than [`MAX_EXPRESSIONS`].
///
/// # Errors
/// The first invalid expression, as a message.
pub(super) fn expressions(
    parsed: &Arc<ParsedIngress>,
    compiled: &Compiled,
) -> Result<Option<String>, String> {
    let paths = parsed.hosts.iter().flat_map(|rules| &rules.paths);
    if parsed.is_canary() || paths.map(|rule| &*rule.path).all(parsed::is_literal) {
        return Ok(None);
    }
    let mut seen = BTreeSet::new();
    let (mut count, mut bytes) = (0, 0);
    for host in regex_hosts(parsed, compiled) {
        let rules = parsed.rules(host).into_iter();
        for rule in rules.flat_map(|rules| &rules.paths) {
            let source = format!("^{}", rule.path);
            if parsed::is_literal(&rule.path)
                || compiled.uses_pattern(&source)
                || !seen.insert(&*rule.path)
            {
                continue;
            }
            (count, bytes) = (count + 1, bytes + source.len());
            if count > MAX_EXPRESSIONS || bytes > MAX_BYTES {
                return Ok(Some(format!(
                    "too many regular expressions for one review: {} and the following were not checked",
                    quoted(&rule.path)
                )));
            }
            if let Err(error) = Pattern::case_insensitive(&source) {
                return Err(format!(
                    "host \"{host}\": path {} is not a regular expression: {}",
                    quoted(&rule.path),
                    error.to_string().escape_debug()
                ));
            }
        }
    }
    Ok(None)
}

/// Hosts of the Ingress that are in regex mode once it is stored.
fn regex_hosts<'a>(parsed: &'a Arc<ParsedIngress>, compiled: &Compiled) -> Vec<&'a str> {
    let hosts = parsed.hosts.iter().map(|rules| &*rules.host);
    let trial = AttachedIngress {
        ingress: parsed.clone(),
        policy: compiled.plain_policy().clone(),
        transport: Transport::default(),
        clients: HostClients::Any,
        closed: None,
        undefined: None,
    };
    hosts
        .filter(|host| {
            let mut primaries: Vec<&AttachedIngress> = compiled.attached_to(host);
            primaries.retain(|attached| {
                !attached.ingress.is_canary() && attached.ingress.name != parsed.name
            });
            let at = primaries.partition_point(|attached| attached.ingress.age < trial.ingress.age);
            primaries.insert(at, &trial);
            in_regex_mode(host, &primaries)
        })
        .collect()
}
