"""The controller with the flags and the permissions of the chart, with an API server that enforces RBAC."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import helm_python as helm
import pytest

from api import Api, running
from chart import CHART, NAMESPACE, RELEASE, controller, render, values
from test_flags import program

POD = f"{controller()}-0"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/{controller()}"

# Values, and the address that the status of an Ingress then has.
CASES = {
    "the whole cluster": ("{}", "192.0.2.1"),
    "another namespace": ("{controller: {scope: {enabled: true, namespace: shop}}}", "192.0.2.1"),
    "namespaces by label": ("{controller: {scope: {namespaceSelector: team=shop}}}", "192.0.2.1"),
    "addresses of nodes": ("{controller: {publishService: {enabled: false}, enableTopologyAwareRouting: true}}", "192.0.2.2"),
    "a service of another namespace": (
        "{controller: {scope: {enabled: true, namespace: shop}, publishService: {pathOverride: lb/front}}}",
        "192.0.2.3",
    ),
    "a default backend": (
        "{controller: {scope: {enabled: true, namespace: shop}}, defaultBackend: {enabled: true, image: {image: pages}}}",
        "192.0.2.1",
    ),
}


def ingress() -> dict:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": spec}


def service(address: str) -> dict:
    status = {"loadBalancer": {"ingress": [{"ip": address}]}}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": spec, "status": status}


@pytest.fixture(name="api")
def _api(tmp_path: Path) -> Iterator[Api]:
    """A cluster with an Ingress, a node and a Service of another namespace."""
    with running(tmp_path) as api:
        node = {"addresses": [{"type": "ExternalIP", "address": "192.0.2.2"}]}
        labels = {"topology.kubernetes.io/zone": "a"}
        for namespace in (NAMESPACE, "lb", "old"):
            api.namespace(namespace)
        api.namespace("shop", {"team": "shop"})
        api.request(
            "POST",
            "/api/v1/nodes",
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one", "labels": labels}, "status": node},
        )
        api.request(
            "PUT",
            "/api/v1/nodes/one/status",
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one", "labels": labels}, "status": node},
        )
        api.request("POST", "/api/v1/namespaces/lb/services", service("192.0.2.3"))
        api.merge("/api/v1/namespaces/lb/services/front/status", {"status": service("192.0.2.3")["status"]})
        api.request("POST", INGRESSES, ingress())
        yield api


def install(api: Api, text: str) -> None:
    """Installs the release; adds an address of its Service, and the Pod whose name the controller is started with."""
    with helm.Config(kubeconfig_path=api.kubeconfig, namespace=NAMESPACE, storage_driver="memory") as cluster:
        cluster.install(CHART, RELEASE, values(text), namespace=NAMESPACE, create_namespace=True, timeout=60)
    api.merge(f"{SERVICE}/status", {"status": service("192.0.2.1")["status"]})
    labels = render(text).one("Deployment", controller())["spec"]["template"]["metadata"]["labels"]
    containers = [{"name": "controller", "image": "headgate"}]
    spec = {"nodeName": "one", "serviceAccountName": "headgate", "containers": containers}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "labels": labels}, "spec": spec}
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.merge(f"/api/v1/namespaces/{NAMESPACE}/pods/{POD}/status", {"status": status})


@contextmanager
def started(api: Api, text: str, directory: Path) -> Iterator[subprocess.Popen]:
    """The program as the Pod would run it, on free ports of the loopback address."""
    flags = render(text).flags() | {
        "http-port": "0",
        "https-port": "0",
        "healthz-port": "0",
        "healthz-host": "127.0.0.1",
        "bind-address": "127.0.0.1",
        "shutdown-grace-period": "0",
        "kubeconfig": str(api.as_account(NAMESPACE, "headgate", directory)),
    }
    if "validating-webhook" in flags:
        flags["validating-webhook"] = "127.0.0.1:0"
    arguments = [f"--{name}={value.replace('$(POD_NAMESPACE)', NAMESPACE)}" for name, value in flags.items()]
    environment = os.environ | {
        "POD_NAME": POD,
        "POD_NAMESPACE": NAMESPACE,
        "RUST_LOG": "info,headgate=debug,headgate_cluster=debug",
    }
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([program(), "controller", *arguments], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def stop(process: subprocess.Popen, directory: Path) -> str:
    """Stops the program and returns its log."""
    process.terminate()
    code = process.wait(timeout=60)
    log = (directory / "log").read_text()
    assert code == 0, log
    return log


def has_address(address: str) -> Callable[[dict], bool]:
    return lambda found: (
        [entry.get("ip") for entry in found.get("status", {}).get("loadBalancer", {}).get("ingress") or []] == [address]
    )


def has_ca_bundle(found: dict) -> bool:
    return "caBundle" in found["webhooks"][0]["clientConfig"]


@pytest.mark.parametrize("case", CASES)
def test_permissions_are_sufficient(api: Api, case: str, tmp_path: Path) -> None:
    text, address = CASES[case]
    install(api, text)
    with started(api, text, tmp_path) as process:
        api.until(INGRESSES, "web", has_address(address))
        api.until(WEBHOOKS, "headgate-admission", has_ca_bundle)
        log = stop(process, tmp_path)
    assert "forbidden" not in log and "denied" not in log.lower(), log
    assert api.find(f"{LEASES}/headgate-leader")
    assert api.list("/apis/events.k8s.io/v1/namespaces/shop/events")


def test_drop_in_without_status_writes_only_events(api: Api, tmp_path: Path) -> None:
    api.request(
        "POST",
        "/apis/networking.k8s.io/v1/ingressclasses",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        },
    )
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ingress-nginx-controller"}, "data": {}}
    api.request("POST", "/api/v1/namespaces/old/configmaps", settings)
    text = "{dropIn: {enabled: true, namespace: old}}"
    install(api, text)
    with started(api, text, tmp_path) as process:
        # Its Service is missing, so an Event about the Ingress means that it is served.
        api.until("/apis/events.k8s.io/v1/namespaces/shop/events", None, lambda event: event["regarding"]["name"] == "web")
        log = stop(process, tmp_path)
    assert "forbidden" not in log, log
    assert not api.list(LEASES) and not api.find(f"{WEBHOOKS}/headgate-admission")
    assert not api.find(f"{INGRESSES}/web").get("status", {}).get("loadBalancer", {}).get("ingress")
