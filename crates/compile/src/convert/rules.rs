//! The rules of one path.

use headgate_table::{Location, PatternRewrite, Redirect, Rewrite, Route, Target};
use serde_json::{Value, json};

use super::Converter;
use crate::Name;

/// The statuses that redirects of the API may have.
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// A rule of an HTTPRoute.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) spec: Value,
    /// It is rewritten by a policy, which needs its name.
    pub(super) rewritten: Option<String>,
}

/// The rules of an Ingress for one host. Those of one path are together.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// For HTTP and HTTPS.
    pub(super) plain: Vec<Vec<Rule>>,
    /// For HTTPS alone, because requests over HTTP are redirected.
    pub(super) secure: Vec<Vec<Rule>>,
    /// For HTTP: redirects to HTTPS.
    pub(super) redirect: Vec<Vec<Rule>>,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.secure.is_empty() && self.redirect.is_empty()
    }
}

impl Rule {
    pub(super) fn new(spec: Value) -> Self {
        Self {
            spec,
            rewritten: None,
        }
    }
}

impl Converter<'_> {
    /// The rules of a path: those of canaries that look at header fields, then the one for all other requests. None: requests
    /// get 404. With a `slash`, they are redirected to that path.
    ///
    /// # Errors
    /// Why there can be no rule.
    pub(super) fn rules(
        &mut self,
        path: &Value,
        route: &Route,
        (owner, slash): (&Name, Option<&str>),
    ) -> Result<Vec<Rule>, String> {
        let single = |filter: Value| {
            let rule = json!({ "matches": [{ "path": path }], "filters": [filter] });
            Ok(vec![Rule::new(rule)])
        };
        if let Target::Closed(closed) = &route.target {
            return Err(format!(
                "responds with {}: {}",
                closed.status.as_u16(),
                closed.reason
            ));
        }
        if let Some(slash) = slash {
            return single(json!({ "type": "RequestRedirect", "requestRedirect": {
                "statusCode": 301, "path": { "type": "ReplaceFullPath", "replaceFullPath": slash },
            } }));
        }
        if let Some(fixed) = &route.policy.redirect {
            let filter = redirect(fixed)?;
            let message = "the query of the request is kept in redirects";
            self.remark(&format!("Ingress {owner}"), "", message, false);
            return single(filter);
        }
        if let (Target::DefaultBackend(Some(_)), Some(protocol)) =
            (&route.target, self.protocol(owner))
        {
            return Err(format!(
                "the default backend has HTTP, and a policy gives all rules {protocol}"
            ));
        }
        let of = self.ingresses.get(owner);
        let has_own = of.is_some_and(|of| of.fields.contains_key("defaultBackend"));
        if has_own && matches!(route.target, Target::DefaultBackend(Some(_))) {
            let message = "while the default backend of all has no endpoints, requests without a path go to this one \
                           and do not get 503";
            self.lost(owner, "default-backend", message);
        }
        let (filter, by_policy) = self.rewrite(route, owner);
        let cases = match &route.target {
            Target::Forward(split) => self.cases(split, &owner.namespace)?,
            Target::DefaultBackend(Some(key)) => vec![super::backends::Case {
                headers: Vec::new(),
                backends: vec![self.service(key, &owner.namespace, None)?],
            }],
            Target::DefaultBackend(None) | Target::Closed(_) => return Ok(Vec::new()),
        };
        let rules = cases.into_iter().map(|case| {
            let mut one = json!({ "path": path });
            if !case.headers.is_empty() {
                one["headers"] = case.headers.into();
            }
            let mut spec = json!({ "matches": [one], "backendRefs": case.backends });
            if let Some(filter) = &filter {
                spec["filters"] = json!([filter]);
            }
            Rule {
                spec,
                rewritten: by_policy.then(String::new),
            }
        });
        Ok(rules.collect())
    }

    /// The protocol of the backends of an Ingress if it is not HTTP.
    fn protocol(&self, owner: &Name) -> Option<String> {
        let fields = &self.ingresses.get(owner)?.fields;
        let protocol = fields.get("backendProtocol")?.as_str()?;
        (!protocol.eq_ignore_ascii_case("HTTP")).then(|| protocol.to_owned())
    }

    /// The filter that rewrites the path, or whether a policy must, because the target has variables or groups.
    fn rewrite(&self, route: &Route, owner: &Name) -> (Option<Value>, bool) {
        let Some(Rewrite::Pattern(PatternRewrite {
            redirect,
            forwarded_prefix,
            ..
        })) = route.rewrite.as_deref()
        else {
            return (None, false);
        };
        let of = self.ingresses.get(owner).and_then(|of| of.rewrite.as_ref());
        let target = of.and_then(|fields| fields.get("rewriteTarget")?.as_str());
        match target {
            Some(target) if !target.contains('$') && !redirect && forwarded_prefix.is_none() => {
                let separator = if target.starts_with('/') { "" } else { "/" };
                let path = json!({
                    "type": "ReplaceFullPath", "replaceFullPath": format!("{separator}{target}"),
                });
                let filter = json!({ "type": "URLRewrite", "urlRewrite": { "path": path } });
                (Some(filter), false)
            }
            _ => (None, true),
        }
    }
}

/// # Errors
/// Why the API cannot say it.
fn redirect(fixed: &Redirect) -> Result<Value, String> {
    let Location::Fixed(location) = &fixed.location else {
        return Err("its redirect is not known".to_owned());
    };
    let location = location.to_str().unwrap_or_default();
    let status = fixed.status.as_u16();
    if !STATUSES.contains(&status) {
        return Err(format!(
            "redirects with status {status}, which the API does not have"
        ));
    }
    let unspeakable =
        || format!("a redirect to {location} cannot be said: it has a query or no host");
    if location.contains(['?', '#']) {
        return Err(unspeakable());
    }
    let mut spec = json!({ "statusCode": status });
    let path = if location.starts_with('/') {
        location
    } else {
        let (scheme, rest) = location.split_once("://").ok_or_else(unspeakable)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| unspeakable())?)),
            None => (authority, None),
        };
        if host.is_empty() || !["http", "https"].contains(&scheme) {
            return Err(unspeakable());
        }
        spec["scheme"] = json!(scheme);
        spec["hostname"] = json!(host.to_lowercase());
        if let Some(port) = port {
            spec["port"] = json!(port);
        }
        path
    };
    spec["path"] = json!({ "type": "ReplaceFullPath", "replaceFullPath": path });
    Ok(json!({ "type": "RequestRedirect", "requestRedirect": spec }))
}
