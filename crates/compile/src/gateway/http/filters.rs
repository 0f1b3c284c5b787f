//! Filters of HTTPRoutes (gateway-api.md 3.6 to 3.8).

use std::num::NonZeroU32;
use std::sync::Arc;

use headgate_table::{
    BackendFilters, FetchCors, FieldEdit, FieldEdits, FieldTemplate, Forwarding, Location, Mirror,
    PathEdit, Redirect, Rewrite, Share, UrlParts,
};
use http::{HeaderValue, StatusCode};

use super::authorization::{self, Asked};
use super::cors;
use crate::gateway::backend::Referrer;
use crate::gateway::condition::Problem;
use crate::gateway::header_edits;
use crate::objects::custom::{
    BackendRef, HttpFilter, MirrorFilter, PathModifier, RedirectFilter, RewriteFilter,
};

/// What the filters of a rule or backend do.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) redirect: Option<Redirect>,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) cors: Option<FetchCors>,
    /// The service that decides whether requests are allowed.
    pub(super) authorization: Option<Asked>,
    host: Option<HeaderValue>,
    request: Vec<FieldEdit>,
    response: Vec<FieldEdit>,
    /// Services that get copies, with their shares of the requests.
    pub(super) mirrors: Vec<(BackendRef, Option<Share>)>,
}

impl Filters {
    /// The filters of a rule of `referrer` whose one match has the path `prefix`.
    ///
    /// # Errors
    /// A filter that cannot be honoured. It must not be skipped: it may protect something.
    pub(super) fn of(
        list: &[HttpFilter],
        prefix: &str,
        referrer: Referrer<'_>,
    ) -> Result<Self, Problem> {
        let mut filters = Self::default();
        for filter in list {
            filters.add(filter, prefix, referrer)?;
        }
        Ok(filters)
    }

    fn add(
        &mut self,
        filter: &HttpFilter,
        prefix: &str,
        referrer: Referrer<'_>,
    ) -> Result<(), Problem> {
        match &*filter.kind {
            "RequestHeaderModifier" => {
                let edits = filter.request_header_modifier.as_ref();
                self.request
                    .extend(header_edits::edits(present(edits, filter)?)?);
            }
            "ResponseHeaderModifier" => {
                let edits = filter.response_header_modifier.as_ref();
                self.response
                    .extend(header_edits::edits(present(edits, filter)?)?);
            }
            "RequestRedirect" => {
                let spec = present(filter.request_redirect.as_ref(), filter)?;
                self.redirect = Some(redirect(spec, prefix)?);
            }
            "RequestMirror" => {
                let spec = present(filter.request_mirror.as_ref(), filter)?;
                self.mirrors.push((spec.backend_ref.clone(), share(spec)?));
            }
            "CORS" => self.cors = Some(cors::rules(present(filter.cors.as_ref(), filter)?)?),
            "URLRewrite" => self.rewrite(present(filter.url_rewrite.as_ref(), filter)?, prefix)?,
            "ExternalAuth" => {
                let spec = present(filter.external_auth.as_ref(), filter)?;
                self.authorization = Some(authorization::asked(spec, referrer.namespace)?);
            }
            other => {
                let message = format!("the filter {other:?} is not supported");
                return Err(Problem::new("UnsupportedValue", message));
            }
        }
        Ok(())
    }

    fn rewrite(&mut self, spec: &RewriteFilter, prefix: &str) -> Result<(), Problem> {
        if let Some(host) = &spec.hostname {
            let value = HeaderValue::from_str(host);
            self.host = Some(value.map_err(|_| invalid("hostname", host))?);
        }
        let path = spec
            .path
            .as_ref()
            .map(|path| path_edit(path, prefix))
            .transpose()?;
        self.rewrite = path.map(Rewrite::Path).or_else(|| self.rewrite.take());
        Ok(())
    }

    /// The edits of a backend: those of its rule, then its own. `None` if there are none.
    ///
    /// # Errors
    /// A filter of the backend that only rules can have.
    pub(super) fn edits_with(
        &self,
        own: &Self,
        mirrors: Vec<Arc<Mirror>>,
    ) -> Result<Option<Arc<BackendFilters>>, Problem> {
        let only_of_rules = own.redirect.is_some()
            || own.rewrite.is_some()
            || own.host.is_some()
            || own.cors.is_some()
            || own.authorization.is_some();
        if only_of_rules {
            let message =
                "redirects, rewrites, CORS and ExternalAuth of a single backend are not supported";
            return Err(Problem::new("UnsupportedValue", message));
        }
        let both = |rule: &[FieldEdit], own: &[FieldEdit]| {
            FieldEdits(rule.iter().chain(own).cloned().collect())
        };
        let edits = BackendFilters {
            request: both(&self.request, &own.request),
            response: both(&self.response, &own.response),
            mirrors: mirrors.into(),
        };
        Ok((edits != BackendFilters::default()).then(|| Arc::new(edits)))
    }

    /// The edits of requests, which copies of them get too.
    pub(super) fn request_edits(&self) -> FieldEdits {
        FieldEdits(self.request.iter().cloned().collect())
    }

    /// `forwarding` with what the filters say of it.
    pub(super) fn forwarding(&self, forwarding: Forwarding) -> Forwarding {
        Forwarding {
            host: self
                .host
                .clone()
                .map(FieldTemplate::Fixed)
                .or(forwarding.host),
            ..forwarding
        }
    }
}

/// The part of a filter that its type names.
fn present<'f, T>(part: Option<&'f T>, filter: &HttpFilter) -> Result<&'f T, Problem> {
    part.ok_or_else(|| {
        let message = format!("the filter {:?} lacks its settings", filter.kind);
        Problem::new("UnsupportedValue", message)
    })
}

/// `None`: all requests are copied.
fn share(spec: &MirrorFilter) -> Result<Option<Share>, Problem> {
    let (part, of) = match (spec.percent, spec.fraction) {
        (None, None) => return Ok(None),
        (Some(percent), _) => (percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
    };
    let of = NonZeroU32::new(of).ok_or_else(|| invalid("fraction.denominator", "0"))?;
    Ok(Some(Share { part, of }))
}

fn redirect(spec: &RedirectFilter, prefix: &str) -> Result<Redirect, Problem> {
    let https = match spec.scheme.as_deref() {
        None => None,
        Some("http") => Some(false),
        Some("https") => Some(true),
        Some(other) => return Err(invalid("scheme", other)),
    };
    let status = spec.status_code.unwrap_or(302);
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(StatusCode::is_redirection);
    let status = status.ok_or_else(|| {
        let code = spec.status_code.unwrap_or_default();
        invalid("statusCode", &code.to_string())
    })?;
    if let Some(host) = &spec.hostname {
        HeaderValue::from_str(host).map_err(|_| invalid("hostname", host))?;
    }
    Ok(Redirect {
        status,
        location: Location::Url(Box::new(UrlParts {
            https,
            host: spec.hostname.as_deref().map(Into::into),
            port: spec.port,
            path: spec
                .path
                .as_ref()
                .map(|path| path_edit(path, prefix))
                .transpose()?,
        })),
    })
}

/// `prefix` is the one that is replaced.
fn path_edit(spec: &PathModifier, prefix: &str) -> Result<PathEdit, Problem> {
    match &*spec.kind {
        "ReplaceFullPath" => {
            let path = spec.replace_full_path.as_deref().unwrap_or("/");
            HeaderValue::from_str(path).map_err(|_| invalid("replaceFullPath", path))?;
            Ok(PathEdit::Full(path.into()))
        }
        "ReplacePrefixMatch" => {
            let path = spec.replace_prefix_match.as_deref().unwrap_or("/");
            HeaderValue::from_str(path).map_err(|_| invalid("replacePrefixMatch", path))?;
            Ok(PathEdit::prefix(prefix, path))
        }
        other => Err(invalid("path", other)),
    }
}

fn invalid(field: &str, value: &str) -> Problem {
    Problem::new(
        "UnsupportedValue",
        format!("{field} {value:?} is not supported"),
    )
}
