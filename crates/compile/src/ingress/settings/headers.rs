//! Header fields of all routes.

use headgate_table as table;

use super::read::Source;
use super::registry::{Setting, setting};
use crate::Kind as ObjectKind;
use crate::ingress::registry::{Class, NameRef, When, differences, keys, parse_header_name, types};

keys! { Setting {
    HIDE_HEADERS: Vec<String> =
        setting("hide-headers", types::LIST, "", "Headers removed from responses of the backends.");
    ALLOW_BACKEND_SERVER_HEADER: bool =
        setting("allow-backend-server-header", types::BOOL, "false",
            "With server-tokens: forwards the Server field of the backend.");
    SERVER_TOKENS: bool = setting("server-tokens", types::BOOL, "false", "Responses carry a Server header.");
    GENERATE_REQUEST_ID: bool =
        setting("generate-request-id", types::BOOL, "true", "Generates X-Request-ID if the client sent none.");
    PROXY_ADD_ORIGINAL_URI_HEADER: bool =
        setting("proxy-add-original-uri-header", types::BOOL, "false", "Adds X-Original-URI for the backend.");
    PROXY_SET_HEADERS: String =
        setting("proxy-set-headers", types::chars(Class::Basic), "",
            "ConfigMap namespace/name of headers for the backends.")
            .names(ObjectKind::ConfigMap)
            .differs(differences![
                When::Sometimes =>
                    "A field with a variable of the response or one that does not exist is not sent, with a finding; in ingress-nginx it is empty, or reloads stop.",
            ]);
    ADD_HEADERS: String =
        setting("add-headers", types::chars(Class::Basic), "", "ConfigMap namespace/name of headers for the clients.")
            .names(ObjectKind::ConfigMap);
    ENABLE_UNDERSCORES_IN_HEADERS: bool =
        setting("enable-underscores-in-headers", types::BOOL, "false",
            "Forwards header fields with underscores in their names; otherwise they are dropped.");
    IGNORE_INVALID_HEADERS: bool =
        setting("ignore-invalid-headers", types::BOOL, "true",
            "Drops header fields whose names have other characters than letters, digits and hyphens; false forwards them, those with underscores too.");
} }

/// ConfigMaps with header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderMaps {
    /// For backends (`proxy-set-headers`).
    pub(crate) proxy_set: Option<NameRef>,
    /// For clients (`add-headers`).
    pub(crate) add: Option<NameRef>,
}

impl HeaderMaps {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            proxy_set: source.parsed(&PROXY_SET_HEADERS, NameRef::parse),
            add: source.parsed(&ADD_HEADERS, NameRef::parse),
        }
    }
}

/// Reads the settings of header fields that need no other ConfigMap.
pub(super) fn read(source: &mut Source<'_>, settings: &mut table::Settings) {
    let hidden = source.each(&HIDE_HEADERS, parse_header_name);
    settings.hidden_headers = hidden.unwrap_or_default().into();
    settings.backend_server_header = source.get(&ALLOW_BACKEND_SERVER_HEADER);
    settings.server_tokens = source.get(&SERVER_TOKENS);
    settings.generate_request_id = source.get(&GENERATE_REQUEST_ID);
    settings.add_original_uri = source.get(&PROXY_ADD_ORIGINAL_URI_HEADER);
    settings.invalid_headers = !source.get(&IGNORE_INVALID_HEADERS);
    settings.underscores_in_headers = source.get(&ENABLE_UNDERSCORES_IN_HEADERS);
}
