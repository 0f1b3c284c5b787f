//! nginx directives for every host and route (behaviour.md 1.16). They need no permission: the ConfigMap is the operator's.

use std::sync::Arc;

use headgate_table::VariableMaps;

use super::read::Source;
use super::registry::{Setting, not_yet, setting};
use crate::ingress::registry::{Key, Protection, keys, types};
use crate::ingress::snippet::{Directive, Place, Snippet};

keys! { Setting {
    MAIN_SNIPPET: String = not_yet("main-snippet", types::RAW, "", "nginx directives of the top level.");
    HTTP_SNIPPET: String =
        setting("http-snippet", types::RAW, "",
            "nginx directives for every host: map, and those that routes inherit; with others that could restrict access every route responds with 503.")
            .protects(Protection::Routes);
    SERVER_SNIPPET: String =
        setting("server-snippet", types::RAW, "",
            "nginx directives of every host, after those of the annotation server-snippet; with others that could restrict access every route responds with 503.")
            .protects(Protection::Routes);
    LOCATION_SNIPPET: String =
        setting("location-snippet", types::RAW, "",
            "nginx directives of every route, after those of the annotation configuration-snippet; with others that could restrict access every route responds with 503.")
            .protects(Protection::Routes);
    STREAM_SNIPPET: String = not_yet("stream-snippet", types::RAW, "", "nginx directives for TCP and UDP.");
} }

/// The directives of the ConfigMap as types.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SettingsSnippets {
    pub(crate) http: Option<Snippet>,
    pub(crate) server: Option<Snippet>,
    pub(crate) location: Option<Snippet>,
}

impl SettingsSnippets {
    /// What is not honoured closes every route, or is a finding.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let mut read = |key: &Key<String, Setting>, place| source.snippet(key, place);
        Self {
            http: read(&HTTP_SNIPPET, Place::Http),
            server: read(&SERVER_SNIPPET, Place::Server),
            location: read(&LOCATION_SNIPPET, Place::Location),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Snippet> {
        self.http.iter().chain(&self.server).chain(&self.location)
    }

    /// The variables that they define for requests and responses.
    pub(super) fn maps(&self) -> Arc<VariableMaps> {
        let directives = self.http.iter().flat_map(|http| &http.directives);
        let maps = directives.filter_map(|placed| match &placed.directive {
            Directive::Map(map) => Some(map.clone()),
            _ => None,
        });
        Arc::new(VariableMaps::new(maps))
    }
}
