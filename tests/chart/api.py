"""A Kubernetes API server for tests of releases: this project's fixture, which enforces RBAC, or, with
HEADGATE_TEST_KUBECONFIG, the cluster of that file. A release has cluster-scoped objects, so that cluster must be used for
nothing else.
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import yaml

from chart import ROOT

# Maximum wait for a change, in seconds.
TIMEOUT = 30

# Namespaces, and paths of the objects that the tests create in an external cluster.
NAMESPACES = ("edge", "headgate", "lb", "old", "other", "shop")
IN_NAMESPACES = (
    "/api/v1/{}/configmaps",
    "/api/v1/{}/pods",
    "/api/v1/{}/secrets",
    "/api/v1/{}/serviceaccounts",
    "/api/v1/{}/services",
    "/apis/apps/v1/{}/deployments",
    "/apis/autoscaling/v2/{}/horizontalpodautoscalers",
    "/apis/coordination.k8s.io/v1/{}/leases",
    "/apis/events.k8s.io/v1/{}/events",
    "/apis/networking.k8s.io/v1/{}/ingresses",
    "/apis/networking.k8s.io/v1/{}/networkpolicies",
    "/apis/policy/v1/{}/poddisruptionbudgets",
    "/apis/rbac.authorization.k8s.io/v1/{}/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/{}/roles",
)
IN_THE_CLUSTER = (
    "/api/v1/nodes/one",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/headgate-admission",
    "/apis/networking.k8s.io/v1/ingressclasses/nginx",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/headgate",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/headgate-admission",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/headgate",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/headgate-admission",
)

# The kubeconfig of an external cluster.
EXTERNAL = os.environ.get("HEADGATE_TEST_KUBECONFIG")


class Api:
    """Client of the API server, independent of Helm."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        cluster, user = current(kubeconfig)
        self.address = cluster["server"]
        self.tls = _tls(cluster)
        self.headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if user.keys() & {"client-certificate-data", "client-certificate"}:
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(_text(user, "client-certificate") + _text(user, "client-key"))
                pem.flush()
                self.tls.load_cert_chain(pem.name)

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict:
        """The response to a request, which must succeed."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} | self.headers
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30, context=self.tls) as response:
            return json.load(response)

    def find(self, path: str) -> dict | None:
        """An object, if it exists."""
        try:
            return self.request("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def list(self, path: str) -> list:
        """All objects of a collection."""
        return self.request("GET", path)["items"]

    def rejection(self, found: dict) -> str | None:
        """Why the API server would not create an object; `None` also for a kind that it does not serve."""
        version, namespace = found["apiVersion"], found["metadata"].get("namespace")
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        known = self.find(group) or {"resources": []}
        plural = next((one["name"] for one in known["resources"] if one["kind"] == found["kind"]), None)
        if not plural:
            return None
        within = f"/namespaces/{namespace}" if namespace else ""
        try:
            self.request("POST", f"{group}{within}/{plural}?dryRun=All&fieldValidation=Strict", found)
        except urllib.error.HTTPError as error:
            return json.load(error)["message"]
        return None

    def until(self, path: str, name: str | None, matches: Callable[[dict], bool]) -> None:
        """Watches a collection until an object of it (any, without a name) matches."""
        query = f"?watch=1&timeoutSeconds={TIMEOUT}" + (f"&fieldSelector=metadata.name%3D{name}" if name else "")
        request = urllib.request.Request(f"{self.address}{path}{query}", headers=self.headers)
        last = None
        with urllib.request.urlopen(request, timeout=2 * TIMEOUT, context=self.tls) as events:
            for line in events:
                last = json.loads(line)["object"]
                if matches(last):
                    return
        raise AssertionError(f"{path} {name}: not within {TIMEOUT} s: {json.dumps(last)}")

    def delete(self, path: str) -> None:
        """Deletes an object without a grace period."""
        try:
            self.request("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def namespace(self, name: str, labels: dict | None = None) -> None:
        """Creates a namespace, or sets its labels."""
        path = f"/api/v1/namespaces/{name}"
        metadata = {"name": name, "labels": labels or {}}
        if self.find(path):
            self.merge(path, {"metadata": metadata})
        else:
            self.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def merge(self, path: str, patch: dict) -> dict:
        """Changes fields of an object."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")

    def as_account(self, namespace: str, name: str, directory: Path) -> Path:
        """A kubeconfig with a token of a ServiceAccount."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.request("POST", path, request)["status"]["token"]
        config = {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": current(self.kubeconfig)[0]}],
            "users": [{"name": name, "user": {"token": token}}],
        }
        file = directory / "kubeconfig-of-account"
        file.write_text(json.dumps(config))
        return file


def current(kubeconfig: Path) -> tuple[dict, dict]:
    """Cluster and user of a kubeconfig's current context."""
    config = yaml.safe_load(kubeconfig.read_text())

    def named(kind: str, name: str) -> dict:
        return next(one[kind] for one in config[f"{kind}s"] if one["name"] == name)

    context = named("context", config["current-context"])
    return named("cluster", context["cluster"]), named("user", context["user"])


def _tls(cluster: dict) -> ssl.SSLContext:
    """TLS with the CA that a kubeconfig has for a cluster."""
    if cluster.get("insecure-skip-tls-verify"):
        return ssl._create_unverified_context()
    if cluster.keys() & {"certificate-authority-data", "certificate-authority"}:
        return ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
    return ssl.create_default_context()


def _text(config: dict, name: str) -> str:
    """A value that a kubeconfig has inline or as the name of a file."""
    data = config.get(f"{name}-data")
    return base64.b64decode(data).decode() if data else Path(config[name]).read_text()


def running(directory: Path) -> AbstractContextManager[Api]:
    """An empty API server, until the context ends."""
    return _external(Path(EXTERNAL)) if EXTERNAL else _fixture(directory)


@contextmanager
def _external(kubeconfig: Path) -> Iterator[Api]:
    """The external cluster, which must not have another ingress controller."""
    api = Api(kubeconfig)
    assert not api.find("/apis/networking.k8s.io/v1/ingressclasses/nginx"), "the cluster has a class nginx: it is in use"
    for name in NAMESPACES:
        api.namespace(name)
    try:
        yield api
    finally:
        # First the webhook, which would reject changes of the others.
        for path in IN_THE_CLUSTER:
            api.delete(path)
        for name in NAMESPACES:
            for collection in IN_NAMESPACES:
                path = collection.format(f"namespaces/{name}")
                for found in api.list(path):
                    api.delete(f"{path}/{found['metadata']['name']}")


@contextmanager
def _fixture(directory: Path) -> Iterator[Api]:
    """The fixture of this project."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    build = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "headgate-apiserver"]
    subprocess.run(build, cwd=ROOT, check=True)
    kubeconfig = directory / "kubeconfig"
    program = target / "debug" / "headgate-apiserver"
    # Workloads are available, and Pods succeeded, as soon as they are created. Tokens need TLS.
    command = [program, "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig, "--play-workloads", "--tls", "--rbac"]
    # It stops when its standard input is closed, even if this process is killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            # It writes the first line after the kubeconfig.
            assert process.stdout.readline(), "the fixture did not start"
            yield Api(kubeconfig)
        finally:
            process.terminate()
