//! The kinds that are served, as a table.

mod registry;

pub(crate) use self::registry::KINDS;

use serde_json::Value;

use super::store::Store;
use super::stored::Key;

/// One kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    /// API group; empty: core.
    pub(crate) group: &'static str,
    /// API version.
    pub(crate) version: &'static str,
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// Singular name.
    pub(crate) singular: &'static str,
    /// Name in objects.
    pub(crate) kind: &'static str,
    /// Whether objects are in namespaces.
    pub(crate) namespaced: bool,
    /// Short names, for kubectl.
    pub(crate) short: &'static [&'static str],
    /// Subresources.
    pub(crate) subresources: &'static [&'static str],
    /// Whether changes of anything but metadata and status increase `metadata.generation`.
    pub(crate) generation: bool,
    /// Whether it is served only while its CRD is stored, in the versions that this has.
    pub(crate) custom: bool,
    /// Fields that field selectors may name besides name and namespace.
    pub(crate) fields: &'static [&'static str],
}

/// Storage of a kind: the index in [`KINDS`], which the two groups of Events share.
pub(crate) type StorageIndex = usize;

impl Kind {
    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// `ingresses.networking.k8s.io`, for errors.
    pub(crate) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Ingress.networking.k8s.io`, for validation errors.
    pub(crate) fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.kind.to_owned(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// The name of its CRD.
    pub(crate) fn definition(&self) -> Key {
        Key::new("", &self.qualified())
    }

    /// Whether it is served: other kinds than custom ones always are.
    pub(crate) fn is_served(&self, store: &Store) -> bool {
        if !self.custom {
            return true;
        }
        let storage = by_name("CustomResourceDefinition").storage();
        let Some(definition) = store.get(storage, &self.definition()) else {
            return false;
        };
        let definition = Value::Object(definition.object());
        let versions = definition["spec"]["versions"].as_array();
        let mut versions = versions.into_iter().flatten();
        versions.any(|version| version["name"] == *self.version && version["served"] == true)
    }

    /// Whether `status` is a subresource.
    pub(crate) fn has_status(&self) -> bool {
        self.subresources.contains(&"status")
    }

    pub(crate) fn storage(&self) -> StorageIndex {
        let storage = if self.is_new_event() { "" } else { self.group };
        KINDS
            .iter()
            .position(|kind| kind.group == storage && kind.plural == self.plural)
            .unwrap_or_default()
    }

    /// Whether this is the Event of `events.k8s.io`, which is stored as the core one.
    pub(crate) fn is_new_event(&self) -> bool {
        self.group == "events.k8s.io"
    }
}

/// `v1` or `networking.k8s.io/v1`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// The kind in a path.
pub(crate) fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// The kind of an object.
pub(crate) fn by_object(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|known| known.kind == kind && known.api_version() == api_version)
}

/// The kind with this kind, plural, singular or short name; of Events the core one.
///
/// # Panics
/// When there is none.
pub(crate) fn by_name(name: &str) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| {
            kind.kind == name
                || kind.plural == name
                || kind.singular == name
                || kind.short.contains(&name)
        })
        .unwrap_or_else(|| panic!("unknown kind {name:?}"))
}

/// Groups and versions that are served, in order of the table.
pub(crate) fn groups(store: &Store) -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    let reviews = REVIEWS.iter().map(|review| (review.group, "v1"));
    for group in KINDS
        .iter()
        .filter(|kind| kind.is_served(store))
        .map(|kind| (kind.group, kind.version))
        .chain(reviews)
    {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// A kind that is not stored.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Reviews, all of version `v1` and cluster-scoped.
pub(crate) static REVIEWS: &[Review] = &[
    review(AUTHENTICATION, "tokenreviews", "tokenreview", "TokenReview"),
    review(
        AUTHENTICATION,
        "selfsubjectreviews",
        "selfsubjectreview",
        "SelfSubjectReview",
    ),
    review(
        AUTHORIZATION,
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        "SelfSubjectAccessReview",
    ),
    review(
        AUTHORIZATION,
        "subjectaccessreviews",
        "subjectaccessreview",
        "SubjectAccessReview",
    ),
];

const fn review(
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
) -> Review {
    Review {
        group,
        plural,
        singular,
        kind,
    }
}
