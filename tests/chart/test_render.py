"""Every combination renders to valid objects."""

from pathlib import Path

import helm_python as helm
import pytest
import yaml

from api import EXTERNAL, running
from chart import CHART, NAMESPACE, Rendered, identity, render, values
from kubernetes_schema import problems

# The oldest version that Chart.yaml allows, one in between, and the newest known.
VERSIONS = ["1.25", "1.31", "1.37"]

# Values by case.
MATRIX = {
    "defaults": "",
    "daemonset in the node's network": """
        controller:
          kind: DaemonSet
          hostNetwork: true
          dnsPolicy: ClusterFirstWithHostNet
          reportNodeInternalIp: true
          publishService: {enabled: false}
          service: {enabled: false}
    """,
    "daemonset on the nodes' ports": """
        controller:
          kind: DaemonSet
          hostPort: {enabled: true, ports: {http: 8080, https: 8443}}
          service: {type: ClusterIP}
        tcp: {9000: "shop/db:5432"}
    """,
    "one namespace": """
        controller: {scope: {enabled: true, namespace: shop}}
        rbac: {scope: true}
    """,
    "namespaces by label": """
        controller: {scope: {namespaceSelector: "team in (a,b)"}}
    """,
    "beside ingress-nginx": """
        dropIn: {enabled: true, namespace: ingress-nginx}
    """,
    "status beside ingress-nginx": """
        dropIn: {enabled: true, status: true}
    """,
    "all of a Pod": """
        commonLabels: {team: edge}
        imagePullSecrets: [{name: registry}]
        controller:
          labels: {tier: front}
          annotations: {owner: edge}
          podLabels: {tier2: front}
          podAnnotations: {number: 1, yes: true}
          extraEnvs: [{name: RUST_LOG, value: debug}]
          extraVolumes: [{name: certs, emptyDir: {}}]
          extraVolumeMounts: [{name: certs, mountPath: /certs}]
          extraContainers: [{name: side, image: side:1, ports: [{containerPort: 9113}]}]
          extraInitContainers: [{name: "{{ .Release.Name }}-init", image: init:1}]
          lifecycle: {preStop: {sleep: {seconds: 1}}}
          hostAliases: [{ip: 192.0.2.1, hostnames: [a.example]}]
          dnsConfig: {options: [{name: ndots, value: "1"}]}
          hostname: front
          runtimeClassName: gvisor
          priorityClassName: system-cluster-critical
          shareProcessNamespace: true
          podSecurityContext: {fsGroup: 82, sysctls: [{name: net.core.somaxconn, value: "4096"}]}
          tolerations: [{key: a, operator: Exists}]
          affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app.kubernetes.io/name: '{{ include "ingress-nginx.name" . }}'}}}]}}
          topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}]
          updateStrategy: {type: Recreate}
          minReadySeconds: 5
          progressDeadlineSeconds: 900
          resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]
          cache: {enabled: true, keySecret: {name: cache-key}}
          tmp: {medium: Memory, sizeLimit: 64Mi}
          extraArgs: {v: 3, enable-ssl-passthrough: "", default-ssl-certificate: edge/tls}
    """,
    "all of the Services": """
        controller:
          service:
            annotations: {example.com/lb: '{{ .Release.Name }}', weight: 10}
            labels: {a: b}
            external: {labels: {c: d}}
            loadBalancerIP: 192.0.2.10
            loadBalancerSourceRanges: [198.51.100.0/24]
            loadBalancerClass: example.com/lb
            allocateLoadBalancerNodePorts: false
            externalTrafficPolicy: Local
            internalTrafficPolicy: Cluster
            healthCheckNodePort: 32000
            sessionAffinity: ClientIP
            trafficDistribution: PreferClose
            ipFamilyPolicy: PreferDualStack
            ipFamilies: [IPv4, IPv6]
            clusterIP: 10.0.0.10
            clusterIPs: [10.0.0.10]
            externalIPs: [192.0.2.11]
            nodePorts: {http: 32080, https: "32443", tcp: {9000: 32090}, udp: {53: 32053}}
            targetPorts: {https: http}
            internal:
              enabled: true
              type: NodePort
              annotations: {internal: "true"}
              ports: {http: 8080}
              targetPorts: {http: https}
              nodePorts: {http: 32081}
        tcp: {9000: "shop/db:5432"}
        udp: {53: "kube-system/dns:53"}
        portNamePrefix: ig
    """,
    "all of monitoring": """
        controller:
          metrics:
            enabled: true
            port: 9254
            service: {annotations: {a: b}, clusterIP: None}
            serviceMonitor: {enabled: true, namespace: monitoring, namespaceSelector: {any: true}, scrapeTimeout: 5s, honorLabels: true, relabelings: [{action: keep}], sampleLimit: 1000, targetLabels: [a], jobLabel: app, additionalLabels: {release: prometheus}}
            prometheusRule: {enabled: true, builtInRules: true, rules: [{alert: Down, expr: up == 0}], additionalLabels: {release: prometheus}}
            dashboard: {enabled: true, labels: {grafana_dashboard: "1"}, annotations: {folder: Edge}}
    """,
    "autoscaler": """
        controller:
          autoscaling: {enabled: true, targetMemoryUtilizationPercentage: 80, behavior: {scaleDown: {stabilizationWindowSeconds: 300}}}
          autoscalingTemplate: [{type: Pods, pods: {metric: {name: requests}, target: {type: AverageValue, averageValue: 10000m}}}]
    """,
    "keda": """
        controller:
          keda: {enabled: true, triggers: [{type: cron, metadata: {timezone: UTC}}], fallback: {failureThreshold: 3, replicas: 4}, behavior: {scaleDown: {stabilizationWindowSeconds: 300}}}
    """,
    "webhook by cert-manager": """
        controller:
          admissionWebhooks: {certManager: {enabled: true, admissionCert: {duration: 100h, revisionHistoryLimit: 2}}, timeoutSeconds: 5, namespaceSelector: {matchLabels: {a: b}}, objectSelector: {matchLabels: {c: d}}}
    """,
    "webhook by an issuer": """
        controller:
          admissionWebhooks: {certManager: {enabled: true, issuerRef: {name: ours, kind: ClusterIssuer}}}
    """,
    "webhook with files": """
        controller:
          admissionWebhooks: {certificate: /tls/cert.pem, key: /tls/key.pem, caBundle: QUJD}
    """,
    "no webhook": """
        controller: {admissionWebhooks: {enabled: false}}
    """,
    "classes": """
        controller:
          ingressClass: internal
          ingressClassByName: true
          watchIngressWithoutClass: true
          ingressClassResource:
            name: internal
            default: true
            aliases: [internal-old]
            controllerValue: example.com/internal
            annotations: {helm.sh/resource-policy: keep}
            parameters: {apiGroup: "", kind: ConfigMap, name: internal, namespace: edge, scope: Namespace}
    """,
    "settings": """
        controller:
          config: {use-forwarded-headers: "true", proxy-body-size: 8m, keep-alive-requests: 1000000, enable-brotli: true, server-name: "{{ .Release.Name }}"}
          configAnnotations: {a: b}
          proxySetHeaders: {X-One: "1", X-Two: 2}
          addHeaders: {X-Three: "3"}
          allowSnippetAnnotations: true
    """,
    "default backend": """
        defaultBackend:
          enabled: true
          image: {registry: registry.example, image: pages, tag: 1.5}
          replicaCount: 2
          networkPolicy: {enabled: true}
          extraArgs: {verbose: true, bare: ""}
          extraConfigMaps: [{name: pages, data: {"404": gone}, labels: {a: b}}]
          extraVolumes: [{name: pages, configMap: {name: pages}}]
          extraVolumeMounts: [{name: pages, mountPath: /pages}]
          podSecurityContext: {fsGroup: 65534}
          labels: {a: b}
          updateStrategy: {type: Recreate}
    """,
    "default backend that scales": """
        defaultBackend: {enabled: true, image: {repository: registry.example/pages}, autoscaling: {enabled: true, minReplicas: 2}}
    """,
    "without rights, accounts and policies": """
        rbac: {create: false}
        serviceAccount: {create: false, name: given}
        controller: {networkPolicy: {enabled: false}, disableLeaderElection: true, minAvailable: 0}
    """,
    "policies with peers": """
        controller:
          networkPolicy:
            trafficFrom: [{ipBlock: {cidr: 198.51.100.0/24}}]
            metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
            webhookFrom: [{ipBlock: {cidr: 192.0.2.0/24}}]
            extraIngress: [{ports: [{port: 9113}]}]
            egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]
    """,
    "names": """
        nameOverride: ingress-nginx
        fullnameOverride: front
        namespaceOverride: other
        global: {image: {registry: registry.example}}
        controller: {name: main, containerName: proxy, image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}}
    """,
}


@pytest.fixture(params=MATRIX, name="rendered")
def _rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(MATRIX[request.param])


@pytest.mark.parametrize("version", VERSIONS)
def test_all_objects_are_valid(rendered: Rendered, version: str) -> None:
    known = [found for found in rendered.objects if not (version == "1.25" and _newer_than_1_25(found))]
    wrong = {identity(found): problems(found, version) for found in known}
    assert not {name: found for name, found in wrong.items() if found}


@pytest.mark.skipif(EXTERNAL is None, reason="needs the cluster of HEADGATE_TEST_KUBECONFIG")
def test_the_api_server_accepts_all_objects(rendered: Rendered, tmp_path: Path) -> None:
    with running(tmp_path) as api:
        for found in rendered.objects:
            api.namespace(found["metadata"].get("namespace", NAMESPACE))
        rejections = {identity(found): api.rejection(found) for found in rendered.objects}
    # The cluster may lack these, and the account of the Pod would be created with the Pod.
    expected = ("not configured on this cluster", "error looking up service account")
    assert not {name: error for name, error in rejections.items() if error and not any(text in error for text in expected)}


def _newer_than_1_25(found: dict) -> bool:
    """Whether the object has a requested field that 1.25 does not support."""
    text = yaml.safe_dump(found)
    return any(field in text for field in ["resizePolicy", "sleep:", "trafficDistribution"])


def test_no_object_is_repeated(rendered: Rendered) -> None:
    names = [(found["apiVersion"], identity(found)) for found in rendered.objects]
    assert len(set(names)) == len(names)


def test_objects_carry_their_labels(rendered: Rendered) -> None:
    for found in rendered.objects:
        labels = found["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "headgate", identity(found)
        assert labels["app.kubernetes.io/managed-by"] == "Helm", identity(found)


def test_selectors_choose_pods_of_the_chart(rendered: Rendered) -> None:
    templates = [
        found["spec"]["template"]["metadata"]["labels"] for found in rendered.objects if "template" in found.get("spec", {})
    ]
    for found in rendered.of("Service") + rendered.of("PodDisruptionBudget") + rendered.of("NetworkPolicy"):
        spec = found["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        chosen = selector.get("matchLabels", selector)
        matching = [labels for labels in templates if chosen.items() <= labels.items()]
        assert len(matching) == 1, identity(found)


def test_service_ports_lead_to_container_ports(rendered: Rendered) -> None:
    ports = {
        port["name"]
        for found in rendered.objects
        if "template" in found.get("spec", {})
        for container in found["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", [])
        if "name" in port
    }
    for service in rendered.of("Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, identity(service)
            assert len(port["name"]) <= 15


@pytest.mark.parametrize("case", MATRIX)
def test_lint(case: str) -> None:
    report = helm.lint(CHART, values(MATRIX[case]), strict=True)
    serious = [message for message in report["messages"] if message["severity"] > 1]
    assert not serious and not report["errors"]


def test_unknown_fields_are_invalid() -> None:
    """Proves that the validation can fail."""
    deployment = yaml.safe_load(yaml.safe_dump(render().one("Deployment")))
    deployment["spec"]["replica"] = 2
    deployment["spec"]["minReadySeconds"] = "none"
    assert len(problems(deployment, "1.37")) == 2


def test_defaults_within_lists_and_references_are_written(rendered: Rendered) -> None:
    """Server-side apply compares these as a whole with what the API server stored."""
    for webhook in [one for found in rendered.of("ValidatingWebhookConfiguration") for one in found["webhooks"]]:
        assert [rule["scope"] for rule in webhook["rules"]] == ["*"]
    references = [
        variable["valueFrom"]["fieldRef"] for variable in rendered.container()["env"] if "fieldRef" in variable.get("valueFrom", {})
    ]
    assert references and all(reference["apiVersion"] == "v1" for reference in references)
