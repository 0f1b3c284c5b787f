"""Invalid values are rejected with a message that names them and the fix."""

import pytest

from chart import rejected, render

SCHEMA = [
    ("{controler: {}}", "additional properties 'controler' not allowed"),
    ("{controller: {replicas: 3}}", "at '/controller': additional properties 'replicas' not allowed"),
    ("{controller: {replicaCount: -1}}", "at '/controller/replicaCount': minimum: got -1, want 0"),
    ("{controller: {replicaCount: two}}", "at '/controller/replicaCount': got string, want null or integer"),
    ("{controller: {kind: StatefulSet}}", "at '/controller/kind': value must be one of 'Deployment', 'DaemonSet'"),
    (
        "{controller: {service: {type: ExternalName}}}",
        "at '/controller/service/type': value must be one of 'LoadBalancer', 'NodePort', 'ClusterIP'",
    ),
    (
        "{controller: {service: {externalTrafficPolicy: local}}}",
        "at '/controller/service/externalTrafficPolicy': value must be one of '', 'Local', 'Cluster'",
    ),
    (
        "{controller: {service: {externaltrafficPolicy: Local}}}",
        "at '/controller/service': additional properties 'externaltrafficPolicy' not allowed",
    ),
    ("{controller: {service: {ports: {http: 0}}}}", "at '/controller/service/ports/http': minimum: got 0, want 1"),
    ("{controller: {containerPort: {https: 70000}}}", "at '/controller/containerPort/https': maximum: got 70,000, want 65,535"),
    (
        "{controller: {admissionWebhooks: {failurePolicy: fail}}}",
        "at '/controller/admissionWebhooks/failurePolicy': value must be one of 'Fail', 'Ignore'",
    ),
    (
        "{controller: {admissionWebhooks: {timeoutSeconds: 60}}}",
        "at '/controller/admissionWebhooks/timeoutSeconds': maximum: got 60, want 30",
    ),
    ("{controller: {image: {digest: abc}}}", "at '/controller/image/digest': 'abc' does not match pattern"),
    ("{controller: {image: {pullPolicy: always}}}", "at '/controller/image/pullPolicy': value must be one of"),
    ("{controller: {config: {proxy-body-size: [8m]}}}", "at '/controller/config/proxy-body-size': got array, want"),
    ("{controller: {extraArgs: {--v: 2}}}", "'--v' does not match pattern"),
    ("{controller: {electionTTL: soon}}", "at '/controller/electionTTL': 'soon' does not match pattern"),
    ("{controller: {minAvailable: half}}", "at '/controller/minAvailable': 'half' does not match pattern"),
    ("{tcp: {http: a/b:80}}", "'http' does not match pattern"),
    ("{rbac: {scoped: true}}", "at '/rbac': additional properties 'scoped' not allowed"),
    ("{dropIn: true}", "at '/dropIn': got boolean, want object"),
]

CONTRADICTIONS = [
    ("{controller: {autoscaling: {enabled: true}, keda: {enabled: true}}}", "Keep one of them"),
    ("{controller: {kind: DaemonSet, autoscaling: {enabled: true}}}", "Set controller.kind=Deployment"),
    ("{controller: {kind: DaemonSet, keda: {enabled: true}}}", "Set controller.kind=Deployment"),
    ("{controller: {autoscaling: {enabled: true, minReplicas: 20}}}", "minReplicas exceeds controller.autoscaling.maxReplicas"),
    ("{controller: {scope: {enabled: true, namespaceSelector: a=b}}}", "Keep one"),
    ("{controller: {scope: {namespace: shop}}}", "Set scope.enabled=true"),
    ("{rbac: {scope: true}}", "Set controller.scope.enabled=true"),
    ("{dropIn: {enabled: true, fullname: ''}}", "dropIn.enabled needs dropIn.fullname"),
    ("{dropIn: {enabled: true}, fullnameOverride: ingress-nginx}", "Choose another release name"),
    ("{dropIn: {status: true}}", "with dropIn.enabled=true only"),
    ("{controller: {admissionWebhooks: {certificate: /tls/cert.pem}}}", "controller.admissionWebhooks.key must be set"),
    ("{defaultBackend: {enabled: true}}", "needs defaultBackend.image.image"),
    ("{controller: {image: {image: ingress-nginx/controller, tag: v1.15.1}}}", "ingress-nginx's own image"),
    ("{controller: {image: {repository: registry.example/ingress-nginx/controller}}}", "ingress-nginx's own image"),
    ("{controller: {terminationGracePeriodSeconds: 10}}", "must exceed controller.shutdownGracePeriod"),
    ("{controller: {service: {type: NodePort, loadBalancerClass: a/b}}}", "needs a Service of type LoadBalancer"),
]


@pytest.mark.parametrize(("values", "message"), SCHEMA)
def test_the_schema_names_the_value(values: str, message: str) -> None:
    assert message in rejected(values)


@pytest.mark.parametrize(("values", "message"), CONTRADICTIONS)
def test_values_that_contradict_each_other(values: str, message: str) -> None:
    assert message in rejected(values)


def test_the_same_fullname_in_another_namespace_is_allowed() -> None:
    render("{dropIn: {enabled: true, namespace: ingress-nginx}, fullnameOverride: ingress-nginx}")
