"""Releases that Helm installs, upgrades and uninstalls."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import helm_python as helm
import pytest

import manifests
from api import EXTERNAL, Api, running
from chart import CHART, NAMESPACE, RELEASE, controller, values

DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{controller()}"
SETTINGS = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{controller()}"
CLASS = "/apis/networking.k8s.io/v1/ingressclasses/nginx"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/headgate-admission"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/headgate"

# Collections of the objects that exist while a release is deleted.
HOOK = (
    "/api/v1/namespaces/{}/serviceaccounts",
    "/apis/batch/v1/namespaces/{}/jobs",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
)


@pytest.fixture(name="api")
def _api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path) as api:
        for namespace in (NAMESPACE, "old"):
            api.namespace(namespace)
        yield api


@pytest.fixture(name="cluster")
def _cluster(api: Api) -> Iterator[helm.Config]:
    # Helm writes Secrets as protobuf, which the fixture does not support.
    driver = "secret" if EXTERNAL else "memory"
    with helm.Config(kubeconfig_path=api.kubeconfig, namespace=NAMESPACE, storage_driver=driver) as config:
        yield config


def install(cluster: helm.Config, text: str = "") -> dict:
    given = values(text)
    if EXTERNAL:
        # An external cluster need not run Pods, and so no Job ends there.
        given.setdefault("controller", {})["uninstallHook"] = {"enabled": False}
    return cluster.install(CHART, RELEASE, given, namespace=NAMESPACE, timeout=60)


def upgrade(cluster: helm.Config, text: str = "") -> dict:
    return cluster.upgrade(CHART, RELEASE, values(text), namespace=NAMESPACE, timeout=60)


def test_a_release_from_beginning_to_end(api: Api, cluster: helm.Config) -> None:
    install(cluster, "{controller: {config: {proxy-body-size: 8m}}}")
    assert api.find(DEPLOYMENT)["spec"]["replicas"] == 2
    assert api.find(SETTINGS)["data"] == {"proxy-body-size": "8m"}
    assert api.find(CLASS)["spec"]["controller"] == "k8s.io/ingress-nginx"

    upgrade(cluster, "{controller: {replicaCount: 3, config: {proxy-read-timeout: 30}}}")
    assert api.find(DEPLOYMENT)["spec"]["replicas"] == 3
    assert api.find(SETTINGS)["data"] == {"proxy-read-timeout": "30"}

    cluster.rollback(RELEASE, version=1, timeout=60)
    assert api.find(DEPLOYMENT)["spec"]["replicas"] == 2
    assert api.find(SETTINGS)["data"] == {"proxy-body-size": "8m"}

    cluster.uninstall(RELEASE, timeout=60)
    assert [path for path in (DEPLOYMENT, SETTINGS, CLASS, WEBHOOK, ROLE) if api.find(path)] == []
    left = [path for kind in HOOK for path in [f"{kind.format(NAMESPACE)}/{RELEASE}-uninstall"] if api.find(path)]
    assert not left, "the objects of the hook are deleted"


@pytest.mark.skipif(EXTERNAL is not None, reason="an external cluster need not run Pods")
def test_waiting_and_helm_test(api: Api, cluster: helm.Config) -> None:
    release = cluster.install(
        CHART, RELEASE, values("{controller: {service: {type: NodePort}}}"), namespace=NAMESPACE, wait="watcher", timeout=60
    )
    assert release["status"] == "deployed"
    cluster.test(RELEASE, timeout=60)
    remaining = api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    assert not remaining, "the Pod of a test that succeeded is deleted"


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl")
def test_the_plain_manifests_can_be_applied(api: Api) -> None:
    command = ["kubectl", "--kubeconfig", api.kubeconfig, "apply", "--validate=false", "-f", manifests.FILE]
    for more in ([], [], ["--server-side"], ["--server-side"]):
        applied = subprocess.run([*command, *more], check=False, capture_output=True, text=True, timeout=60)
        assert applied.returncode == 0, applied.stderr
    path = DEPLOYMENT.replace(NAMESPACE, "headgate")
    assert api.find(path)["spec"]["replicas"] == 2


def test_an_upgrade_keeps_the_ca_bundle_that_the_controller_wrote(api: Api, cluster: helm.Config) -> None:
    install(cluster)
    written = api.find(WEBHOOK)
    written["webhooks"][0]["clientConfig"]["caBundle"] = "QUJD"
    api.request("PUT", WEBHOOK, written)
    upgrade(cluster, "{controller: {admissionWebhooks: {timeoutSeconds: 5}}}")
    (webhook,) = api.find(WEBHOOK)["webhooks"]
    assert webhook["timeoutSeconds"] == 5
    assert webhook["clientConfig"]["caBundle"] == "QUJD"


def test_upgrades_keep_the_replicas_of_an_autoscaler(api: Api, cluster: helm.Config) -> None:
    install(cluster, "{controller: {autoscaling: {enabled: true}}}")
    api.merge(DEPLOYMENT, {"spec": {"replicas": 7}})
    upgrade(cluster, "{controller: {autoscaling: {enabled: true}, minReadySeconds: 1}}")
    assert api.find(DEPLOYMENT)["spec"]["replicas"] == 7


def test_a_class_with_the_policy_keep_outlives_the_release(api: Api, cluster: helm.Config) -> None:
    install(cluster, "{controller: {ingressClassResource: {annotations: {helm.sh/resource-policy: keep}}}}")
    cluster.uninstall(RELEASE, timeout=60)
    assert api.find(CLASS) and not api.find(DEPLOYMENT)


def test_migration_from_ingress_nginx(api: Api, cluster: helm.Config) -> None:
    """The steps of the migration guide, with objects that belong to a release of ingress-nginx."""
    settings = "/api/v1/namespaces/old/configmaps"
    api.request(
        "POST",
        CLASS.rpartition("/")[0],
        owned("networking.k8s.io/v1", "IngressClass", "nginx", {"spec": {"controller": "k8s.io/ingress-nginx"}}),
    )
    api.request("POST", settings, owned("v1", "ConfigMap", "ingress-nginx-controller", {"data": {"proxy-body-size": "8m"}}))

    with pytest.raises(helm.HelmError, match="invalid ownership metadata"):
        install(cluster)
    cluster.uninstall(RELEASE, ignore_not_found=True)

    beside = "{dropIn: {enabled: true, namespace: old%s}, controller: {config: {proxy-body-size: 8m}}}"
    install(cluster, beside % "")
    assert flag(api, "configmap") == "old/ingress-nginx-controller"
    assert flag(api, "update-status") == "false"
    assert not api.find(SETTINGS)

    upgrade(cluster, beside % ", status: true")
    assert flag(api, "update-status") is None

    # ingress-nginx is uninstalled, and its class and settings remain.
    assert api.find(CLASS)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "ingress-nginx"
    api.merge(CLASS, ownership(RELEASE, NAMESPACE))
    upgrade(cluster, "{controller: {config: {proxy-body-size: 8m}}}")
    assert api.find(SETTINGS)["data"] == {"proxy-body-size": "8m"}
    assert flag(api, "configmap") == f"$(POD_NAMESPACE)/{controller()}"
    assert api.find(CLASS)["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE


def ownership(release: str, namespace: str) -> dict:
    """The metadata by which Helm recognizes the objects of a release."""
    annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
    return {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": annotations}}


def owned(version: str, kind: str, name: str, fields: dict) -> dict:
    """An object of ingress-nginx's release."""
    found = {"apiVersion": version, "kind": kind} | ownership("ingress-nginx", "old") | fields
    found["metadata"]["name"] = name
    return found


def flag(api: Api, name: str) -> str | None:
    """A flag of the installed controller."""
    for argument in api.find(DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["args"]:
        found, _, value = argument.removeprefix("--").partition("=")
        if found == name:
            return value
    return None
