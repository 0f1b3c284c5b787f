//! Refuses fragments of nginx configuration and paths of secrets in hosts, paths and names (behaviour.md 9.2 and 9.3). They have
//! no effect here; they are attempts of attacks that worked on ingress-nginx.

use std::fmt;

use k8s_openapi::api::networking::v1::Ingress;

use crate::ingress::annotations::excerpt;

/// Texts that no legitimate host, path or name contains.
const FORBIDDEN: [&str; 7] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nginx",
    "/etc/ingress-controller",
    "/var/run/secrets",
    "_by_lua",
];
/// Directives, forbidden if a `;` follows.
const DIRECTIVES: [&str; 2] = ["alias", "root"];

/// A field with a forbidden text.
pub(crate) struct Forbidden {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// # Errors
/// The first field with a forbidden text.
pub(crate) fn inspect(ingress: &Ingress) -> Result<(), Forbidden> {
    let Some(spec) = &ingress.spec else {
        return Ok(());
    };
    for (index, rule) in spec.rules.iter().flatten().enumerate() {
        let field = || format!("spec.rules[{index}]");
        refuse(rule.host.as_deref().unwrap_or_default(), || {
            format!("{}.host", field())
        })?;
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        for (n, path) in paths.enumerate() {
            refuse(path.path.as_deref().unwrap_or_default(), || {
                format!("{}.http.paths[{n}].path", field())
            })?;
        }
    }
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        for (n, host) in tls.hosts.iter().flatten().enumerate() {
            refuse(host, || format!("spec.tls[{index}].hosts[{n}]"))?;
        }
        refuse(tls.secret_name.as_deref().unwrap_or_default(), || {
            format!("spec.tls[{index}].secretName")
        })?;
    }
    Ok(())
}

fn refuse(text: &str, field: impl Fn() -> String) -> Result<(), Forbidden> {
    let word = FORBIDDEN.into_iter().find(|word| text.contains(word));
    let directive = || {
        DIRECTIVES.into_iter().find(|word| {
            text.split_once(word)
                .is_some_and(|(_, rest)| rest.contains(';'))
        })
    };
    match word.or_else(directive) {
        None => Ok(()),
        Some(word) => Err(Forbidden {
            field: field(),
            message: format!(
                "the value \"{}\" is not allowed: it contains \"{word}\"",
                excerpt(text)
            ),
        }),
    }
}
