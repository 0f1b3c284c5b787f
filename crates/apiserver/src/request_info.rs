//! The verb of a request, its resource, and the options in its query.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::failure::Failure;
use super::kinds::{self, Kind};
use super::selectors::{self, Labels, Selection};
use super::stored::Key;

/// A request for a resource, or for a path.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    /// Verb of RBAC.
    pub(crate) verb: &'static str,
    /// The path without the query.
    pub(crate) path: String,
    /// The kind, when the path is of a resource.
    pub(crate) kind: Option<&'static Kind>,
    /// The namespace in the path.
    pub(crate) namespace: Option<String>,
    /// The name in the path.
    pub(crate) name: Option<String>,
    /// The subresource in the path; empty: none.
    pub(crate) subresource: String,
    /// Options.
    pub(crate) query: Query,
    /// `Accept`.
    pub(crate) accept: String,
    /// `Content-Type` without parameters.
    pub(crate) content_type: String,
    /// `User-Agent`.
    pub(crate) agent: String,
}

/// The options in a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| decode(&text.replace('+', " "));
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The first value of an option; empty: none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(option, _)| option == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// Whether an option is present.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(option, _)| option == name)
    }

    /// Whether an option is true.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            Failure::bad_request(format!("Invalid value: {text:?}: {name} is not a number"))
        })
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.0
            .iter()
            .any(|(name, value)| name == "dryRun" && value == "All")
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl RequestInfo {
    /// Reads the head of a request.
    pub(crate) fn read(parts: &Parts) -> Self {
        let header = |name: &str| {
            let value = parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let content_type = header("content-type");
        let mut info = Self {
            verb: "get",
            path: parts.uri.path().to_owned(),
            kind: None,
            namespace: None,
            name: None,
            subresource: String::new(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            accept: header("accept"),
            content_type: content_type
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            agent: header("user-agent"),
        };
        info.locate();
        info.verb = info.verb_of(&parts.method);
        info
    }

    /// `ingresses` or `ingresses/status`; empty for other paths.
    pub(crate) fn resource(&self) -> String {
        match (self.kind, self.subresource.as_str()) {
            (None, _) => String::new(),
            (Some(kind), "") => kind.plural.to_owned(),
            (Some(kind), subresource) => format!("{}/{subresource}", kind.plural),
        }
    }

    /// The selection of a list, a watch or a deletion of many.
    pub(crate) fn selection(&self, kind: &Kind) -> Result<Selection, Failure> {
        Ok(Selection {
            namespace: self.namespace.clone(),
            labels: Labels::parse(self.query.text("labelSelector"))?,
            fields: selectors::fields(kind, self.query.text("fieldSelector"))?,
        })
    }

    /// The field manager: `fieldManager`, else the program in `User-Agent`.
    pub(crate) fn manager(&self) -> String {
        let named = self.query.text("fieldManager");
        if !named.is_empty() {
            return named.to_owned();
        }
        let program = self.agent.split('/').next().unwrap_or_default();
        if program.is_empty() {
            "unknown"
        } else {
            program
        }
        .to_owned()
    }

    fn locate(&mut self) {
        let segments: Vec<String> = self.path.split('/').skip(1).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return,
        };
        let find = |plural: &str| kinds::by_path(group, version, plural);
        let (kind, namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..]
                if find(plural).is_some_and(|kind| kind.namespaced) =>
            {
                (find(plural), Some((*namespace).to_owned()), rest)
            }
            [plural, rest @ ..] => (find(plural), None, rest),
            [] => return,
        };
        let Some(kind) = kind else { return };
        let (name, subresource) = match rest {
            [] | [""] => (None, ""),
            [name] => (Some((*name).to_owned()), ""),
            [name, subresource] => (Some((*name).to_owned()), *subresource),
            _ => return,
        };
        // The path of a namespaced object has its namespace.
        if name.is_some() && kind.namespaced && namespace.is_none() {
            return;
        }
        if !subresource.is_empty() && !kind.subresources.contains(&subresource) {
            return;
        }
        self.namespace = namespace;
        self.name = name;
        self.subresource = subresource.to_owned();
        self.kind = Some(kind);
    }

    fn verb_of(&self, method: &Method) -> &'static str {
        if self.kind.is_none() {
            return match method.as_str() {
                "POST" => "post",
                "PUT" => "put",
                "PATCH" => "patch",
                "DELETE" => "delete",
                "GET" => "get",
                _ => "other",
            };
        }
        match (method.as_str(), self.name.is_some()) {
            ("GET", _) if self.query.is("watch") => "watch",
            ("GET", true) => "get",
            ("GET", false) => "list",
            ("POST", _) => "create",
            ("PUT", true) => "update",
            ("PATCH", true) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "other",
        }
    }

    /// The key of the object in the path.
    pub(crate) fn key(&self) -> Key {
        Key::new(
            self.namespace.as_deref().unwrap_or_default(),
            self.name.as_deref().unwrap_or_default(),
        )
    }

    /// The request as a creation, whose permission an apply of a new object needs, too.
    pub(crate) fn as_creation(&self) -> Self {
        Self {
            verb: "create",
            ..self.clone()
        }
    }
}
