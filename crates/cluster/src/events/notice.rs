//! Notices, and the Events made of them.

use std::sync::Arc;

use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};

/// Longest `note` of an Event in bytes.
const MAX_NOTE: usize = 1024;

/// An occurrence that becomes an Event on an object.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A finding about an object with this `metadata.uid`. Findings normally come by
    /// [`Notices::findings`](super::Notices::findings).
    Finding(Finding, Option<Arc<str>>),
    /// An Ingress of this controller was added or updated (`Sync`).
    Sync {
        /// The Ingress.
        ingress: Name,
        /// Its `metadata.uid`.
        uid: Option<Arc<str>>,
    },
    /// A ConfigMap that a flag names was read for the first time, or changed.
    Config {
        /// The ConfigMap.
        map: Name,
        /// Its `metadata.uid`.
        uid: Option<Arc<str>>,
        /// First read or change.
        change: ConfigChange,
    },
    /// The controller serves its first table (`None`), or failed to (`RELOAD`).
    Reload {
        /// The controller's pod.
        pod: Name,
        /// Its `metadata.uid`.
        uid: Option<Arc<str>>,
        /// The failure.
        problem: Option<Arc<str>>,
    },
    /// A replica became leader (`LeaderElection`).
    Leader {
        /// The Lease.
        lease: Name,
        /// Its `metadata.uid`.
        uid: Option<Arc<str>>,
        /// The new leader.
        identity: Arc<str>,
    },
}

/// What happened to a ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// Read for the first time.
    Created,
    /// Read again with other content.
    Updated,
}

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Regarding {
    /// `apiVersion`.
    pub api_version: &'static str,
    /// `kind`.
    pub kind: &'static str,
    /// Namespace and name.
    pub name: Name,
    /// `metadata.uid`, where it is known; without it `kubectl describe` may not show the Event.
    pub uid: Option<Arc<str>>,
}

/// Reasons of Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// An annotation cannot be honoured, and so routes are closed or the object is refused. Warning.
    AnnotationParsingFailed,
    /// An annotation is ignored or honoured in part. Warning.
    AnnotationNotHonoured,
    /// A certificate cannot be used as it is. Warning.
    CertificateInvalid,
    /// A key of a ConfigMap is ignored, or the ConfigMap is missing. Warning.
    SettingInvalid,
    /// Part of an object is not served. Warning.
    NotServed,
    /// Something is not served as configured, such as a Service that does not exist. Warning.
    NotHonoured,
    /// A backend has no endpoint: none is ready, or its external name does not resolve. Warning.
    NoEndpoints,
    /// An Ingress was added or updated. Normal.
    Sync,
    /// A ConfigMap was read for the first time. Normal.
    Create,
    /// A changed ConfigMap was read. Normal.
    Update,
    /// Serving began (Normal) or failed (Warning).
    Reload,
    /// Another replica leads. Normal.
    LeaderElection,
}

impl Reason {
    /// The `reason` field of the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnnotationParsingFailed => "AnnotationParsingFailed",
            Self::AnnotationNotHonoured => "AnnotationNotHonoured",
            Self::CertificateInvalid => "CertificateInvalid",
            Self::SettingInvalid => "SettingInvalid",
            Self::NotServed => "NotServed",
            Self::NotHonoured => "NotHonoured",
            Self::NoEndpoints => "NoEndpoints",
            Self::Sync => "Sync",
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Reload => "RELOAD",
            Self::LeaderElection => "LeaderElection",
        }
    }

    /// As [`Notice::is_shared`].
    pub(super) fn is_shared(self) -> bool {
        !matches!(self, Self::Reload | Self::LeaderElection)
    }

    fn of(finding: &Finding, kind: Kind) -> Self {
        let field = &*finding.field;
        let is_error = finding.severity == Severity::Error;
        if finding.lacks_endpoints() {
            Self::NoEndpoints
        } else if kind == Kind::Secret
            || field.starts_with("spec.tls")
            || field.ends_with(".tls.certificateRefs")
        {
            Self::CertificateInvalid
        } else if kind == Kind::ConfigMap {
            Self::SettingInvalid
        } else if field.starts_with("metadata.annotations") {
            if is_error {
                Self::AnnotationParsingFailed
            } else {
                Self::AnnotationNotHonoured
            }
        } else if is_error {
            Self::NotServed
        } else {
            Self::NotHonoured
        }
    }
}

impl Notice {
    /// Whether all replicas notice it, so that only the leader writes its Event. The others are about one replica.
    pub(super) fn is_shared(&self) -> bool {
        !matches!(self, Self::Reload { .. } | Self::Leader { .. })
    }
}

/// An Event without time and count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventContent {
    pub(super) regarding: Regarding,
    pub(super) is_warning: bool,
    pub(super) reason: Reason,
    pub(super) note: Box<str>,
}

impl Notice {
    pub(super) fn content(&self) -> EventContent {
        match self {
            Self::Finding(finding, uid) => of_finding(finding, uid.clone()),
            Self::Sync { ingress, uid } => normal(
                of_kind(Kind::Ingress, ingress, uid),
                Reason::Sync,
                "Scheduled for sync",
            ),
            Self::Config { map, uid, change } => {
                let (reason, verb) = match change {
                    ConfigChange::Created => (Reason::Create, "read"),
                    ConfigChange::Updated => (Reason::Update, "changed"),
                };
                let note = format!("ConfigMap {map} {verb}");
                normal(of_kind(Kind::ConfigMap, map, uid), reason, &note)
            }
            Self::Reload { pod, uid, problem } => {
                let note = problem.as_deref().unwrap_or("serving the first table");
                EventContent {
                    is_warning: problem.is_some(),
                    ..normal(regarding("v1", "Pod", pod, uid), Reason::Reload, note)
                }
            }
            Self::Leader {
                lease,
                uid,
                identity,
            } => normal(
                regarding("coordination.k8s.io/v1", "Lease", lease, uid),
                Reason::LeaderElection,
                &format!("{identity} became leader"),
            ),
        }
    }
}

/// Only findings about objects that their authors should act on become Events.
pub(super) fn is_for_events(finding: &Finding) -> bool {
    finding.severity != Severity::Info && matches!(finding.subject, Subject::Object(_))
}

fn of_finding(finding: &Finding, uid: Option<Arc<str>>) -> EventContent {
    let nameless = || ObjectRef {
        kind: Kind::Namespace,
        name: Name::new("", ""),
    };
    let object = match &finding.subject {
        Subject::Object(object) => object.clone(),
        // Findings about documents are filtered out; see `is_for_events`.
        Subject::Document { .. } => nameless(),
    };
    let note = if finding.field.is_empty() {
        finding.message.to_string()
    } else {
        format!("{}: {}", finding.field, finding.message)
    };
    let reason = Reason::of(finding, object.kind);
    EventContent {
        is_warning: true,
        ..normal(of_kind(object.kind, &object.name, &uid), reason, &note)
    }
}

fn normal(regarding: Regarding, reason: Reason, note: &str) -> EventContent {
    EventContent {
        regarding,
        is_warning: false,
        reason,
        note: shortened(note).into(),
    }
}

fn of_kind(kind: Kind, name: &Name, uid: &Option<Arc<str>>) -> Regarding {
    regarding(kind.api_version(), kind.as_str(), name, uid)
}

fn regarding(
    api_version: &'static str,
    kind: &'static str,
    name: &Name,
    uid: &Option<Arc<str>>,
) -> Regarding {
    Regarding {
        api_version,
        kind,
        name: name.clone(),
        uid: uid.clone(),
    }
}

fn shortened(note: &str) -> String {
    if note.len() <= MAX_NOTE {
        return note.to_owned();
    }
    const MARK: &str = " …";
    let end = note.floor_char_boundary(MAX_NOTE - MARK.len());
    format!("{}{MARK}", &note[..end])
}
