"""The Gateway API."""

import pytest

from chart import NAMESPACE, controller, rejected, render
from test_rbac import OWN, merged, within

ON = "gatewayAPI: {enabled: true}"
RECORD = "headgate-leader-gateway-ports"


def test_off_by_default() -> None:
    rendered = render()
    assert not rendered.of("GatewayClass")
    assert not [name for name in rendered.flags() if "gateway" in name]


def test_flags_and_class() -> None:
    rendered = render(f"{{{ON}}}")
    flags = rendered.flags()
    assert flags["enable-gateway-api"] == "true"
    assert flags["gateway-port-range"] == "20000-27999"
    assert flags["gateway-endpoints-service"] == f"$(POD_NAMESPACE)/{controller()}"
    assert rendered.one("GatewayClass", "headgate")["spec"] == {"controllerName": "headgate.dev/gateway-controller"}
    assert not render("{gatewayAPI: {enabled: true, gatewayClass: {create: false}}}").of("GatewayClass")


def test_gateway_on_the_ports_of_ingresses() -> None:
    flag = "gateway-on-ingress-ports"
    assert flag not in render(f"{{{ON}}}").flags()
    values = "gatewayOnIngressPorts: infra/edge"
    assert render(f"{{gatewayAPI: {{enabled: true, {values}}}}}").flags()[flag] == "infra/edge"
    assert flag not in render(f"{{gatewayAPI: {{{values}}}}}").flags()
    assert "gatewayOnIngressPorts" in rejected("{gatewayAPI: {enabled: true, gatewayOnIngressPorts: edge}}")


def test_parameters() -> None:
    rendered = render("{gatewayAPI: {enabled: true, gatewayClass: {parameters: {namespace: a, name: b}}}}")
    reference = rendered.one("GatewayClass")["spec"]["parametersRef"]
    assert reference == {"group": "headgate.dev", "kind": "HeadgateParameters", "namespace": "a", "name": "b"}
    crd = rendered.one("CustomResourceDefinition", "headgateparameters.headgate.dev")
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["service"]
    # As ServiceParameters of the compile crate.
    assert sorted(spec["properties"]) == [
        "allocateLoadBalancerNodePorts",
        "annotations",
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "ipFamilies",
        "ipFamilyPolicy",
        "labels",
        "loadBalancerClass",
        "loadBalancerSourceRanges",
        "type",
    ]
    assert rendered.one("CustomResourceDefinition", "headgatepolicies.headgate.dev")["spec"]["names"]["kind"] == "HeadgatePolicy"
    assert not render().of("CustomResourceDefinition")


def test_admission() -> None:
    (webhook,) = render().one("ValidatingWebhookConfiguration")["webhooks"]
    found, own = render(f"{{{ON}}}").one("ValidatingWebhookConfiguration")["webhooks"]
    assert found == webhook
    assert own["name"] == "validate.gateway.headgate.dev"
    assert own["clientConfig"]["service"]["path"] == "/gateway-api"
    assert [(rule["apiGroups"], rule["resources"]) for rule in own["rules"]] == [
        (["gateway.networking.k8s.io"], ["httproutes", "grpcroutes"]),
        (["headgate.dev"], ["headgatepolicies"]),
    ]
    differing = {name for name in own if own[name] != webhook[name]}
    assert differing == {"name", "clientConfig", "rules"}


def test_permissions() -> None:
    rendered = render(f"{{{ON}}}")
    found = merged(rendered.one("ClusterRole", "headgate"))
    assert found[("", "services")].split() == ["create", "get", "list", "update", "watch", "delete"]
    assert found[("discovery.k8s.io", "endpointslices")].split() == ["create", "list", "update", "watch", "delete"]
    own = within(rendered, NAMESPACE)
    assert own == OWN | {("", "configmaps"): "create", ("", "configmaps", RECORD): "get update"}


@pytest.mark.parametrize(
    "values",
    [
        "controller: {disableLeaderElection: true}",
        "controller: {service: {enabled: false}}",
        "dropIn: {enabled: true}",
        "controller: {scope: {enabled: true, namespace: shop}}",
    ],
)
def test_without_services_of_gateways_nothing_more_is_allowed(values: str) -> None:
    rendered = render(f"{{{ON}, {values}}}")
    flags = rendered.flags()
    assert flags["enable-gateway-api"] == "true" and flags["gateway-port-range"] == "none"
    found = merged(rendered.one("ClusterRole", "headgate"))
    assert found.get(("", "services"), "list watch") == "list watch"
    assert ("", "configmaps", RECORD) not in within(rendered, NAMESPACE)


def test_network_policy() -> None:
    ports = render(f"{{{ON}}}").one("NetworkPolicy", controller())["spec"]["ingress"][0]["ports"]
    assert [port for port in ports if "endPort" in port] == [
        {"port": 20000, "endPort": 27999, "protocol": protocol} for protocol in ("TCP", "UDP")
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("gatewayAPI: {enabled: true, portRange: 8000-9000}", "8443"),
        ("gatewayAPI: {enabled: true, portRange: 9-8}", "the lower one first"),
    ],
)
def test_rejections(values: str, message: str) -> None:
    assert message in rejected(f"{{{values}}}")
