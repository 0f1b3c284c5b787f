//! Which requests an Ingress serves, and how their path is rewritten.

use std::sync::Arc;

use headgate_table::{AppRoot, Pattern, PatternRewrite, Piece, Rewrite, Template, Variable};

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Key, Reader, When, differences, excerpt, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    REWRITE_TARGET: String =
        annotation("rewrite-target", types::chars(Class::PathCapture),
            "Replaces the request path; $1 to $9 are the capture groups of the Ingress path. Switches the host to regex matching.")
            .ingress().risk(Risk::Medium)
            .differs(differences![
                When::StartsNot("/") =>
                    "A leading slash is added; ingress-nginx sends the target as it is.",
            ]);
    USE_REGEX: bool =
        annotation("use-regex", types::BOOL, "Paths of this Ingress are regexes. Switches the host to regex matching.")
            .default("false")
            .differs(differences![
                When::Sometimes =>
                    "Constructs of PCRE that only it has are refused, each with a finding; a path that does not compile is not served, where ingress-nginx stops reloading.",
            ])
            .of_no_policy("it says what the paths of an Ingress are; routes have paths of type RegularExpression");
    APP_ROOT: String =
        annotation("app-root", types::APP_ROOT, "Redirects / of the host to this path with 302.")
            .risk(Risk::Medium)
            .only_of_ingresses("routes have the filter RequestRedirect");
    SERVER_ALIAS: Vec<String> =
        annotation("server-alias", types::SERVER_NAMES, "Further names of the host; ~ starts a regex.")
            .ingress().risk(Risk::High).refuses()
            .of_no_policy("it adds names to a host; routes have spec.hostnames");
    DEFAULT_BACKEND: String =
        annotation("default-backend", types::SERVICE,
            "Service of the same namespace that gets requests when the backend has no endpoints, and has the pages of custom-http-errors.")
            .refuses().names(ObjectKind::Service);
    X_FORWARDED_PREFIX: String =
        annotation("x-forwarded-prefix", types::spaced(Class::PathCapture),
            "X-Forwarded-Prefix towards the backend, when rewrite-target changes the path.")
            .risk(Risk::Medium).refuses().needs(&[REWRITE_TARGET.row()])
            .differs(differences![
                When::Has(&[" "]) =>
                    "A space is percent-encoded; ingress-nginx sends it.",
            ]);
    SERVICE_UPSTREAM: bool =
        annotation("service-upstream", types::BOOL, "Uses the Service's cluster address instead of its endpoints.")
            .setting(&settings::upstream::SERVICE_UPSTREAM).ingress().on_canary();
} }

/// Which requests an Ingress serves, and how their path is rewritten.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Routing {
    pub(crate) rewrite_target: Option<Box<RewriteTarget>>,
    /// Paths are regexes. Off when not set.
    pub(crate) use_regex: Option<bool>,
    /// `/` of the host is redirected to this path.
    pub(crate) app_root: Option<AppRoot>,
    /// `Some` if aliases are configured, even if none of them is valid.
    pub(crate) server_aliases: Option<Box<ServerAliases>>,
    /// Service of the same namespace that is used while the backend has no endpoints.
    pub(crate) default_backend: Option<String>,
    /// Use the Service's cluster address. An invalid value is `Some(false)`, which overrides the ConfigMap.
    pub(crate) service_upstream: Option<bool>,
}

/// The new path of a request, and the `X-Forwarded-Prefix` field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RewriteTarget {
    source: String,
    /// `None`: a template is invalid, so paths are not rewritten.
    templates: Option<Templates>,
}

#[derive(Debug, Clone, PartialEq)]
struct Templates {
    path: Template,
    forwarded_prefix: Option<Template>,
}

/// What the expressions of the aliases of one Ingress may take beyond their texts, bytes: as much as one expression.
const HEAVIEST: usize = 1 << 20;

/// Aliases of a host.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ServerAliases {
    /// Lower-case.
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) expressions: Vec<Pattern>,
}

impl Routing {
    /// Compiles at most `expressions` regular expressions.
    pub(crate) fn read(reader: &mut Reader, expressions: usize) -> Self {
        let app_root = reader.get(&APP_ROOT);
        let service_upstream = reader.get(&SERVICE_UPSTREAM);
        let invalid = || reader.was_invalid(&SERVICE_UPSTREAM).then_some(false);
        Self {
            service_upstream: service_upstream.or_else(invalid),
            use_regex: reader.get(&USE_REGEX),
            default_backend: reader.get(&DEFAULT_BACKEND),
            rewrite_target: RewriteTarget::read(reader).map(Box::new),
            app_root: app_root.map(|path| AppRoot { path: path.into() }),
            server_aliases: ServerAliases::read(reader, expressions).map(Box::new),
        }
    }

    /// Whether `path` of this Ingress is a regular expression, which puts its host into regex mode: by `use-regex`, or a rewrite
    /// that changes it.
    pub(crate) fn is_regex(&self, path: &str) -> bool {
        self.use_regex == Some(true) || self.changed(path).is_some()
    }

    /// The rewrite of `path`, unless its target is equal.
    pub(crate) fn changed(&self, path: &str) -> Option<&RewriteTarget> {
        let target = self.rewrite_target.as_deref();
        target.filter(|target| target.source != path)
    }
}

impl RewriteTarget {
    fn read(reader: &mut Reader) -> Option<Self> {
        let source = reader.get(&REWRITE_TARGET)?;
        let path = template(reader, &REWRITE_TARGET, &source);
        let prefix = reader.get(&X_FORWARDED_PREFIX);
        let prefix = prefix.map(|prefix| template(reader, &X_FORWARDED_PREFIX, &prefix));
        let templates = match (path, prefix) {
            (None, _) | (_, Some(None)) => None,
            (Some(path), prefix) => Some(Templates {
                path,
                forwarded_prefix: prefix.flatten(),
            }),
        };
        let target = Self { source, templates };
        if target.repeats_query() {
            const MESSAGE: &str = "a redirect to this URL has the query twice, because $request_uri contains it and the \
                query of the request is appended; $uri has the path alone";
            reader.warn(&REWRITE_TARGET, MESSAGE);
        } else if target.is_url() {
            const MESSAGE: &str = "requests are redirected to this URL with 302, and their query is appended; \
                temporal-redirect and permanent-redirect need no expression in the path";
            reader.info_entry(REWRITE_TARGET.entry(), MESSAGE);
        }
        Some(target)
    }

    fn is_url(&self) -> bool {
        self.source.starts_with("http://") || self.source.starts_with("https://")
    }

    fn repeats_query(&self) -> bool {
        let uri = |piece: &Piece| *piece == Piece::Variable(Variable::RequestUri);
        let path = self.templates.as_ref().map(|templates| &templates.path);
        self.is_url() && path.is_some_and(|path| path.pieces().iter().any(uri))
    }

    /// The first name in it that is neither a variable nor a group of `pattern`.
    pub(crate) fn unknown_name(&self, pattern: &Pattern) -> Option<&str> {
        let templates = self.templates.as_ref()?;
        let prefix = templates.forwarded_prefix.as_ref();
        let mut names = templates
            .path
            .groups()
            .chain(prefix.into_iter().flat_map(Template::groups));
        names.find(|name| !pattern.has_group(name))
    }

    /// The rewrite of paths that match `pattern`; none if a template is invalid.
    pub(crate) fn rewrite(&self, pattern: Arc<Pattern>) -> Option<Rewrite> {
        let templates = self.templates.as_ref()?;
        Some(Rewrite::Pattern(PatternRewrite {
            pattern,
            target: templates.path.clone(),
            redirect: self.is_url(),
            forwarded_prefix: templates.forwarded_prefix.clone(),
        }))
    }
}

fn template(reader: &mut Reader, key: &Key<String>, source: &str) -> Option<Template> {
    let parsed = Template::with_groups(source);
    let report = |error| reader.error(key, format!("{error}; paths are not rewritten"));
    parsed.map_err(report).ok()
}

impl ServerAliases {
    fn read(reader: &mut Reader, expressions: usize) -> Option<Self> {
        let mut aliases = Self::default();
        let mut left = expressions;
        let mut weight = 0_usize;
        for alias in reader.get(&SERVER_ALIAS)? {
            let Some(source) = alias.strip_prefix('~') else {
                aliases.names.push(alias.to_ascii_lowercase().into());
                continue;
            };
            if left == 0 {
                let message =
                    format!("regular expressions beyond {expressions} are not checked now");
                reader.warn(&SERVER_ALIAS, message);
                break;
            }
            left -= 1;
            weight = weight.saturating_add(Pattern::weight_of(source));
            if weight > HEAVIEST {
                let message = format!(
                    "\"{}\": the expressions repeat too much: together they take more than {HEAVIEST} bytes; left out",
                    excerpt(alias.as_str())
                );
                reader.warn(&SERVER_ALIAS, message);
                break;
            }
            // Host names of requests are in lower case, and nginx ignores case only if the name has a capital letter.
            let pattern = match source.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => Pattern::case_insensitive(source),
                false => Pattern::new(source),
            };
            match pattern {
                Ok(pattern) => aliases.expressions.push(pattern),
                Err(error) => {
                    let message =
                        format!("\"{alias}\" is not a regular expression: {error}; left out");
                    reader.warn(&SERVER_ALIAS, message);
                }
            }
        }
        Some(aliases)
    }
}
