"""The web console."""

import base64

import pytest

from chart import controller, rejected, render

CONSOLE = controller("-console")


def test_without_it_the_console_is_on_loopback_only() -> None:
    rendered = render()
    assert "console-address" not in rendered.flags()
    assert not rendered.of("Service", CONSOLE)
    assert not rendered.of("Secret", CONSOLE)


def test_it_is_behind_a_service_inside_the_cluster_and_needs_a_token() -> None:
    rendered = render("{console: {enabled: true, port: 9443, hosts: [console.example], service: {servicePort: 80}}}")
    flags = rendered.flags()
    namespace = rendered.one("Service", CONSOLE)["metadata"]["namespace"]
    assert flags["console-address"] == ":9443"
    assert flags["console-token-file"] == "/etc/headgate/console/token"
    names = f"{CONSOLE},{CONSOLE}.{namespace},{CONSOLE}.{namespace}.svc,console.example"
    assert flags["console-hosts"] == names
    spec = rendered.one("Service", CONSOLE)["spec"]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "ClientIP")
    assert spec["ports"] == [{"name": "console", "port": 80, "targetPort": "console", "protocol": "TCP"}]
    pod = rendered.one("Deployment", controller())["spec"]["template"]["spec"]
    assert {"name": "console", "containerPort": 9443, "protocol": "TCP"} in pod["containers"][0]["ports"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["console"]["secret"]["secretName"] == CONSOLE
    token = base64.b64decode(rendered.one("Secret", CONSOLE)["data"]["token"])
    assert len(token) == 32
    policy = rendered.one("NetworkPolicy", controller())["spec"]["ingress"]
    assert {"ports": [{"port": 9443, "protocol": "TCP"}]} in policy


def test_a_secret_of_ones_own_replaces_that_of_the_chart() -> None:
    rendered = render("{console: {enabled: true, existingSecret: own}, controller: {networkPolicy: {consoleFrom: [{podSelector: {}}]}}}")
    assert not rendered.of("Secret", CONSOLE)
    pod = rendered.one("Deployment", controller())["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["console"]["secret"]["secretName"] == "own"
    policy = rendered.one("NetworkPolicy", controller())["spec"]["ingress"]
    assert {"ports": [{"port": 10243, "protocol": "TCP"}], "from": [{"podSelector": {}}]} in policy


@pytest.mark.parametrize("port", [443, 10254])
def test_its_port_is_its_own(port: int) -> None:
    assert f"console.port is {port}" in rejected(f"{{console: {{enabled: true, port: {port}}}}}")
