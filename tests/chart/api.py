"""A Kubernetes API server for tests of releases: this project's fixture, which enforces rights as a real one does."""

import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from chart import ROOT

# Seconds after which what has not happened will not happen.
PATIENCE = 30


class Api:
    """Plain requests to the API server, next to what Helm does."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.address = cluster["server"]
        self.tls = ssl.create_default_context(cadata=authority)
        self.token = config["users"][0]["user"]["token"]

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict:
        """The answer to a request, which has to succeed."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self.token}"}
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

    def until(self, path: str, name: str | None, is_so: Callable[[dict], bool]) -> None:
        """Waits for a change after which an object of a collection (any, without a name) is so."""
        query = f"?watch=1&timeoutSeconds={PATIENCE}" + (f"&fieldSelector=metadata.name%3D{name}" if name else "")
        request = urllib.request.Request(f"{self.address}{path}{query}", headers={"Authorization": f"Bearer {self.token}"})
        last = None
        with urllib.request.urlopen(request, timeout=2 * PATIENCE, context=self.tls) as changes:
            for line in changes:
                last = json.loads(line)["object"]
                if is_so(last):
                    return
        raise AssertionError(f"{path} {name}: not within {PATIENCE} s: {json.dumps(last)}")

    def merge(self, path: str, patch: dict) -> dict:
        """Changes fields of an object."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")

    def as_account(self, namespace: str, name: str, folder: Path) -> Path:
        """A kubeconfig of a ServiceAccount, with no rights but the account's."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": self.request("POST", path, asked)["status"]["token"]}
        file = folder / "kubeconfig-of-the-account"
        file.write_text(json.dumps(config))
        return file


@contextmanager
def running(folder: Path) -> Iterator[Api]:
    """A fixture with nothing in it, for as long as it is needed."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    build = ["cargo", "build", "--quiet", "--locked", "--package", "headgate-testkit", "--bin", "kubernetes-api"]
    subprocess.run(build, cwd=ROOT, check=True)
    kubeconfig = folder / "kubeconfig"
    program = target / "debug" / "kubernetes-api"
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
