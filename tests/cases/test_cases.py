"""Runs the cases: for each the program with its manifests, requests, and what clients and backends must receive.

A case describes itself by the keys that README.md in this directory lists. A case with `differs` shows where Headgate differs
from ingress-nginx by choice; all others hold for both.
"""

import base64
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse, IncompleteRead
from pathlib import Path
import signal
import socket
import ssl

import pytest
import yaml

from backends import Backends
from certificates import Certificates

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
BINARY = TARGET / "debug" / "headgate"
PATIENCE = 20


def cases():
    for file in sorted(HERE.glob("*.yaml")):
        yield from yaml.safe_load(file.read_text()) or []


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case["id"])
def test_case(case, tmp_path):
    if needs_openssl(case) and not shutil.which("openssl"):
        pytest.skip("needs openssl")
    run = Run(case, tmp_path)
    try:
        run.start()
        problems = [problem for index, request in enumerate(case["requests"]) for problem in run.request(index, request)]
        assert not problems, "\n".join([*problems, *run.log()[-20:]])
    finally:
        run.stop()


def needs_openssl(case):
    kinds = json.dumps(case.get("services") or {}) + (case.get("objects") or "")
    return bool(case.get("certs")) or any(kind.startswith("tls-") for kind in kinds) or any("client_cert" in one for one in case["requests"])


class Run:
    """One case with its program, its backends and its certificates."""

    def __init__(self, case, directory):
        self.case = case
        self.manifests = directory / "manifests"
        self.manifests.mkdir()
        self.output = directory / "log"
        (directory / "pki").mkdir()
        self.certificates = Certificates(directory / "pki")
        self.backends = Backends()
        self.named = {}
        self.cookies = {}
        self.program = None
        self.ports = free_ports(3)

    # === set-up ===

    def start(self):
        http, https, health = self.ports
        documents = [*self.services(), *self.secrets(), self.ingress_class(), self.settings(), *self.objects()]
        (self.manifests / "all.yaml").write_text(yaml.safe_dump_all(documents))
        command = [
            BINARY, "serve", self.manifests, "--bind-address=127.0.0.1", f"--http-port={http}", f"--https-port={https}",
            f"--healthz-port={health}", f"--ingress-class={self.case.get('class', 'nginx')}",
            "--configmap=ingress-nginx/ingress-nginx-controller", *(self.case.get("flags") or []),
        ]
        with self.output.open("wb") as log:
            self.program = subprocess.Popen(command, stdout=log, stderr=log)
        self.until_ready(health)

    def until_ready(self, port):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.program.poll() is None, "\n".join(self.log())
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as response:
                    if response.status == 200:
                        return
            except OSError:
                # Not listening yet: there is no event to wait for before that.
                threading.Event().wait(0.02)
        raise AssertionError("\n".join(["not ready", *self.log()]))

    def stop(self):
        if self.program:
            self.program.send_signal(signal.SIGKILL)
            self.program.wait()
        self.backends.stop()

    def log(self):
        return self.output.read_text(errors="replace").splitlines() if self.output.exists() else []

    def backend(self, name, kind="echo"):
        certificate = None
        if kind.startswith("tls-"):
            certificate = self.certificates.leaf("backend", ["backend.local", "localhost", "127.0.0.1"])
        return self.backends.start(name, kind, certificate)

    def services(self):
        for name, service in (self.case.get("services") or {}).items():
            metadata = {"name": name, "namespace": service.get("namespace", "default")}
            ports = []
            for number, backends in (service.get("ports") or {}).items():
                port = f"p{number}"
                ports.append({"name": port, "port": int(number), "targetPort": int(number)})
                for index, backend in enumerate(backends):
                    backend = {"name": backend} if isinstance(backend, str) else backend
                    listens = self.backend(backend["name"], backend.get("kind", "echo"))
                    yield endpoint_slice(metadata, port, index, listens)
            if annotations := service.get("annotations"):
                metadata = {**metadata, "annotations": annotations}
            spec = {"clusterIP": "10.96.0.10", "ports": ports}
            yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    def secrets(self):
        for name, certificate in (self.case.get("certs") or {}).items():
            if certificate.get("backend"):
                leaf = self.certificates.leaf("backend", ["backend.local", "localhost", "127.0.0.1"])
                data = {"ca.crt": leaf.texts()[0]}
            elif certificate.get("ca"):
                data = {"ca.crt": self.certificates.authority(name).texts()[0]}
            else:
                data = dict(zip(("tls.crt", "tls.key"), self.certificates.leaf(name, certificate["names"]).texts()))
            yield {
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls" if "tls.key" in data else "Opaque",
                "metadata": {"name": name, "namespace": certificate.get("namespace", "default")},
                "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
            }

    def ingress_class(self):
        return {
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": self.case.get("class", "nginx")}, "spec": {"controller": "k8s.io/ingress-nginx"},
        }

    def settings(self):
        return {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "ingress-nginx-controller", "namespace": "ingress-nginx"},
            "data": {str(key): self.filled(str(value)) for key, value in (self.case.get("config") or {}).items()},
        }

    def objects(self):
        for document in yaml.safe_load_all(self.filled(self.case.get("objects") or "")):
            if document:
                document.setdefault("metadata", {}).setdefault("namespace", "default")
                yield document

    def filled(self, text):
        """Replaces `${PORT:NAME[:KIND]}` by the port of a backend, and the ports of the program."""
        def port(match):
            if match[1] not in self.named:
                self.named[match[1]] = self.backend(*match[1].split(":", 1))
            return str(self.named[match[1]])

        text = re.sub(r"\$\{PORT:([\w:-]+)\}", port, text)
        return text.replace("${HTTP_PORT}", str(self.ports[0])).replace("${HTTPS_PORT}", str(self.ports[1]))

    # === requests ===

    def request(self, index, request):
        """Sends a request as often as it says, and returns what is wrong."""
        since = len(self.backends.received)
        count, parallel = request.get("repeat", 1), request.get("parallel", 1)
        if request.get("gap_ms"):
            # The case is about time itself.
            time.sleep(request["gap_ms"] / 1000)
        with ThreadPoolExecutor(parallel) as pool:
            responses = list(pool.map(lambda _: self.send(request), range(count)))
        checks = Checks(self, f"request {index} {request.get('host', '')}{request.get('path', '/')}")
        checks.responses(request.get("expect") or {}, responses, since)
        return checks.problems

    def send(self, request):
        body = request.get("body")
        body = b"a" * request["body_size"] if "body_size" in request else body and str(body).encode()
        start = time.monotonic()
        try:
            connection, certificate = self.connect(request)
        except OSError as error:
            return Response(0, [], str(error).encode(), None, start)
        with connection:
            try:
                connection.sendall(self.head(request, body))
                self.send_body(connection, body)
                response = HTTPResponse(connection, method=request.get("method", "GET"))
                response.begin()
                received, cut = self.content(connection, request, response)
            except (OSError, ValueError, EOFError) as error:
                return Response(0, [], str(error).encode(), certificate, start)
        fields = response.getheaders()
        if request.get("keep_cookies"):
            self.keep(value for name, value in fields if name.lower() == "set-cookie")
        return Response(response.status, fields, received, certificate, start, cut)

    def connect(self, request):
        port = self.ports[1 if request.get("tls") else 0]
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE, (request.get("from", "127.0.0.1"), 0))
        if not request.get("tls"):
            return connection, None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if client := request.get("client_cert"):
            signer = self.certificates.authority(client["ca"]) if client.get("ca") else None
            tag = f"client-{client['cn']}-{client.get('ca', 'none')}"
            issued = self.certificates.leaf(tag, [f"{client['cn']}.client"], signer, client["cn"])
            context.load_cert_chain(issued.certificate, issued.key)
        connection = context.wrap_socket(connection, server_hostname=request.get("sni", request.get("host")))
        return connection, connection.getpeercert(True)

    def head(self, request, body):
        fields = request.get("headers") or {}
        fields = list(fields.items()) if isinstance(fields, dict) else [tuple(field) for field in fields]
        names = {name.lower() for name, _ in fields}
        host = request.get("host", "127.0.0.1")
        if host is not None and "host" not in names:
            fields.insert(0, ("Host", host))
        if request.get("keep_cookies") and self.cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        if request.get("websocket"):
            fields += [
                ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ]
        elif "connection" not in names:
            fields.append(("Connection", "close"))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", len(body)))
        method = request.get("method", "GET" if body is None else "POST")
        lines = [f"{method} {request.get('path', '/')} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def send_body(self, connection, body):
        try:
            connection.sendall(body or b"")
        except OSError:
            # The program responded before the end of the body and closed its side.
            return

    def content(self, connection, request, response):
        """The body, and whether it ended before its length or its last chunk."""
        if request.get("websocket") and response.status == 101:
            connection.sendall(b"\x81\x85\0\0\0\0hello")
            return response.fp.read(7)[2:], False
        try:
            return response.read(), False
        except IncompleteRead as cut:
            return cut.partial, True

    def keep(self, cookies):
        for cookie in cookies:
            name, value = cookie.split(";", 1)[0].split("=", 1)
            self.cookies[name] = value


class Response:
    """What a client received."""

    def __init__(self, status, fields, body, certificate, start, cut=False):
        self.status, self.fields, self.body, self.certificate, self.cut = status, fields, body, certificate, cut
        self.milliseconds = (time.monotonic() - start) * 1000

    def all(self, name):
        return [value for known, value in self.fields if known.lower() == name.lower()]

    @property
    def backend(self):
        return next(iter(self.all("X-Echo-Backend")), None)


class Checks:
    """Compares what was received with what is expected, and collects the differences."""

    def __init__(self, run, where):
        self.run, self.where, self.problems = run, where, []

    def fail(self, what, found, expected):
        self.problems.append(f"{self.where}: {what} is {found!r:.300}, expected {expected!r}")

    def equal(self, what, found, expected):
        if not self.fits(found, expected):
            self.fail(what, found, expected)

    def fits(self, found, expected):
        """Whether a text is the expected one; `~` begins a regular expression."""
        expected = self.run.filled(str(expected))
        if found is None:
            return False
        return re.search(expected[1:], found) is not None if expected.startswith("~") else expected == found

    def responses(self, expect, responses, since):
        for name, wanted in (expect.get("side") or {}).items():
            self.side(name, wanted, since)
        names = [response.backend for response in responses]
        for name, (least, most) in (expect.get("share") or {}).items():
            if not least <= names.count(name) / len(names) <= most:
                self.fail(f"share of {name}", names.count(name) / len(names), (least, most))
        statuses = [response.status for response in responses]
        for status, (least, most) in (expect.get("statuses") or {}).items():
            if not least <= statuses.count(int(status)) <= most:
                self.fail(f"number of {status}", statuses.count(int(status)), (least, most))
        if expect.get("same_backend") and len(set(names)) != 1:
            self.fail("set of backends", set(names), "one")
        for response in responses:
            self.response(expect, response)
            if self.problems:
                return

    def response(self, expect, response):
        if "status" in expect:
            allowed = expect["status"] if isinstance(expect["status"], list) else [expect["status"]]
            if response.status not in allowed:
                self.fail("status", (response.status, response.body[:200]), expect["status"])
        if "backend" in expect:
            allowed = expect["backend"] if isinstance(expect["backend"], list) else [expect["backend"]]
            if response.backend not in allowed:
                self.fail("backend", response.backend, expect["backend"])
        for name, value in (expect.get("headers") or {}).items():
            lines = response.all(name)
            if not any(self.fits(line, value) for line in [*lines, ", ".join(lines)] if lines):
                self.fail(name, lines, value)
        for name in expect.get("headers_absent") or []:
            if response.all(name):
                self.fail(name, response.all(name), None)
        for name, count in (expect.get("header_counts") or {}).items():
            if len(response.all(name)) != count:
                self.fail(f"lines of {name}", response.all(name), count)
        if "body" in expect:
            self.equal("body", response.body.decode("latin1"), expect["body"])
        if response.cut != expect.get("cut", response.cut):
            self.fail("whether the body is cut", response.cut, expect["cut"])
        if "echo" in expect:
            self.echo(expect["echo"], response)
        if "cert_name" in expect and expect["cert_name"] not in names_of(response.certificate):
            self.fail("certificate", names_of(response.certificate), expect["cert_name"])
        if response.milliseconds > expect.get("max_ms", float("inf")) or response.milliseconds < expect.get("min_ms", 0):
            self.fail("duration in ms", response.milliseconds, (expect.get("min_ms"), expect.get("max_ms")))

    def echo(self, expect, response):
        try:
            received = json.loads(response.body)
        except ValueError:
            self.fail("body", response.body[:200], "what the backend received")
            return
        self.received("the backend's", expect, received)

    def side(self, name, wanted, since):
        count = wanted.get("count", [1, 10**9])
        least, most = count if isinstance(count, list) else (count, count)
        received = self.run.backends.of(name, since, least)
        if not least <= len(received) <= most:
            self.fail(f"number of requests to {name}", len(received), count)
        if received:
            self.received(f"{name}'s", wanted, received[-1])

    def received(self, whose, expect, request):
        for part in ("path", "method", "host", "body"):
            if part in expect:
                self.equal(f"{whose} {part}", request.get(part), expect[part])
        for name, value in (expect.get("headers") or {}).items():
            self.equal(f"{whose} {name}", request["headers"].get(name.lower()), value)
        for name in expect.get("headers_absent") or []:
            if name.lower() in request["headers"]:
                self.fail(f"{whose} {name}", request["headers"][name.lower()], None)


def endpoint_slice(metadata, port, index, listens):
    """A slice for each endpoint, because each listens on a port of its own."""
    name = metadata["name"]
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": f"{name}-{port}-{index}", "namespace": metadata["namespace"],
            "labels": {"kubernetes.io/service-name": name},
        },
        "ports": [{"name": port, "port": listens, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }


def names_of(certificate):
    command = ["openssl", "x509", "-inform", "der", "-noout", "-subject", "-ext", "subjectAltName"]
    return subprocess.run(command, input=certificate or b"", capture_output=True, check=False).stdout.decode()


def free_ports(count):
    """Ports below those that the system gives to clients and backends, which would take a free one before the program does."""
    first, last = 20000, 32000
    ports = []
    while len(ports) < count:
        port = random.randrange(first, last)
        with socket.socket() as probe:
            if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports
