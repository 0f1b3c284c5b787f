//! The stored kinds.

use super::Kind;

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
        custom: false,
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

/// A namespaced kind that has a CRD.
const fn custom(group: &'static str, version: &'static str, names: [&'static str; 3]) -> Kind {
    Kind {
        custom: true,
        ..kind(group, version, names).generation()
    }
}

/// A namespaced kind of the Gateway API.
const fn gateway(version: &'static str, names: [&'static str; 3]) -> Kind {
    custom(GATEWAY, version, names).with(STATUS)
}

const CORE: &str = "";
const APPS: &str = "apps";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const EXPERIMENTAL: &str = "gateway.networking.x-k8s.io";
const OWN: &str = "headgate.dev";
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
    gateway("v1", ["gatewayclasses", "gatewayclass", "GatewayClass"])
        .cluster()
        .short(&["gc"]),
    gateway("v1", ["gateways", "gateway", "Gateway"]).short(&["gtw"]),
    gateway("v1", ["listenersets", "listenerset", "ListenerSet"]).short(&["lset"]),
    gateway("v1", ["httproutes", "httproute", "HTTPRoute"]),
    gateway("v1", ["grpcroutes", "grpcroute", "GRPCRoute"]),
    gateway("v1", ["tlsroutes", "tlsroute", "TLSRoute"]),
    gateway("v1", ["tcproutes", "tcproute", "TCPRoute"]),
    gateway("v1", ["udproutes", "udproute", "UDPRoute"]),
    gateway(
        "v1",
        ["backendtlspolicies", "backendtlspolicy", "BackendTLSPolicy"],
    )
    .short(&["btlspolicy"]),
    gateway(
        "v1",
        ["referencegrants", "referencegrant", "ReferenceGrant"],
    )
    .short(&["refgrant"]),
    // Older versions share the storage of v1.
    gateway(
        "v1beta1",
        ["referencegrants", "referencegrant", "ReferenceGrant"],
    )
    .short(&["refgrant"]),
    gateway("v1alpha2", ["tcproutes", "tcproute", "TCPRoute"]),
    custom(
        EXPERIMENTAL,
        "v1alpha1",
        [
            "xbackendtrafficpolicies",
            "xbackendtrafficpolicy",
            "XBackendTrafficPolicy",
        ],
    )
    .with(STATUS),
    custom(
        OWN,
        "v1alpha1",
        ["headgatepolicies", "headgatepolicy", "HeadgatePolicy"],
    )
    .short(&["hgpolicy"])
    .with(STATUS),
    custom(
        OWN,
        "v1alpha1",
        [
            "headgateparameters",
            "headgateparameters",
            "HeadgateParameters",
        ],
    ),
];
