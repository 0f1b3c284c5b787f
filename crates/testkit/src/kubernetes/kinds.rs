//! The kinds that are served, as a table.

/// One kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    /// API group; empty: core.
    pub(crate) group: &'static str,
    /// API version.
    pub(crate) version: &'static str,
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// Name for people.
    pub(crate) singular: &'static str,
    /// Name in objects.
    pub(crate) kind: &'static str,
    /// Whether objects live in namespaces.
    pub(crate) namespaced: bool,
    /// Short names, for kubectl.
    pub(crate) short: &'static [&'static str],
    /// Subresources.
    pub(crate) subresources: &'static [&'static str],
    /// Whether changes of anything but metadata and status count in `metadata.generation`.
    pub(crate) generation: bool,
    /// Fields that field selectors may name, beside name and namespace.
    pub(crate) fields: &'static [&'static str],
}

/// Where a kind is kept: its place in [`KINDS`], shared by the two groups of Events.
pub(crate) type Shelf = usize;

impl Kind {
    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// `ingresses.networking.k8s.io`, as refusals name it.
    pub(crate) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Ingress.networking.k8s.io`, as refusals of validation name it.
    pub(crate) fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.kind.to_owned(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// Whether `status` is written apart from the rest.
    pub(crate) fn has_status(&self) -> bool {
        self.subresources.contains(&"status")
    }

    /// Where its objects are kept.
    pub(crate) fn shelf(&self) -> Shelf {
        let storage = if self.is_new_event() { "" } else { self.group };
        KINDS
            .iter()
            .position(|kind| kind.group == storage && kind.plural == self.plural)
            .unwrap_or_default()
    }

    /// Whether this is the Event of `events.k8s.io`, which is kept as the core one.
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

/// The kind that a path names.
pub(crate) fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// The kind that an object names.
pub(crate) fn by_object(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|known| known.kind == kind && known.api_version() == api_version)
}

/// The kind that a test names: by kind, plural, singular or short name; of Events the core one.
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
        .unwrap_or_else(|| panic!("the fixture knows no kind {name:?}"))
}

/// Groups and versions, in order of the table.
pub(crate) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    let reviews = REVIEWS.iter().map(|review| (review.group, "v1"));
    for group in KINDS
        .iter()
        .map(|kind| (kind.group, kind.version))
        .chain(reviews)
    {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// A kind that is only asked, never kept.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Reviews, all of version `v1` and of the cluster.
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

const fn kind(
    group: &'static str,
    version: &'static str,
    [plural, singular, kind]: [&'static str; 3],
) -> Kind {
    Kind {
        group,
        version,
        plural,
        singular,
        kind,
        namespaced: true,
        short: &[],
        subresources: &[],
        generation: false,
        fields: &[],
    }
}

impl Kind {
    const fn cluster(self) -> Self {
        Self {
            namespaced: false,
            ..self
        }
    }

    const fn short(self, short: &'static [&'static str]) -> Self {
        Self { short, ..self }
    }

    const fn with(self, subresources: &'static [&'static str]) -> Self {
        Self {
            subresources,
            ..self
        }
    }

    const fn generation(self) -> Self {
        Self {
            generation: true,
            ..self
        }
    }

    const fn fields(self, fields: &'static [&'static str]) -> Self {
        Self { fields, ..self }
    }
}

const CORE: &str = "";
const APPS: &str = "apps";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const MONITORING: &str = "monitoring.coreos.com";
const STATUS: &[&str] = &["status"];
const SCALED: &[&str] = &["status", "scale"];

/// Fields of Events that selectors may name; `regarding.*` of the newer group are the same ones.
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// All kinds. A name that several groups have means the first one in the methods for tests.
pub(crate) static KINDS: &[Kind] = &[
    kind(CORE, "v1", ["namespaces", "namespace", "Namespace"])
        .cluster()
        .short(&["ns"])
        .with(&["status", "finalize"])
        .fields(&["status.phase"]),
    kind(CORE, "v1", ["services", "service", "Service"])
        .short(&["svc"])
        .with(STATUS)
        .fields(&["spec.clusterIP", "spec.type"]),
    kind(CORE, "v1", ["endpoints", "endpoints", "Endpoints"]).short(&["ep"]),
    kind(CORE, "v1", ["secrets", "secret", "Secret"]).fields(&["type"]),
    kind(CORE, "v1", ["configmaps", "configmap", "ConfigMap"]).short(&["cm"]),
    kind(CORE, "v1", ["pods", "pod", "Pod"])
        .short(&["po"])
        .with(STATUS)
        .generation()
        .fields(&["spec.nodeName", "status.phase", "status.podIP"]),
    kind(CORE, "v1", ["nodes", "node", "Node"])
        .cluster()
        .short(&["no"])
        .with(STATUS)
        .fields(&["spec.unschedulable"]),
    kind(CORE, "v1", ["events", "event", "Event"])
        .short(&["ev"])
        .fields(EVENT_FIELDS),
    kind(
        CORE,
        "v1",
        ["serviceaccounts", "serviceaccount", "ServiceAccount"],
    )
    .short(&["sa"])
    .with(&["token"]),
    kind(
        CORE,
        "v1",
        [
            "persistentvolumeclaims",
            "persistentvolumeclaim",
            "PersistentVolumeClaim",
        ],
    )
    .short(&["pvc"])
    .with(STATUS),
    kind(
        CORE,
        "v1",
        ["resourcequotas", "resourcequota", "ResourceQuota"],
    )
    .short(&["quota"])
    .with(STATUS),
    kind(CORE, "v1", ["limitranges", "limitrange", "LimitRange"]).short(&["limits"]),
    kind(NETWORKING, "v1", ["ingresses", "ingress", "Ingress"])
        .short(&["ing"])
        .with(STATUS)
        .generation(),
    kind(
        NETWORKING,
        "v1",
        ["ingressclasses", "ingressclass", "IngressClass"],
    )
    .cluster()
    .generation(),
    kind(
        NETWORKING,
        "v1",
        ["networkpolicies", "networkpolicy", "NetworkPolicy"],
    )
    .short(&["netpol"])
    .generation(),
    kind(
        "discovery.k8s.io",
        "v1",
        ["endpointslices", "endpointslice", "EndpointSlice"],
    )
    .generation(),
    kind("coordination.k8s.io", "v1", ["leases", "lease", "Lease"]),
    kind("events.k8s.io", "v1", ["events", "event", "Event"])
        .short(&["ev"])
        .fields(EVENT_FIELDS),
    kind(APPS, "v1", ["deployments", "deployment", "Deployment"])
        .short(&["deploy"])
        .with(SCALED)
        .generation(),
    kind(APPS, "v1", ["daemonsets", "daemonset", "DaemonSet"])
        .short(&["ds"])
        .with(STATUS)
        .generation(),
    kind(APPS, "v1", ["replicasets", "replicaset", "ReplicaSet"])
        .short(&["rs"])
        .with(SCALED)
        .generation(),
    kind(APPS, "v1", ["statefulsets", "statefulset", "StatefulSet"])
        .short(&["sts"])
        .with(SCALED)
        .generation(),
    kind("batch", "v1", ["jobs", "job", "Job"])
        .with(STATUS)
        .generation()
        .fields(&["status.successful"]),
    kind("batch", "v1", ["cronjobs", "cronjob", "CronJob"])
        .short(&["cj"])
        .with(STATUS)
        .generation(),
    kind(
        "policy",
        "v1",
        [
            "poddisruptionbudgets",
            "poddisruptionbudget",
            "PodDisruptionBudget",
        ],
    )
    .short(&["pdb"])
    .with(STATUS)
    .generation(),
    kind(
        "autoscaling",
        "v2",
        [
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            "HorizontalPodAutoscaler",
        ],
    )
    .short(&["hpa"])
    .with(STATUS),
    kind(RBAC, "v1", ["roles", "role", "Role"]),
    kind(RBAC, "v1", ["rolebindings", "rolebinding", "RoleBinding"]),
    kind(RBAC, "v1", ["clusterroles", "clusterrole", "ClusterRole"]).cluster(),
    kind(
        RBAC,
        "v1",
        [
            "clusterrolebindings",
            "clusterrolebinding",
            "ClusterRoleBinding",
        ],
    )
    .cluster(),
    kind(
        "admissionregistration.k8s.io",
        "v1",
        [
            "validatingwebhookconfigurations",
            "validatingwebhookconfiguration",
            "ValidatingWebhookConfiguration",
        ],
    )
    .cluster()
    .generation(),
    kind(
        "admissionregistration.k8s.io",
        "v1",
        [
            "mutatingwebhookconfigurations",
            "mutatingwebhookconfiguration",
            "MutatingWebhookConfiguration",
        ],
    )
    .cluster()
    .generation(),
    kind(
        "apiextensions.k8s.io",
        "v1",
        [
            "customresourcedefinitions",
            "customresourcedefinition",
            "CustomResourceDefinition",
        ],
    )
    .cluster()
    .short(&["crd", "crds"])
    .with(STATUS)
    .generation(),
    kind(
        "scheduling.k8s.io",
        "v1",
        ["priorityclasses", "priorityclass", "PriorityClass"],
    )
    .cluster()
    .short(&["pc"])
    .generation(),
    kind(
        MONITORING,
        "v1",
        ["servicemonitors", "servicemonitor", "ServiceMonitor"],
    )
    .short(&["smon"])
    .generation(),
    kind(
        MONITORING,
        "v1",
        ["prometheusrules", "prometheusrule", "PrometheusRule"],
    )
    .short(&["promrule"])
    .generation(),
];
