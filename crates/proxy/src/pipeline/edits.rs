//! Edits of header fields: of every response, and of the requests and responses of a backend.

use bytes::Bytes;
use headgate_table::{
    FieldEdit, FieldEdits, FieldTemplate, Level, Policy, Reads, Script, Settings, Template,
};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::cors::CorsFields;
use super::field_changes::FieldChanges;
use super::{cors, script};
use crate::values::Locals;

/// The edits of one response. Steps add to them; they are applied once, whichever step responds.
#[derive(Debug)]
pub(super) struct ResponseEdits<'t> {
    settings: &'t Settings,
    backend: Option<&'t FieldEdits>,
    /// What the authorization service changes.
    changes: Option<Box<FieldChanges>>,
    /// A field of the step that admitted the request.
    field: Option<(HeaderName, HeaderValue)>,
    /// Cookies of the authentication service, and whether they are for every status.
    cookies: Option<Box<(Vec<HeaderValue>, bool)>>,
    cors: Option<CorsFields<'t>>,
    hsts: Option<&'t HeaderValue>,
    route: &'t [(HeaderName, FieldTemplate)],
    script: Option<Box<Scripted<'t>>>,
}

/// The edits of a script.
#[derive(Debug)]
struct Scripted<'t> {
    script: &'t Script,
    level: &'t Level,
    locals: Option<Box<Locals>>,
}

impl Scripted<'_> {
    /// A condition selected the level.
    fn is_inner(&self) -> bool {
        let base = self.script.levels.first();
        !base.is_some_and(|base| std::ptr::eq(base, self.level))
    }
}

impl<'t> ResponseEdits<'t> {
    /// The edits of every response.
    pub(super) fn new(settings: &'t Settings) -> Self {
        Self {
            settings,
            backend: None,
            changes: None,
            field: None,
            cookies: None,
            cors: None,
            hsts: None,
            route: &[],
            script: None,
        }
    }

    /// Adds the fields of a route with `policy`; HSTS if the listener speaks TLS.
    pub(super) fn add_route(&mut self, policy: &'t Policy, https: bool) {
        let hsts = self.settings.hsts.as_ref().filter(|_| https && policy.hsts);
        self.hsts = hsts.map(|hsts| &hsts.value);
        self.route = &policy.response_headers;
    }

    /// Removes what a route adds, but for the fields of CORS: clients read those of a redirect to the sign-in page.
    pub(super) fn remove_route(&mut self) {
        self.hsts = None;
        self.route = &[];
        self.script = None;
    }

    /// Removes what a route allows and adds.
    pub(super) fn leave_route(&mut self) {
        self.remove_route();
        self.cors = None;
    }

    /// Adds the edits of a level of `script`, whose templates read `locals`. A level that a condition selected replaces the
    /// fields of CORS, which depend on a condition too.
    pub(super) fn add_script(
        &mut self,
        script: &'t Script,
        level: usize,
        locals: Option<Box<Locals>>,
    ) {
        if level > 0 {
            self.cors = None;
        }
        self.script = script.levels.get(level).map(|level| {
            Box::new(Scripted {
                script,
                level,
                locals,
            })
        });
    }

    /// What templates read that a script has set.
    pub(super) fn take_locals(&mut self) -> Option<Box<Locals>> {
        self.script.as_mut()?.locals.take()
    }

    /// Adds the fields of cross-origin resource sharing.
    pub(super) fn add_cors(&mut self, fields: CorsFields<'t>) {
        self.cors = Some(fields);
    }

    /// Adds the edits of the backend that serves.
    pub(super) fn add_backend(&mut self, edits: &'t FieldEdits) {
        self.backend = Some(edits);
    }

    /// Adds changes of what the backend responds.
    pub(super) fn add_changes(&mut self, changes: FieldChanges) {
        self.changes = Some(Box::new(changes));
    }

    /// Adds a field, which replaces that of the backend.
    pub(super) fn add_field(&mut self, name: HeaderName, value: HeaderValue) {
        self.field = Some((name, value));
    }

    /// Adds `Set-Cookie` fields to success and redirects, or with `always` to every response.
    pub(super) fn add_cookies(&mut self, cookies: Vec<HeaderValue>, always: bool) {
        self.cookies = Some(Box::new((cookies, always)));
    }

    /// What the templates of configured fields read.
    pub(super) fn reads(&self) -> impl Iterator<Item = &'t Reads> + use<'t> {
        let fields = self.settings.response_headers.iter().chain(self.route);
        let fields = fields.filter_map(|(_, value)| Some(value.template()?.reads()));
        let script = self.script.as_ref().map(|scripted| scripted.script);
        fields.chain(
            script
                .into_iter()
                .flat_map(|script| of_script(script, self.settings)),
        )
    }

    /// Edits the `headers` of a response with `status`; `expand` fills in templates. Later edits win: those of the backend are
    /// first, the configured fields last, and of these the route's.
    pub(super) fn apply(
        self,
        status: StatusCode,
        headers: &mut HeaderMap,
        expand: impl Fn(&Template) -> Vec<u8>,
    ) {
        if let Some(edits) = self.backend {
            apply(headers, edits);
        }
        if let Some(changes) = self.changes {
            changes.apply(headers);
        }
        if let Some((name, value)) = self.field {
            headers.insert(name, value);
        }
        if let Some(hsts) = self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        set_all(headers, &self.settings.response_headers, &expand);
        if let Some(scripted) = &self.script {
            script::output::edit(scripted.level, (status, headers), &expand);
        }
        set_all(headers, self.route, &expand);
        if let Some(fields) = self.cors {
            cors::apply(headers, fields);
        }
        if let Some(scripted) = &self.script {
            script::output::add(scripted.level, (status, headers), &expand);
        }
        let replaced = self.script.as_ref();
        let replaced =
            replaced.is_some_and(|scripted| scripted.is_inner() && scripted.level.replaces_added);
        if let Some((cookies, always)) = self.cookies.map(|cookies| *cookies)
            && (always || takes_fields(status))
            && !replaced
        {
            for cookie in cookies {
                headers.append(SET_COOKIE, cookie);
            }
        }
    }
}

/// What the edits of a script may read, by variables that settings define too.
pub(super) fn of_script<'t>(
    script: &'t Script,
    settings: &'t Settings,
) -> impl Iterator<Item = &'t Reads> + use<'t> {
    let own = script.response_templates().map(Template::reads);
    own.chain([settings.maps.reads()])
}

/// Sets these fields; an empty value removes the field.
fn set_all(
    headers: &mut HeaderMap,
    fields: &[(HeaderName, FieldTemplate)],
    expand: &impl Fn(&Template) -> Vec<u8>,
) {
    for (name, value) in fields {
        let value = match value {
            FieldTemplate::Fixed(value) => Some(value.clone()),
            FieldTemplate::Template(template) => field_value(expand(template)),
        };
        match value {
            Some(value) => headers.insert(name, value),
            None => headers.remove(name),
        };
    }
}

/// `None` if it is empty, or if what a client sent into it is not allowed in a field.
fn field_value(text: Vec<u8>) -> Option<HeaderValue> {
    let text = Some(text).filter(|text| !text.is_empty())?;
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// Edits `headers`, except reserved fields.
pub(super) fn apply(headers: &mut HeaderMap, edits: &FieldEdits) {
    let editable = edits.0.iter().filter(|edit| !is_reserved(edit.name()));
    for edit in editable {
        match edit {
            FieldEdit::Set(name, value) => drop(headers.insert(name, value.clone())),
            FieldEdit::Add(name, value) => drop(headers.append(name, value.clone())),
            FieldEdit::Remove(name) => drop(headers.remove(name)),
        }
    }
}

/// Whether routing, framing or the connection depends on the field, so that no configuration may edit it.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    [
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        CONNECTION,
        UPGRADE,
        TE,
    ]
    .contains(name)
}

/// The statuses for which nginx adds fields (`add_header` without `always`).
pub(super) fn takes_fields(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use headgate_table::Cors;

    use super::*;
    use headgate_table::Origins;

    fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    }

    fn fixed(name: &'static str, value: &'static str) -> (HeaderName, FieldTemplate) {
        let (name, value) = field(name, value);
        (name, value.into())
    }

    #[test]
    fn templates_are_filled_in_and_empty_ones_remove_the_field() {
        let template = |text: &str| FieldTemplate::Template(Box::new(Template::literal(text)));
        let settings = Settings {
            response_headers: [
                (HeaderName::from_static("x-both"), template("$x")),
                (HeaderName::from_static("x-new"), template("a$x")),
            ]
            .into(),
            hsts: None,
            ..Settings::default()
        };
        assert_eq!(
            edited(ResponseEdits::new(&settings)),
            "strict-transport-security=upstream|x-new=a"
        );
    }

    fn show(headers: &HeaderMap) -> String {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.join("|")
    }

    /// The result of the edits for an upstream's `x-both` and `strict-transport-security` fields.
    fn edited(edits: ResponseEdits<'_>) -> String {
        let mut headers: HeaderMap = [
            field("strict-transport-security", "upstream"),
            field("x-both", "upstream"),
        ]
        .into_iter()
        .collect();
        edits.apply(StatusCode::OK, &mut headers, |template: &Template| {
            template.source().replace("$x", "").into_bytes()
        });
        show(&headers)
    }

    #[test]
    fn every_step_adds_its_edits() {
        let cors = Cors {
            origins: Origins::Any,
            methods: HeaderValue::from_static("GET"),
            headers: HeaderValue::from_static("X"),
            expose: None,
            credentials: false,
            max_age: HeaderValue::from_static("5"),
        };
        let settings = Settings {
            response_headers: [fixed("x-all", "1"), fixed("x-both", "all")].into(),
            ..Settings::default()
        };
        let policy = Policy {
            response_headers: [fixed("x-both", "route")].into(),
            ..Policy::default()
        };
        assert_eq!(
            edited(ResponseEdits::new(&settings)),
            "strict-transport-security=upstream|x-all=1|x-both=all"
        );
        let mut secure = ResponseEdits::new(&settings);
        secure.add_route(&policy, true);
        assert_eq!(
            edited(secure),
            "strict-transport-security=max-age=31536000; includeSubDomains|x-all=1|x-both=route"
        );
        let mut shared = ResponseEdits::new(&settings);
        shared.add_route(&policy, false);
        shared.add_cors(CorsFields::Nginx(&cors, HeaderValue::from_static("*")));
        assert_eq!(
            edited(shared),
            "access-control-allow-headers=X|access-control-allow-methods=GET|access-control-allow-origin=*|\
             access-control-max-age=5|strict-transport-security=upstream|x-all=1|x-both=route"
        );
    }

    #[test]
    fn a_backend_edits_first_except_reserved_fields() {
        let settings = Settings {
            response_headers: [fixed("x-all", "1")].into(),
            ..Settings::default()
        };
        let set = |name, value| {
            let (name, value) = field(name, value);
            FieldEdit::Set(name, value)
        };
        let add = |name, value| {
            let (name, value) = field(name, value);
            FieldEdit::Add(name, value)
        };
        let backend = FieldEdits(
            [
                set("x-both", "set"),
                set("x-all", "backend"),
                set("connection", "x-all"),
                add("x-both", "added"),
                add("content-length", "7"),
                FieldEdit::Remove(STRICT_TRANSPORT_SECURITY),
                FieldEdit::Remove(TRANSFER_ENCODING),
            ]
            .into(),
        );
        let mut edits = ResponseEdits::new(&settings);
        edits.add_backend(&backend);
        assert_eq!(edited(edits), "x-all=1|x-both=added|x-both=set");
    }
}
