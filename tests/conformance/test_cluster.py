"""Headgate in a real cluster, as its chart installs it, through upgrades and outages; `run --cluster`."""

import asyncio
import ctypes
import http.client
import json
import os
import re
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from cluster import CHART, LOGS, NAMESPACE, ROOT, program, running
from load import Group, Http1, Load, Request

HOST = "echo.test"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:"
ECHO = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo", "namespace": "shop"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "echo"}},
            "template": {
                "metadata": {"labels": {"app": "echo"}},
                "spec": {"containers": [{
                    "name": "echo", "image": "echo-basic:1", "env": [{"name": "NAMESPACE", "value": "shop"}],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 3000}, "periodSeconds": 1},
                }]},
            },
        },
    },
    {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": "shop"},
        "spec": {"selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": 3000}]},
    },
]
# Of setns(2), which Python has from 3.12 on.
CLONE_NEWNET = 0x40000000


def ingress(name, host, path="/"):
    backend = {"service": {"name": "echo", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }


class Release:
    """Headgate in the cluster, reached through the load balancer of its Service."""

    def __init__(self, cluster):
        self.cluster = cluster
        (given,) = cluster.get("service", "headgate-controller", f"--namespace={NAMESPACE}")["status"]["loadBalancer"]["ingress"]
        self.address = given["ip"]

    def pods(self):
        found = self.cluster.get("pods", f"--namespace={NAMESPACE}", "--selector=app.kubernetes.io/component=controller")["items"]
        return {one["metadata"]["name"]: one["status"]["podIP"] for one in found if "deletionTimestamp" not in one["metadata"]}

    def leader(self):
        return self.cluster.get("lease", "headgate-leader", f"--namespace={NAMESPACE}")["spec"].get("holderIdentity")

    def metric(self, address, name, **labels):
        """The sum of a metric of one replica."""
        with urllib.request.urlopen(f"http://{address}:10254/metrics", timeout=5) as response:
            text = response.read().decode()
        lines = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.split()[-1]) for line in lines if all(f'{label}="{value}"' in line for label, value in labels.items()))

    def addresses(self, name):
        """Those in the status of an Ingress."""
        status = self.cluster.get("ingress", name, "--namespace=shop")["status"]
        return [one["ip"] for one in status["loadBalancer"].get("ingress", [])]

    def serves(self, host):
        """Whether each replica does."""
        return all(status(address, host) == 200 for address in self.pods().values())

    @contextmanager
    def traffic(self):
        """Requests from outside, on kept and on new connections, all of which must be answered by an endpoint. Gives their tally."""
        requests = [Request(HOST, "/", check)]
        groups = [Group(Http1, 8, lambda: requests[0]), Group(Http1, 8, lambda: requests[0], once=True)]
        began, stop, loads, problems = threading.Event(), threading.Event(), [], []

        async def run():
            async with Load([(80, 443)], groups, rate=100, address=self.address) as load:
                loads.append(load)
                began.set()
                while not stop.is_set():
                    await asyncio.sleep(0.05)

        def outside():
            try:
                with open("/run/netns/outside", "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                asyncio.run(run())
            except Exception as problem:  # noqa: BLE001 it belongs to the test
                problems.append(problem)
                began.set()

        thread = threading.Thread(target=outside)
        thread.start()
        began.wait()
        try:
            if not problems:
                self.more(loads[0].tally, 100)
                yield loads[0].tally
                self.more(loads[0].tally, 100)
        finally:
            stop.set()
            thread.join()
        assert not problems, problems
        assert not loads[0].tally.failures, loads[0].tally.failures

    def more(self, tally, count):
        """Waits for further good responses."""
        goal = tally.good + count
        self.cluster.until(lambda: tally.good >= goal, f"{count} more responses; {tally.failures}", seconds=20)


def status(address, host):
    """That of a response, None without one."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_refused(event):
    is_of_release = event["user"]["username"].startswith(ACCOUNT)
    return is_of_release and event.get("responseStatus", {}).get("code") in (401, 403)


def is_of_a_start(event, starts):
    """Whether the API server got a request before it was ready. It does not know all roles until then."""
    received = datetime.fromisoformat(event["requestReceivedTimestamp"])
    return any(begin <= received <= ready for begin, ready in starts)


def check(response):
    if response.status != 200:
        return f"status {response.status}"
    return None if json.loads(response.body)["namespace"] == "shop" else "not from an endpoint"


@pytest.fixture(scope="module", name="release")
def _release():
    programs = os.environ.get("CLUSTER_PROGRAMS")
    if not programs:
        pytest.skip("needs tests/conformance/run --cluster")
    images = {"headgate": [program()], "echo-basic": [f"{programs}/echo-basic"]}
    with running(Path(programs), LOGS, images) as cluster:
        cluster.install({})
        cluster.apply(*ECHO, ingress("echo", HOST))
        release = Release(cluster)
        cluster.kubectl("rollout", "status", "deployment/echo", "--namespace=shop", "--timeout=60s")
        cluster.until(lambda: release.serves(HOST), "the Ingress is served")
        yield release
        # Whatever it did, its roles allowed.
        refused = [
            one for one in map(json.loads, cluster.audit.read_text().splitlines())
            if is_refused(one) and not is_of_a_start(one, cluster.api_server_starts)
        ]
        assert not refused, [(one["verb"], one["requestURI"], one["responseStatus"]) for one in refused[:5]]


def test_statuses_have_the_address_of_the_load_balancer(release):
    release.cluster.until(lambda: release.addresses("echo") == [release.address], "the address is in the status")


def test_a_path_that_exists_is_refused(release):
    done = release.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ingress("copy", HOST)), check=False)
    assert done.returncode == 1
    assert "denied the request" in done.stderr and f'host "{HOST}" and path "/" is already defined in ingress shop/echo' in done.stderr


def test_an_upgrade_loses_no_request(release):
    before = set(release.pods())
    with release.traffic():
        with release.cluster.helm() as helm:
            helm.upgrade(CHART, "headgate", {"controller": {"podAnnotations": {"changed": "yes"}}}, wait="watcher", timeout=180)
        after = set(release.pods())
        assert len(after) == 2 and not after & before
        ended = [f"pod/{name}" for name in before]
        release.cluster.kubectl("wait", "--for=delete", *ended, f"--namespace={NAMESPACE}", "--timeout=120s")


def test_another_replica_takes_over_from_the_leader(release):
    leader = release.cluster.until(release.leader, "a replica leads")
    with release.traffic():
        release.cluster.kubectl("delete", "pod", leader, f"--namespace={NAMESPACE}", "--wait=false")
        next_leader = release.cluster.until(lambda: {release.leader()} - {leader, None, ""}, "another replica leads")
        release.cluster.apply(ingress("after-leader", "after-leader.test"))
        release.cluster.until(lambda: release.addresses("after-leader") == [release.address], f"{next_leader} writes statuses")


def test_an_outage_of_the_api_server(release):
    with release.traffic() as tally:
        release.cluster.stop("apiserver")
        release.more(tally, 500)
        release.cluster.start_api_server()
        release.cluster.apply(ingress("after-outage", "after-outage.test"))
        release.cluster.until(lambda: release.serves("after-outage.test"), "what was created after the outage is served")
        release.cluster.until(lambda: release.addresses("after-outage") == [release.address], "and has a status")


def test_changes_while_a_watch_expires(release):
    """Replicas are cut off from the API server, which forgets what they have missed."""
    cluster = release.cluster
    replicas = list(release.pods().values())
    missed = {one: release.metric(one, "headgate_watch_restarts_total", reason="gone") for one in replicas}
    with release.traffic():
        subprocess.run(["nft", "-f", "-"], input=f"""table ip cut {{
            chain input {{
                type filter hook input priority 0
                ip saddr {{ {", ".join(replicas)} }} tcp dport 6443 reject with tcp reset
            }}
        }}""", text=True, check=True)
        cluster.stop("apiserver")
        cluster.start_api_server()
        cluster.kubectl("delete", "ingress", "after-outage", "--namespace=shop")
        cluster.apply(ingress("missed", "missed.test"))
        subprocess.run([cluster.programs / "controlplane", "compact"], check=True)
        # Its cache still has them, and may have begun at the very version at which a replica's watch ended.
        cluster.stop("apiserver")
        cluster.start_api_server()
        subprocess.run(["nft", "delete", "table", "ip", "cut"], check=True)
        cluster.until(lambda: release.serves("missed.test"), "what was missed is served")
        cluster.until(lambda: not release.serves("after-outage.test"), "what was deleted is not served")
    assert all(release.metric(one, "headgate_watch_restarts_total", reason="gone") > missed[one] for one in replicas)


def test_the_api_server_accepts_converted_ingresses(release, tmp_path):
    """What `headgate convert` writes for the cases of other tests, for the examples, and for more hosts and paths than one object may have."""
    cluster, cases = release.cluster, ROOT / "tests" / "golden"
    cluster.kubectl("apply", "--server-side", "--kustomize", str(cluster.programs / "crds"))
    cluster.apply(CHART / "files" / "headgatepolicies.yaml")
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    inputs = [[ROOT / "tests" / "commands" / "convert.in.yaml"], [ROOT / "src" / "examples"]]
    inputs += [[cases / "stage.yaml", case] for case in sorted(cases.glob("*.in.yaml"))]
    many = [ingress(f"path-{number}", "paths.test", f"/{number}") for number in range(200)]
    for number in range(100):
        one = ingress(f"host-{number}", f"host-{number}.test")
        one["spec"]["tls"] = [{"hosts": [f"host-{number}.test"], "secretName": f"host-{number}"}]
        many.append(one)
    (tmp_path / "many.yaml").write_text("\n---\n".join(map(json.dumps, many)))
    inputs.append([cases / "stage.yaml", tmp_path / "many.yaml"])
    written, namespaces = tmp_path / "written.yaml", set()
    with written.open("w") as file:
        for number, parts in enumerate(inputs):
            place = parts[0]
            if len(parts) > 1:
                place = tmp_path / f"{number}.yaml"
                place.write_text("\n---\n".join(part.read_text() for part in parts))
            done = subprocess.run([program(), "convert", place], capture_output=True, text=True, check=False)
            # 1: something is lost; 2: it cannot be read, which some cases are about.
            if done.returncode in (0, 1):
                file.write(f"# {parts[-1].name}\n{done.stdout}\n")
                namespaces.update(re.findall(r"^  namespace: (\S+)", done.stdout, re.MULTILINE))
    for name in namespaces:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    accepted = cluster.kubectl("apply", "--server-side", "--dry-run=server", "-f", written).stdout.splitlines()
    assert len(accepted) > len(inputs)


def test_statuses_are_cleared_when_the_release_is_deleted(release):
    with release.cluster.helm() as helm:
        helm.uninstall("headgate", wait="watcher", timeout=120)
    assert release.addresses("echo") == []
