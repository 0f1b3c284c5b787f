"""A Kubernetes API server for tests of releases: this project's fixture, which enforces rights as a real one does, or, with
HEADGATE_TEST_KUBECONFIG, the cluster of that file. A release takes over a whole cluster, so that one has to be for tests
alone.
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

# Seconds after which what has not happened will not happen.
PATIENCE = 30

# Where the tests put things in a given cluster, and what they put there.
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

# The kubeconfig of a given cluster.
GIVEN = os.environ.get("HEADGATE_TEST_KUBECONFIG")


class Api:
    """Plain requests to the API server, next to what Helm does."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        cluster, user = current(kubeconfig)
        self.address = cluster["server"]
        self.tls = _trusting(cluster)
        self.headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if user.keys() & {"client-certificate-data", "client-certificate"}:
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(_text(user, "client-certificate") + _text(user, "client-key"))
                pem.flush()
                self.tls.load_cert_chain(pem.name)

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict:
        """The answer to a request, which has to succeed."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} | self.headers
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
            return json.load(answer)

    def find(self, path: str) -> dict | None:
        """An object, if it is there."""
        try:
            return self.request("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def list(self, path: str) -> list:
        """All objects of a collection."""
        return self.request("GET", path)["items"]

    def refusal(self, found: dict) -> str | None:
        """Why the API server would not create an object; a kind that it does not know is not asked about."""
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

    def until(self, path: str, name: str | None, is_so: Callable[[dict], bool]) -> None:
        """Waits for a change after which an object of a collection (any, without a name) is so."""
        query = f"?watch=1&timeoutSeconds={PATIENCE}" + (f"&fieldSelector=metadata.name%3D{name}" if name else "")
        request = urllib.request.Request(f"{self.address}{path}{query}", headers=self.headers)
        last = None
        with urllib.request.urlopen(request, timeout=2 * PATIENCE, context=self.tls) as changes:
            for line in changes:
                last = json.loads(line)["object"]
                if is_so(last):
                    return
        raise AssertionError(f"{path} {name}: not within {PATIENCE} s: {json.dumps(last)}")

    def delete(self, path: str) -> None:
        """Removes an object or the objects of a collection, at once."""
        try:
            self.request("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def namespace(self, name: str, labels: dict | None = None) -> None:
        """Makes a namespace, or gives it these labels."""
        path = f"/api/v1/namespaces/{name}"
        metadata = {"name": name, "labels": labels or {}}
        if self.find(path):
            self.merge(path, {"metadata": metadata})
        else:
            self.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def merge(self, path: str, patch: dict) -> dict:
        """Changes fields of an object."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")

    def as_account(self, namespace: str, name: str, folder: Path) -> Path:
        """A kubeconfig of a ServiceAccount, with no rights but the account's."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.request("POST", path, asked)["status"]["token"]
        config = {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": current(self.kubeconfig)[0]}],
            "users": [{"name": name, "user": {"token": token}}],
        }
        file = folder / "kubeconfig-of-the-account"
        file.write_text(json.dumps(config))
        return file


def current(kubeconfig: Path) -> tuple[dict, dict]:
    """Cluster and user of a kubeconfig's current context."""
    config = yaml.safe_load(kubeconfig.read_text())

    def named(kind: str, name: str) -> dict:
        return next(one[kind] for one in config[f"{kind}s"] if one["name"] == name)

    context = named("context", config["current-context"])
    return named("cluster", context["cluster"]), named("user", context["user"])


def _trusting(cluster: dict) -> ssl.SSLContext:
    """TLS with the authority that a kubeconfig tells for a cluster."""
    if cluster.get("insecure-skip-tls-verify"):
        return ssl._create_unverified_context()
    if cluster.keys() & {"certificate-authority-data", "certificate-authority"}:
        return ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
    return ssl.create_default_context()


def _text(config: dict, name: str) -> str:
    """What a kubeconfig holds as data or as the name of a file."""
    data = config.get(f"{name}-data")
    return base64.b64decode(data).decode() if data else Path(config[name]).read_text()


def running(folder: Path) -> AbstractContextManager[Api]:
    """An API server with nothing in it, for as long as it is needed."""
    return _given(Path(GIVEN)) if GIVEN else _fixture(folder)


@contextmanager
def _given(kubeconfig: Path) -> Iterator[Api]:
    """The given cluster, in which nobody else's ingress controller may be."""
    api = Api(kubeconfig)
    assert not api.find("/apis/networking.k8s.io/v1/ingressclasses/nginx"), "the cluster has a class nginx: it is in use"
    for name in NAMESPACES:
        api.namespace(name)
    try:
        yield api
    finally:
        # First what would refuse changes of the rest.
        for path in IN_THE_CLUSTER:
            api.delete(path)
        for name in NAMESPACES:
            for collection in IN_NAMESPACES:
                path = collection.format(f"namespaces/{name}")
                for found in api.list(path):
                    api.delete(f"{path}/{found['metadata']['name']}")


@contextmanager
def _fixture(folder: Path) -> Iterator[Api]:
    """This project's own."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    build = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "headgate-apiserver"]
    subprocess.run(build, cwd=ROOT, check=True)
    kubeconfig = folder / "kubeconfig"
    program = target / "debug" / "headgate-apiserver"
    # Workloads count as running, and Pods as finished, as soon as they are made. Tokens need TLS.
    command = [program, "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig, "--play-workloads", "--tls", "--rbac"]
    # It ends with its standard input, even if this process is killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            # Its first line says where it listens, and comes after the kubeconfig is written.
            assert process.stdout.readline(), "the fixture did not start"
            yield Api(kubeconfig)
        finally:
            process.terminate()
