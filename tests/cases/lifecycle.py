"""Changes under load: of certificates, of the configuration, of endpoints, of the manifests themselves, and of the program.

Each phase returns once its changes are served, and its load has verified every response: that no request failed, went to an endpoint
that is no longer there, or was served by two versions at once, and that no change took longer than it may.
"""

import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from changes import HOSTS, Certificates, Endpoints, Versions, wrong
from load import Group, Http1, Http2, Load, Request
from sites import until
from test_cases import BINARY, PATIENCE, endpoint_slice, free_ports

STEADY, VERSIONED, ROLLING = HOSTS


class Process:
    """A program that ends with `stop`. With `cpus` it runs on those only, with `limit` it has so many files."""

    def __init__(self, command, log, cpus=None, limit=None):
        if limit:
            command = ["prlimit", f"--nofile={limit}", *command]
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus or own)
        try:
            with open(log, "ab") as output:
                self.process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
        finally:
            os.sched_setaffinity(0, own)
        self.pid = self.process.pid

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def exited(self):
        return self.process.poll()


class Echo(Process):
    """`headgate echo`, whose name is in its responses."""

    def __init__(self, site, name):
        self.name, self.port = name, site.free_port()
        super().__init__([site.binary, "echo", f"--listen=127.0.0.1:{self.port}", f"--name={name}"], site.directory / "echo.log", site.load_cpus)
        until(lambda: status(self.port, "/") == 200, f"{name} does not listen")


class Program(Process):
    """`headgate serve` with the manifests of a site."""

    def __init__(self, site, ports, flags=(), limit=None):
        self.ports = ports
        http, https, health = ports
        super().__init__([
            site.binary, "serve", site.manifests, "--bind-address=127.0.0.1", f"--http-port={http}", f"--https-port={https}",
            f"--healthz-port={health}", "--ingress-class=nginx", "--configmap=default/settings", *flags,
        ], site.directory / "log", site.program_cpus, limit)
        until(lambda: self.exited() is not None or self.ready(), "not ready")
        assert self.exited() is None, site.log()

    @property
    def target(self):
        return self.ports[:2]

    def ready(self):
        return status(self.ports[2], "/readyz") == 200

    def metric(self, name, label=""):
        """The sum of a metric over its series with this label."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/metrics", timeout=PATIENCE) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name and label in line)


class Site:
    """Manifests, endpoints and programs; a context manager. `program_cpus` and `load_cpus` keep programs and endpoints apart.
    A change must be served within `prompt` seconds. `settings` are those of the ConfigMap."""

    def __init__(self, directory, binary=BINARY, program_cpus=None, load_cpus=None, flags=(), prompt=1.0, settings=None):
        self.directory, self.binary, self.program_cpus, self.load_cpus, self.flags = directory, binary, program_cpus, load_cpus, list(flags)
        self.manifests = directory / "manifests"
        self.manifests.mkdir()
        self.settings = {"allow-snippet-annotations": "true", "annotations-risk-level": "Critical", "worker-shutdown-timeout": "10s", **(settings or {})}
        self.processes, self.ports = [], set()
        self.certificates, self.versions, self.endpoints = Certificates(prompt), Versions(prompt), Endpoints(prompt)
        self.nonces = itertools.count()

    def __enter__(self):
        steady = [self.echo(f"steady-{number}") for number in range(2)]
        red, blue = self.echo("red"), self.echo("blue")
        self.write("class", {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}})
        self.write("settings", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"},
            "data": self.settings,
        })
        for name, echoes in (("steady", steady), ("red", [red]), ("blue", [blue])):
            self.write(f"service-{name}", *service(name, echoes))
        self.write("steady", ingress("steady", STEADY))
        self.write("rolling", ingress("rolling", ROLLING))
        self.change_endpoints([self.echo("rolling-a"), self.echo("rolling-b")])
        self.change_certificate()
        self.change_version()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.stop()

    def log(self):
        lines = (self.directory / "log").read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if '"GET ' not in line][-20:])

    def free_port(self):
        port = next(port for port in free_ports(len(self.ports) + 1) if port not in self.ports)
        self.ports.add(port)
        return port

    def echo(self, name):
        self.processes.append(Echo(self, name))
        return self.processes[-1]

    def program(self, *flags, ports=None, limit=None):
        ports = ports or tuple(self.free_port() for _ in range(3))
        self.processes.append(Program(self, ports, [*self.flags, *flags], limit))
        return self.processes[-1]

    # === changes ===

    def write(self, name, *documents):
        """Replaces a file at once. JSON is YAML, and faster to write."""
        new = self.manifests / f".{name}.new"
        new.write_text("".join(f"---\n{json.dumps(document)}\n" for document in documents))
        new.rename(self.manifests / f"{name}.yaml")

    def change_certificate(self):
        certificate, key = self.certificates.issue()
        data = {"tls.crt": certificate, "tls.key": key}
        self.write("secret", {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "site", "namespace": "default"},
            "data": {name: base64.b64encode(text).decode() for name, text in data.items()},
        })
        self.certificates.now()

    def change_version(self):
        """All that is of a version changes at once: annotations, Service, and a field of responses."""
        version = self.versions.latest + 1
        self.write("versioned", ingress("versioned", VERSIONED, {
            "upstream-vhost": f"v{version}.test", "x-forwarded-prefix": f"/v{version}", "rewrite-target": f"/v{version}/$1", "use-regex": "true",
            "configuration-snippet": f'more_set_headers "X-Version: v{version}";',
        }, path="/(.*)", service=("red", "blue")[version % 2]))
        self.versions.now()

    def change_endpoints(self, echoes):
        self.write("service-rolling", *service("rolling", echoes))
        self.endpoints.now(echoes)

    # === the load ===

    def load(self, targets, rate, connections=1, extra=()):
        """A load of all kinds: `connections` of each, four times as many of kept HTTP/1, and of further groups."""
        return Load(targets, [
            Group(Http1, 4 * connections, self.any_request),
            Group(Http1, connections, self.any_request, once=True),
            Group(Http1, connections, self.any_request, tls=True),
            Group(Http1, connections, self.any_request, tls=True, once=True),
            Group(Http2, connections, self.any_request),
            Group(Http2, connections, self.any_request, tls=True),
            *extra,
        ], rate, self.certificates.check)

    def any_request(self):
        number = next(self.nonces)
        return (self.steady_request, self.versioned_request, self.rolling_request)[number % 3](number)

    def steady_request(self, number, query=""):
        path = f"/steady/{number}{query}"
        return Request(STEADY, path, lambda response: wrong(response, STEADY, path, lambda name, _: name.startswith("steady-")))

    def slow_request(self, milliseconds):
        return self.steady_request(next(self.nonces), f"?delay={milliseconds}")

    def rolling_request(self, number):
        path, started = f"/rolling/{number}", time.monotonic()
        return Request(ROLLING, path, lambda response: wrong(response, ROLLING, path, lambda name, _: self.endpoints.check(name, started)))

    def versioned_request(self, number):
        path, started = f"/versioned/{number}", time.monotonic()
        return Request(VERSIONED, path, lambda response: self.versions.check(response, path, started))


# === phases ===


@dataclass
class Phase:
    """What happened in a phase."""

    name: str
    changes: int
    slowest: float | None
    notes: str = ""


def seconds(length):
    """Turns of a phase that lasts this long."""
    end = time.monotonic() + length
    for turn in itertools.count():
        if time.monotonic() > end:
            return
        yield turn


async def rotate_certificates(site, load, turns):
    """Each certificate is presented before the next is written."""
    site.certificates.slowest, count = 0, 0
    for count, _ in enumerate(turns, 1):
        site.change_certificate()
        await site.certificates.all_seen()
    return Phase("certificate rotated", count, site.certificates.slowest)


async def change_configuration(site, load, turns, rate=100):
    """Changes come faster than they can be told apart; the last one must be served."""
    site.versions.slowest, site.versions.served, count = 0, set(), 0
    start = time.monotonic()
    for count, _ in enumerate(turns, 1):
        site.change_version()
        await asyncio.sleep(max(start + count / rate - time.monotonic(), 0))
    await site.versions.all_seen()
    return Phase("configuration changed", count, site.versions.slowest, f"{len(site.versions.served)} versions in responses")


async def roll_endpoints(site, load, turns):
    """In the order of Kubernetes: a Pod is added, then another is removed and gets SIGTERM at the same time."""
    current = [process for process in site.processes if isinstance(process, Echo) and process.name in site.endpoints.sets[-1]]
    site.endpoints.slowest, count = 0, 0
    for count, _ in enumerate(turns, 1):
        new = await asyncio.to_thread(site.echo, f"rolling-{len(site.processes)}")
        site.change_endpoints([*current, new])
        await site.endpoints.all_seen()
        old = current.pop(0)
        current.append(new)
        site.change_endpoints(current)
        old.terminate()
        site.endpoints.see(site.endpoints.latest)
        await load.responses(20)
    return Phase("endpoint replaced", count, site.endpoints.slowest)


async def lose_manifests(site, load, turns):
    """The directory is gone meanwhile; what is written when it is back is served."""
    gone = site.manifests.with_name("gone")
    site.manifests.rename(gone)
    start = time.monotonic()
    for _ in turns:
        await load.responses(20)
    away = time.monotonic() - start
    gone.rename(site.manifests)
    site.versions.slowest = 0
    site.change_version()
    await site.versions.all_seen()
    return Phase("manifests gone", 1, site.versions.slowest, f"for {away:.1f} s")


async def replace_program(site, load, turns, grace=2, shared_ports=False):
    """As in a rolling update: the new program is ready before the old one gets SIGTERM. Clients use the old one until its
    readiness fails, which Kubernetes sees before the grace is over. With `shared_ports` both listen on the same ports."""
    old = next(process for process in reversed(site.processes) if isinstance(process, Program))
    slowest, count = 0.0, 0
    for count, _ in enumerate(turns, 1):
        ports = shared_ports and (*old.target, site.free_port())
        new = await asyncio.to_thread(site.program, f"--shutdown-grace-period={grace}", ports=ports)
        if not shared_ports:
            load.targets.append(new.target)
        start = time.monotonic()
        old.terminate()
        while await asyncio.to_thread(old.ready):
            await asyncio.sleep(0.02)
        if not shared_ports:
            load.targets.remove(old.target)
        while old.exited() is None:
            assert time.monotonic() < start + grace + 2 * PATIENCE, "the program does not exit"
            await asyncio.sleep(0.02)
        assert old.exited() == 0, site.log()
        slowest = max(slowest, time.monotonic() - start)
        old = new
        await load.responses(20)
    return Phase(f"program replaced{' on the same ports' if shared_ports else ''}", count, None, f"exit after {slowest:.1f} s, grace {grace} s")


async def replace_program_on_its_ports(site, load, turns, grace=2):
    return await replace_program(site, load, turns, grace, shared_ports=True)


# === objects ===


def service(name, echoes):
    metadata = {"name": name, "namespace": "default"}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.0.14", "ports": [{"name": "http", "port": 80}]}}
    for index, echo in enumerate(echoes):
        yield endpoint_slice(metadata, "http", index, echo.port)


def ingress(name, host, annotations=None, path="/", service=None):
    backend = {"service": {"name": service or name, "port": {"number": 80}}}
    annotations = {"ssl-redirect": "false", **(annotations or {})}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "name": name, "namespace": "default",
            "annotations": {f"nginx.ingress.kubernetes.io/{key}": value for key, value in annotations.items()},
        },
        "spec": {
            "ingressClassName": "nginx", "tls": [{"hosts": [host], "secretName": "site"}],
            "rules": [{"host": host, "http": {"paths": [{"path": path, "pathType": "ImplementationSpecific", "backend": backend}]}}],
        },
    }


def status(port, path):
    """The status of a response, or None without one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
