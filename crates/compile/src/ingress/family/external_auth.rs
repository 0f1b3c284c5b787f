//! The authentication service (behaviour.md 1.7); the entries of the registry are in [`super::auth`] and in the settings.

use std::sync::Arc;
use std::time::Duration;

use headgate_table as table;
use headgate_table::{AuthCache, CacheRule, SignIn, Template};
use http::header::{CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::{auth, snippets};
use crate::build::{UpstreamDraft, UrlAddress};
use crate::ingress::annotations::Rules;
use crate::ingress::policy::Inputs;
use crate::ingress::registry::{NameRef, OnInvalid, Reader, parse_header_name};
use crate::ingress::serving::headers;
use crate::objects::ConfigMap;
use crate::{Kind as ObjectKind, Name, ObjectRef};

/// The authentication service of an Ingress or of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalAuth {
    address: UrlAddress,
    /// The host of the URL is `$host`; that of the address stands for it and never resolves.
    at_host: bool,
    path: Template,
    method: Option<Method>,
    redirect: Option<Template>,
    sign_in: Option<SignIn>,
    response_fields: Arc<[HeaderName]>,
    always_set_cookie: bool,
    cache: Option<AuthCache>,
    /// ConfigMap with further fields of requests to it.
    request_fields: Option<Name>,
    /// Fields that directives set, after these.
    directive_fields: Vec<(HeaderName, Template)>,
}

impl ExternalAuth {
    /// The service at `url` with defaults for everything else.
    ///
    /// # Errors
    /// Why the URL cannot be used, as a message.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let invalid =
            |reason: String| format!("\"{}\" cannot be used: {reason}", url.escape_debug());
        let named = at_host(url);
        let (address, path) =
            UrlAddress::split(named.as_deref().unwrap_or(url)).map_err(invalid)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            address,
            at_host: named.is_some(),
            path: Template::parse(&path).map_err(|error| invalid(error.to_string()))?,
            method: None,
            redirect: None,
            sign_in: None,
            response_fields: Arc::default(),
            always_set_cookie: false,
            cache: None,
            request_fields: None,
            directive_fields: Vec::new(),
        })
    }

    /// `None` without `auth-url`, or if a value closes the routes. Unless `rules` allow snippets, one closes them.
    pub(crate) fn read(reader: &mut Reader, rules: &Rules<'_>) -> Option<Self> {
        let directive_fields = snippets::of_authentication(reader, rules);
        let url = reader.get(&auth::AUTH_URL)?;
        let mut service = match Self::at(&url) {
            Ok(service) => service,
            Err(reason) => {
                reader.reject(&auth::AUTH_URL, OnInvalid::Close, &reason);
                return None;
            }
        };
        service.method = reader
            .get(&auth::AUTH_METHOD)
            .and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        service.redirect = reader.parsed_or_close(&auth::AUTH_REQUEST_REDIRECT, Template::parse);
        if let Some(url) = reader.get(&auth::AUTH_SIGNIN) {
            let parameter = reader.get(&auth::AUTH_SIGNIN_REDIRECT_PARAM);
            match sign_in(&url, parameter.as_deref()) {
                Ok(sign_in) => service.sign_in = Some(sign_in),
                Err(reason) => reader.reject(&auth::AUTH_SIGNIN, OnInvalid::Ignore, &reason),
            }
        }
        let fields = reader.parsed_or_close(&auth::AUTH_RESPONSE_HEADERS, |list| {
            response_fields(list.split(','))
        });
        service.response_fields = fields.unwrap_or_default();
        service.directive_fields = directive_fields;
        service.always_set_cookie = reader.on(&auth::AUTH_ALWAYS_SET_COOKIE);
        service.request_fields =
            reader.parsed_or_close(&auth::AUTH_PROXY_SET_HEADERS, NameRef::full);
        let rules = reader.parsed_or_close(&auth::AUTH_CACHE_DURATION, cache_rules);
        if let Some(key) = reader.parsed_or_close(&auth::AUTH_CACHE_KEY, Template::parse) {
            let rules = rules.unwrap_or_else(default_rules);
            service.cache = Some(AuthCache { key, rules });
        }
        Some(service)
    }

    /// Sets what the ConfigMap's `global-auth-*` keys may set.
    pub(crate) fn with(self, global: GlobalParts) -> Self {
        let cache = global.cache_key.map(|key| AuthCache {
            key,
            rules: global.cache_rules.unwrap_or_else(default_rules),
        });
        Self {
            method: global.method,
            redirect: global.redirect,
            sign_in: global.sign_in,
            response_fields: global.response_fields,
            always_set_cookie: global.always_set_cookie,
            cache,
            directive_fields: global.directive_fields,
            ..self
        }
    }

    /// Whether the service is at the host of the request.
    pub(crate) fn is_at_host(&self) -> bool {
        self.at_host
    }

    /// The upstream of the service, if it is that of a Service port.
    pub(crate) fn service(&self) -> Option<UpstreamDraft> {
        self.address.service()
    }

    /// The policy of an object of `namespace`; its ConfigMap is added to `uses`.
    ///
    /// # Errors
    /// Why the further fields cannot be read, as a message: the routes are closed.
    pub(crate) fn policy(
        &self,
        namespace: &str,
        inputs: &Inputs<'_>,
        uses: &mut Vec<ObjectRef>,
    ) -> Result<Arc<table::ExternalAuth>, String> {
        let fields = match &self.request_fields {
            None => Vec::new(),
            Some(name) => request_fields(name, namespace, inputs, uses)?,
        };
        self.table(fields)
    }

    /// `service`, which this has compiled to, for requests to `host`: with `$host` in the URL it is at that name. `None`: the
    /// host has no name of its own, and requests to the service fail.
    pub(crate) fn for_host(
        &self,
        service: &Arc<table::ExternalAuth>,
        host: &str,
    ) -> Option<Arc<table::ExternalAuth>> {
        if !self.at_host {
            return Some(service.clone());
        }
        if host == table::CATCH_ALL || host.starts_with('*') {
            return None;
        }
        Some(Arc::new(table::ExternalAuth {
            target: self.address.at(host).target(),
            host: HeaderValue::from_str(host).ok()?,
            ..table::ExternalAuth::clone(service)
        }))
    }

    /// The service in the table, with these further fields.
    ///
    /// # Errors
    /// If the host is no field value.
    pub(crate) fn table(
        &self,
        mut request_fields: Vec<(HeaderName, Template)>,
    ) -> Result<Arc<table::ExternalAuth>, String> {
        request_fields.extend(self.directive_fields.iter().cloned());
        let host = self.address.host();
        let invalid = |_| format!("host \"{}\" is no field value", host.escape_debug());
        Ok(Arc::new(table::ExternalAuth {
            target: self.address.target(),
            host: HeaderValue::from_str(host).map_err(invalid)?,
            path: self.path.clone(),
            method: self.method.clone(),
            request_fields: request_fields.into(),
            redirect: self.redirect.clone(),
            sign_in: self.sign_in.clone(),
            response_fields: self.response_fields.clone(),
            always_set_cookie: self.always_set_cookie,
            cache: self.cache.clone(),
        }))
    }
}

/// A host name that never resolves (RFC 6761 section 6.4).
const NOWHERE: &str = "host.invalid";

/// `url` with another host, if its host is `$host`.
fn at_host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://$host")?;
    let ends = rest.is_empty() || rest.starts_with([':', '/', '?']);
    ends.then(|| format!("{scheme}://{NOWHERE}{rest}"))
}

/// What keys of the ConfigMap set of the service of all routes.
#[derive(Debug, Default)]
pub(crate) struct GlobalParts {
    pub(crate) method: Option<Method>,
    pub(crate) redirect: Option<Template>,
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) response_fields: Arc<[HeaderName]>,
    pub(crate) always_set_cookie: bool,
    pub(crate) cache_key: Option<Template>,
    pub(crate) cache_rules: Option<Arc<[CacheRule]>>,
    pub(crate) directive_fields: Vec<(HeaderName, Template)>,
}

/// The fields of the ConfigMap `name`, which must be in `namespace` unless the settings permit others.
fn request_fields(
    name: &Name,
    namespace: &str,
    inputs: &Inputs<'_>,
    uses: &mut Vec<ObjectRef>,
) -> Result<Vec<(HeaderName, Template)>, String> {
    if *name.namespace != *namespace && !inputs.settings.annotations.cross_namespace {
        return Err(format!(
            "ConfigMap {name} is in another namespace, which only allow-cross-namespace-resources permits"
        ));
    }
    uses.push(ObjectRef {
        kind: ObjectKind::ConfigMap,
        name: name.clone(),
    });
    let map = inputs.snapshot.get::<ConfigMap>(name);
    let map = map.ok_or_else(|| format!("there is no ConfigMap {name}"))?;
    let fields = headers(map).map_err(|reason| format!("ConfigMap {name}: {reason}"))?;
    let template = |field: crate::ingress::serving::Header<'_>| {
        let value = field.value.to_str().unwrap_or_default();
        let value = Template::parse(value);
        let value = value.map_err(|error| format!("ConfigMap {name}, {}: {error}", field.name))?;
        Ok((field.name, value))
    };
    fields.into_iter().map(template).collect()
}

/// The sign-in page with the parameter for the URL of the request, unless its query has that parameter.
///
/// # Errors
/// If the URL contains `$` without a variable.
pub(crate) fn sign_in(url: &str, parameter: Option<&str>) -> Result<SignIn, String> {
    const PARAMETER: &str = "rd";
    let parsed = Template::parse(url).map_err(|error| format!("\"{url}\": {error}"))?;
    let parameter = parameter
        .filter(|name| !name.is_empty())
        .unwrap_or(PARAMETER);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    let has = pairs.clone().any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        name == parameter && !value.is_empty()
    });
    let separator = if pairs.next().is_some() { '&' } else { '?' };
    Ok(SignIn {
        url: parsed,
        parameter: (!has).then(|| format!("{separator}{parameter}=").into()),
    })
}

/// Fields that the backend gets from the response of the service.
///
/// # Errors
/// A name that is none, or whose field frames the message.
pub(crate) fn response_fields<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Result<Arc<[HeaderName]>, String> {
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let field = |name: &str| {
        let name = parse_header_name(name).map_err(|error| error.to_string())?;
        let frames = [CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE];
        if frames.contains(&name) || name == http::header::CONNECTION {
            return Err(format!(
                "{name} cannot be copied: it frames the message or routes it"
            ));
        }
        Ok(name)
    };
    names.map(field).collect()
}

fn default_rules() -> Arc<[CacheRule]> {
    let statuses = [
        StatusCode::OK,
        StatusCode::ACCEPTED,
        StatusCode::UNAUTHORIZED,
    ];
    let rule = CacheRule {
        statuses: statuses.into(),
        lifetime: Duration::from_secs(5 * 60),
    };
    [rule].into()
}

/// `200 202 5m, 401 1m`: a comma list of statuses with a time. Without statuses: 200, 301 and 302, as in nginx.
///
/// # Errors
/// A rule without a time, or with something after it.
pub(crate) fn cache_rules(text: &str) -> Result<Arc<[CacheRule]>, String> {
    let rules = text
        .split(',')
        .map(str::trim)
        .filter(|rule| !rule.is_empty());
    rules.map(cache_rule).collect()
}

fn cache_rule(text: &str) -> Result<CacheRule, String> {
    let invalid =
        || format!("\"{text}\" must be status codes and then one time, such as 200 202 5m");
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let lifetime = words.pop().and_then(lifetime).ok_or_else(invalid)?;
    let status = |word: &str| {
        let digits = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        let status = StatusCode::from_bytes(word.as_bytes()).ok();
        status.filter(|_| digits).ok_or_else(invalid)
    };
    let mut statuses: Vec<StatusCode> = words.into_iter().map(status).collect::<Result<_, _>>()?;
    if statuses.is_empty() {
        statuses = vec![
            StatusCode::OK,
            StatusCode::MOVED_PERMANENTLY,
            StatusCode::FOUND,
        ];
    }
    Ok(CacheRule {
        statuses: statuses.into(),
        lifetime,
    })
}

fn lifetime(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "M" => 30 * 86_400,
        "y" => 365 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_host_of_the_request_is_that_of_its_rule() {
        let service = ExternalAuth::at("http://$host:81/oauth2/auth?x=$host").unwrap();
        let compiled = service.table(Vec::new()).unwrap();
        assert_eq!(compiled.target.key().as_str(), "http://host.invalid:81");
        let own = service.for_host(&compiled, "a.example").unwrap();
        assert_eq!(own.target.key().as_str(), "http://a.example:81");
        assert_eq!(own.host, "a.example");
        assert_eq!(own.path.source(), "/oauth2/auth?x=$host");
        for host in ["_", "*.example"] {
            assert!(service.for_host(&compiled, host).is_none());
        }
        for url in [
            "http://$hosts/",
            "http://$host.example/",
            "http://a.$host/",
            "$host",
        ] {
            assert!(ExternalAuth::at(url).is_err(), "{url}");
        }
        let fixed = ExternalAuth::at("http://auth.example/").unwrap();
        let compiled = fixed.table(Vec::new()).unwrap();
        assert!(fixed.for_host(&compiled, "_").is_some());
    }

    #[test]
    fn the_sign_in_parameter_follows_the_query() {
        let parameter = |url: &str, name: Option<&str>| {
            let sign_in = sign_in(url, name).unwrap();
            sign_in.parameter.as_deref().map(str::to_owned)
        };
        assert_eq!(parameter("https://a/start", None).as_deref(), Some("?rd="));
        assert_eq!(
            parameter("https://a/start?x=1", None).as_deref(),
            Some("&rd=")
        );
        assert_eq!(parameter("https://a/?rd=$request_uri", None), None);
        assert_eq!(
            parameter("https://a/?rd=x", Some("to")).as_deref(),
            Some("&to=")
        );
        assert!(sign_in("https://a/$", None).is_err());
    }

    #[test]
    fn cache_rules_are_statuses_and_a_time() {
        let rules = cache_rules("200 202 5m, 401 30s,1h").unwrap();
        let shown: Vec<(usize, u64)> = rules
            .iter()
            .map(|rule| (rule.statuses.len(), rule.lifetime.as_secs()))
            .collect();
        assert_eq!(shown, [(2, 300), (1, 30), (3, 3600)]);
        for invalid in ["200", "5m 200", "20 5m", "200 5x", "200 5", "abc 5m"] {
            assert!(cache_rules(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn fields_that_frame_a_message_are_not_copied() {
        assert_eq!(
            response_fields("X-User, X-Email,".split(','))
                .unwrap()
                .len(),
            2
        );
        for name in ["Content-Length", "host", "Transfer-Encoding", "a b"] {
            assert!(response_fields([name].into_iter()).is_err(), "{name}");
        }
    }
}
