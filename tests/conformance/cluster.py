"""A Kubernetes cluster on this machine: its control plane and one node, in the namespaces of this process.

The node is this process's network namespace, 10.10.0.1, which routes to Pods (10.244.0.0/16) and has Services (10.96.0.0/16) and
load balancers (10.30.0.0/24) by kube-proxy. A second namespace, `outside`, is a machine beside it, from which clients come. No
route leads out of them.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import helm_python as helm

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
LOGS = TARGET / "conformance" / "logs"
CHART = ROOT / "charts" / "headgate"
# Of Headgate.
NAMESPACE = "headgate"
sys.path.insert(0, str(HERE.parent / "cases"))

from certificates import Certificates  # noqa: E402

NODE = "10.10.0.1"
# A load balancer gets an address of the first prefix, and one of the second if it asks for it.
AUTOMATIC, REQUESTED = "10.30.0.0/25", "10.30.0.128/25"
USABLE, UNUSABLE = "10.30.0.200", "10.40.0.1"
NETWORK = f"""link set lo up
address add {NODE}/32 dev lo
netns add outside
link add outside type veth peer name eth0 netns outside
address add 10.20.0.1/24 dev outside
link set outside up
route add 10.96.0.0/16 dev outside src {NODE}
route add prohibit 10.30.0.0/16
route add prohibit 10.40.0.0/16
"""
OUTSIDE = """link set lo up
address add 10.20.0.2/24 dev eth0
link set eth0 up
route add default via 10.20.0.1
"""
# As the identities of Kubernetes' own parts; their roles exist in every cluster.
USERS = {
    "admin": ("admin", "system:masters"),
    "node": ("node", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
}
AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, users: [node, system:apiserver]}
  - {level: Metadata}
"""


def program():
    """The one under test: that of HEADGATE_PROGRAM, else the development build."""
    found = Path(os.environ.get("HEADGATE_PROGRAM", TARGET / "debug" / "headgate")).resolve()
    if not os.access(found, os.X_OK):
        raise ClusterError(f"no program {found}: `cargo build` makes it, or HEADGATE_PROGRAM must name one")
    return str(found)


class ClusterError(Exception):
    """A part of the cluster, or of what was asked of it, has failed."""


class Cluster:
    """Starts what it consists of, one by one; see `running`."""

    def __init__(self, programs, directory, logs):
        self.programs, self.directory, self.logs = Path(programs), Path(directory), Path(logs)
        self.processes = {}
        self.kubeconfig = self.directory / "admin.conf"
        self.audit = self.logs / "audit.json"
        # From when to when the API server has started.
        self.api_server_starts = []

    def prepare(self):
        for path in (self.directory, self.logs):
            path.mkdir(parents=True, exist_ok=True)
        ip(NETWORK)
        ip(OUTSIDE, "-netns", "outside")
        for name, value in {"ip_forward": 1, "conf/all/rp_filter": 0, "conf/default/rp_filter": 0}.items():
            Path(f"/proc/sys/net/ipv4/{name}").write_text(f"{value}\n")
        self._credentials()

    def _credentials(self):
        certificates = Certificates(self.directory)
        authority = certificates.authority("ca")
        names = ["kubernetes.default.svc", "localhost", NODE, "127.0.0.1", "10.96.0.1"]
        certificates.leaf("server", names, authority)
        certificates.leaf("accounts", ["accounts"], authority)
        lines = []
        for user, (name, groups) in USERS.items():
            lines.append(f'{user},{name},{name},"{groups}"\n')
            config = {
                "apiVersion": "v1", "kind": "Config", "current-context": "one",
                "clusters": [{"name": "one", "cluster": {"server": f"https://{NODE}:6443", "certificate-authority": authority.certificate}}],
                "users": [{"name": "one", "user": {"token": user}}],
                "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
            }
            (self.directory / f"{user}.conf").write_text(json.dumps(config))
        (self.directory / "tokens.csv").write_text("".join(lines))
        (self.directory / "audit.yaml").write_text(AUDIT)
        kubectl = self.directory / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nexec {self.programs}/controlplane kubectl --kubeconfig={self.kubeconfig} "$@"\n')
        kubectl.chmod(0o755)

    def start(self, name, *command):
        """Starts a program, whose output goes to its log."""
        with open(self.logs / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def control_plane(self, name, program, *arguments):
        self.start(name, self.programs / "controlplane", program, *arguments)

    def start_etcd(self):
        self.control_plane("etcd", "etcd", self.directory / "etcd")

    def start_api_server(self):
        """Returns when the API server is ready."""
        files = self.directory
        begin = datetime.now(UTC)
        self.control_plane(
            "apiserver", "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", f"--advertise-address={NODE}",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
            f"--token-auth-file={files}/tokens.csv", f"--client-ca-file={files}/ca.crt", f"--tls-cert-file={files}/server.crt", f"--tls-private-key-file={files}/server.key",
            f"--service-account-key-file={files}/accounts.crt", f"--service-account-signing-key-file={files}/accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local", f"--kubelet-certificate-authority={files}/ca.crt",
            f"--audit-policy-file={files}/audit.yaml", f"--audit-log-path={self.audit}", "--audit-log-maxsize=2000",
        )
        self.until(lambda: self.kubectl("get", "--raw=/readyz", check=False).returncode == 0, "the API server is ready")
        self.api_server_starts.append((begin, datetime.now(UTC)))

    def start_controllers(self):
        files = self.directory
        for name, program, more in (
            ("controllers", "kube-controller-manager", [
                f"--service-account-private-key-file={files}/accounts.key", f"--root-ca-file={files}/ca.crt",
                "--use-service-account-credentials=true",
                # The node says once that it is ready.
                "--node-monitor-grace-period=24h", "--kube-api-qps=200", "--kube-api-burst=400",
            ]),
            ("scheduler", "kube-scheduler", []),
        ):
            config = f"{files}/{name}.conf"
            self.control_plane(
                name, program, f"--kubeconfig={config}", f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
                "--leader-elect=false", *more,
            )
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": f"{files}/proxy.conf"}, "hostnameOverride": "node", "clusterCIDR": "10.244.0.0/16",
            # Usually it waits a second between changes.
            "mode": "nftables", "nftables": {"minSyncPeriod": "50ms"},
            # A setting of the whole machine.
            "conntrack": {"maxPerCore": 0},
        }
        (files / "proxy.json").write_text(json.dumps(proxy))
        self.control_plane("proxy", "kube-proxy", f"--config={files}/proxy.json")

    def start_node(self, images, balancers):
        addresses = [f"--automatic={AUTOMATIC}", f"--requested={REQUESTED}"] if balancers else []
        (self.logs / "containers").mkdir(exist_ok=True)
        self.start(
            "node", self.programs / "node", "run", f"--kubeconfig={self.directory}/node.conf", f"--directory={self.directory}/pods",
            f"--logs={self.logs}/containers", f"--address={NODE}", f"--certificate={self.directory}/server.crt",
            f"--key={self.directory}/server.key", f"--images={json.dumps(images)}", *addresses,
        )
        self.kubectl("wait", "--for=create", "node/node", "--timeout=30s")
        self.kubectl("wait", "--for=condition=Ready", "node/node", "--timeout=30s")

    def stop(self, name):
        """Ends a program at once."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def kubectl(self, *arguments, stdin=None, check=True):
        """Runs kubectl; fails with its message."""
        command = [self.directory / "kubectl", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    def get(self, *arguments):
        """The object or list that `kubectl get` finds."""
        return json.loads(self.kubectl("get", "--output=json", *arguments).stdout)

    def apply(self, *objects):
        """Creates or changes objects: dictionaries, or files and directories of manifests."""
        for one in objects:
            given = one if isinstance(one, (str, Path)) else "-"
            stdin = None if given is one else json.dumps(one)
            # Some CRDs are too large for client-side apply.
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(given), stdin=stdin)

    def helm(self):
        return helm.Config(kubeconfig_path=self.kubeconfig, namespace=NAMESPACE)

    def install(self, values):
        """Installs Headgate with Helm, and returns when its Pods are ready."""
        with self.helm() as config:
            try:
                config.install(CHART, "headgate", values, create_namespace=True, wait="watcher", timeout=60)
            except helm.HelmError as error:
                raise ClusterError(f"helm install: {error}") from error

    def until(self, condition, what, seconds=60):
        """Waits for a condition, and gives its value. Fails also if a program of the cluster has ended."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise ClusterError(f"{name} has ended: see {self.logs}/{name}.log")
            if time.monotonic() > end:
                raise ClusterError(f"not within {seconds} s: {what}")
            time.sleep(0.05)
        return value


@contextmanager
def running(programs, logs, images, balancers=True):
    """A cluster, until the end of the block. The caller is in namespaces of its own (see `run`).

    `images` are commands by the last part of an image's name; without `balancers` no Service gets an address.
    """
    # /run is the one of these namespaces: names of network namespaces are there, and what the cluster stores is in memory.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    shutil.rmtree(logs, ignore_errors=True)
    cluster = Cluster(programs, "/run/cluster", logs)
    cluster.prepare()
    try:
        cluster.start_etcd()
        cluster.start_api_server()
        cluster.start_controllers()
        cluster.start_node(images, balancers)
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.stop(name)


def outside(*command):
    """A command that runs on the machine beside the cluster."""
    return ["ip", "netns", "exec", "outside", *map(str, command)]


def ip(commands, *flags):
    subprocess.run(["ip", *flags, "-batch", "-"], input=commands, check=True, text=True)


def git_version():
    described = subprocess.run(["git", "describe", "--always", "--dirty", "--tags"], cwd=ROOT, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def main():
    """Runs a command, for tests that bring what runs in a cluster themselves, and exits with its code."""
    # Nor may others write statuses of their Services.
    with running(os.environ["CLUSTER_PROGRAMS"], LOGS, images={}, balancers=False) as cluster:
        environment = os.environ | {"HEADGATE_TEST_KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{cluster.directory}:{os.environ['PATH']}"}
        sys.exit(subprocess.run(sys.argv[1:], cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
