"""Services."""

import pytest

from chart import controller, render


def ports(values: str, name: str = controller()) -> dict:
    spec = render(values).one("Service", name)["spec"]
    return {
        port["name"]: (port["port"], port["targetPort"], port.get("nodePort"), port.get("appProtocol"))
        for port in spec["ports"]
    }


def test_defaults() -> None:
    assert ports("") == {"http": (80, "http", None, "http"), "https": (443, "https", None, "https")}
    spec = render().one("Service", controller())["spec"]
    assert sorted(spec) == ["ports", "selector", "type"], "other fields are left to the cluster"


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ("externalTrafficPolicy: Local", "externalTrafficPolicy", "Local"),
        ("externalTrafficPolicy: Local, type: ClusterIP", "externalTrafficPolicy", None),
        ("loadBalancerSourceRanges: [10.0.0.0/8]", "loadBalancerSourceRanges", ["10.0.0.0/8"]),
        ("allocateLoadBalancerNodePorts: false", "allocateLoadBalancerNodePorts", False),
        ("allocateLoadBalancerNodePorts: true", "allocateLoadBalancerNodePorts", True),
        ("allocateLoadBalancerNodePorts: false, type: NodePort", "allocateLoadBalancerNodePorts", None),
        ("ipFamilies: [IPv6], ipFamilyPolicy: SingleStack", "ipFamilies", ["IPv6"]),
        ("trafficDistribution: PreferClose", "trafficDistribution", "PreferClose"),
        ("internalTrafficPolicy: Local", "internalTrafficPolicy", "Local"),
        ("healthCheckNodePort: 32000", "healthCheckNodePort", 32000),
    ],
)
def test_fields(values: str, field: str, expected: object) -> None:
    assert render(f"{{controller: {{service: {{{values}}}}}}}").one("Service", controller())["spec"].get(field) == expected


def test_node_ports() -> None:
    values = "{controller: {service: {type: %s, nodePorts: {http: 32080, https: '32443', tcp: {9000: 32090}}}}, tcp: {9000: 'a/b:1'}}"
    assert {name: port[2] for name, port in ports(values % "NodePort").items()} == {
        "http": 32080,
        "https": 32443,
        "9000-tcp": 32090,
    }
    assert {port[2] for port in ports(values % "ClusterIP").values()} == {None}


def test_the_internal_service_inherits() -> None:
    values = "{controller: {service: {type: NodePort, ports: {http: 8000}, internal: {enabled: true, ports: {https: 8443}, appProtocol: false}}}}"
    assert ports(values, controller("-internal")) == {"http": (8000, "http", None, None), "https": (8443, "https", None, None)}
    assert render(values).one("Service", controller("-internal"))["spec"]["type"] == "NodePort"


def test_services_can_be_switched_off() -> None:
    assert not render("{controller: {service: {enabled: false, internal: {enabled: true}}}}").of(
        "Service", controller("-internal")
    )
    internal = render("{controller: {service: {external: {enabled: false}, internal: {enabled: true}}}}")
    assert not internal.of("Service", controller())
    assert internal.flags()["publish-service"] == f"$(POD_NAMESPACE)/{controller('-internal')}"
    assert list(ports("{controller: {service: {enableHttp: false}}}")) == ["https"]


def test_the_metrics_service() -> None:
    assert not render().of("Service", controller("-metrics"))
    spec = render(
        "{controller: {metrics: {enabled: true, service: {type: NodePort, nodePort: 32254, servicePort: 9090}}}}"
    ).one("Service", controller("-metrics"))["spec"]
    assert spec["ports"] == [{"name": "metrics", "port": 9090, "targetPort": "metrics", "protocol": "TCP", "nodePort": 32254}]


def test_annotations_are_templates() -> None:
    values = "{controller: {service: {annotations: {name: '{{ .Release.Name }}', weight: 10}}}}"
    assert render(values).one("Service", controller())["metadata"]["annotations"] == {"name": "headgate", "weight": "10"}


def test_the_connection_test_uses_the_service() -> None:
    command = render().one("Pod")["spec"]["containers"][0]["command"]
    assert command[-1] == "http://headgate-controller.edge.svc:80/healthz"
    proxied = render("{controller: {config: {use-proxy-protocol: 'true'}}}").one("Pod")["spec"]["containers"][0]["command"]
    assert proxied[0] == "nc"
    assert not render("{controller: {service: {enabled: false}}}").of("Pod")
