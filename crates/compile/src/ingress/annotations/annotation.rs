//! One annotation: a row of the registry.

use crate::Kind as ObjectKind;
use crate::ingress::registry::types::Typed;
use crate::ingress::registry::{Difference, Entry, Key, OnInvalid, Protection, Support};
use crate::ingress::settings::Setting;

/// The scope of an annotation, as declared by ingress-nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One host and path.
    Location,
    /// A whole host, or an upstream shared by several Ingresses.
    Ingress,
}

/// The risk of an annotation; compared with the ConfigMap's `annotations-risk-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Risk {
    /// Affects its own routes.
    Low,
    /// May affect clients of its routes.
    Medium,
    /// May affect other routes of the host. Allowed by default, as are lower levels.
    #[default]
    High,
    /// Raw configuration text.
    Critical,
}

impl Risk {
    /// The level of this name, case-insensitive. An unknown name is the lowest level: a typing error must not allow more.
    pub fn from_setting(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Low,
        }
    }

    /// The spelling in the ConfigMap.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// A flag without which an annotation has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `--enable-ssl-passthrough`
    SslPassthrough,
}

impl Flag {
    /// The flag as written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SslPassthrough => "--enable-ssl-passthrough",
        }
    }
}

/// One annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotation {
    /// The properties that ConfigMap keys have as well.
    pub entry: Entry,
    /// Other names, read only when the main one is absent or empty.
    pub aliases: &'static [&'static str],
    /// Names that tutorials use for it and no release of ingress-nginx read, the more explicit one first.
    pub misnomers: &'static [&'static str],
    /// The ConfigMap key that gives the default.
    pub configmap_key: Option<&'static str>,
    /// A location or a whole host.
    pub scope: Scope,
    /// Compared with the allowed risk.
    pub risk: Risk,
    /// Annotations without which it has no effect: they must be present and not `false`.
    pub needs: &'static [&'static Self],
    /// A flag without which it has no effect.
    pub needs_flag: Option<Flag>,
    /// Whether it has an effect on a canary; the others act on the primary Ingress alone.
    pub on_canary: bool,
    /// When its value is not even looked at, so that it may be invalid.
    pub unread: Option<Unread>,
    /// Whether a HeadgatePolicy can have it.
    pub policy: PolicyUse,
}

/// For which targets a HeadgatePolicy can have an annotation as a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyUse {
    /// Ingresses, HTTPRoutes, GRPCRoutes, and Gateways, whose routes have it unless they have their own.
    Routes,
    /// Ingresses; why for no others.
    Ingresses(&'static str),
    /// None; why.
    None(&'static str),
    /// The field is that of this annotation, which has the same name but for its prefix, and the same values besides others.
    FieldOf(&'static Annotation),
}

impl Annotation {
    /// The annotation that the field of a policy is for which this one stands.
    pub(crate) fn of_field(&'static self) -> &'static Self {
        match self.policy {
            PolicyUse::FieldOf(other) => other,
            PolicyUse::Routes | PolicyUse::Ingresses(_) | PolicyUse::None(_) => self,
        }
    }

    /// Whether requests may pass that it should stop, if it is absent or misspelt.
    pub fn protects(&self) -> bool {
        self.entry.protects.is_some() || self.entry.on_invalid == OnInvalid::Close
    }
}

/// When an annotation is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Beside this one.
    Beside(&'static Annotation),
    /// Without this one.
    Without(&'static Annotation),
}

impl AsRef<Entry> for Annotation {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

/// An annotation with the defaults: location scope, low risk, honoured, ignored when invalid.
pub(crate) const fn annotation<T>(
    name: &'static str,
    kind: Typed<T>,
    doc: &'static str,
) -> Key<T, Annotation> {
    Key::new(Annotation {
        entry: Entry::new(name, kind.kind(), doc),
        aliases: &[],
        misnomers: &[],
        configmap_key: None,
        scope: Scope::Location,
        risk: Risk::Low,
        needs: &[],
        needs_flag: None,
        on_canary: false,
        unread: None,
        policy: PolicyUse::Routes,
    })
}

impl<T> Key<T, Annotation> {
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.row.entry.default = default;
        self
    }

    /// The default is the value of this ConfigMap key.
    pub(crate) const fn setting<S>(mut self, key: &Key<S, Setting>) -> Self {
        self.row.configmap_key = Some(key.row.name);
        self.row.entry.default = key.row.default;
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.row.aliases = aliases;
        self
    }

    pub(crate) const fn misnomers(mut self, misnomers: &'static [&'static str]) -> Self {
        self.row.misnomers = misnomers;
        self
    }

    /// The value is not looked at beside `other`.
    pub(crate) const fn unread_beside(mut self, other: &'static Annotation) -> Self {
        self.row.unread = Some(Unread::Beside(other));
        self
    }

    /// The value is not looked at without `other`.
    pub(crate) const fn unread_without(mut self, other: &'static Annotation) -> Self {
        self.row.unread = Some(Unread::Without(other));
        self
    }

    pub(crate) const fn ingress(mut self) -> Self {
        self.row.scope = Scope::Ingress;
        self
    }

    pub(crate) const fn risk(mut self, risk: Risk) -> Self {
        self.row.risk = risk;
        self
    }

    /// An invalid value refuses the Ingress.
    pub(crate) const fn refuses(mut self) -> Self {
        self.row.entry.on_invalid = OnInvalid::RefuseIngress;
        self
    }

    /// An invalid value closes the routes.
    pub(crate) const fn closes(mut self) -> Self {
        self.row.entry.on_invalid = OnInvalid::Close;
        self
    }

    pub(crate) const fn protects(mut self, what: Protection) -> Self {
        self.row.entry = self.row.entry.protecting(what);
        self
    }

    pub(crate) const fn names(mut self, kind: ObjectKind) -> Self {
        self.row.entry.names = Some(kind);
        self
    }

    pub(crate) const fn needs(mut self, needs: &'static [&'static Annotation]) -> Self {
        self.row.needs = needs;
        self
    }

    pub(crate) const fn needs_flag(mut self, flag: Flag) -> Self {
        self.row.needs_flag = Some(flag);
        self
    }

    /// Has an effect on a canary too.
    pub(crate) const fn on_canary(mut self) -> Self {
        self.row.on_canary = true;
        self
    }

    /// Honoured, but not always as ingress-nginx does.
    pub(crate) const fn differs(mut self, differences: &'static [Difference]) -> Self {
        self.row.entry.differences = differences;
        self
    }

    /// A policy can have it for Ingresses alone.
    pub(crate) const fn only_of_ingresses(mut self, why: &'static str) -> Self {
        self.row.policy = PolicyUse::Ingresses(why);
        self
    }

    /// No policy can have it.
    pub(crate) const fn of_no_policy(mut self, why: &'static str) -> Self {
        self.row.policy = PolicyUse::None(why);
        self
    }

    /// The field of policies is that of `other`.
    pub(crate) const fn field_of(mut self, other: &'static Annotation) -> Self {
        self.row.policy = PolicyUse::FieldOf(other);
        self
    }

    pub(crate) const fn not_yet(mut self) -> Self {
        self.row.policy = PolicyUse::None("it is not honoured");
        self.row.entry.support = Support::NotYet;
        self
    }

    pub(crate) const fn inert(mut self) -> Self {
        self.row.policy = PolicyUse::None("it has no effect");
        self.row.entry.support = Support::Inert;
        self
    }
}
