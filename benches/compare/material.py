"""What a run serves and sends: bodies, certificates, and the processes behind the proxies."""

import contextlib
import http.client
import json
import random
import subprocess
import sys
from pathlib import Path

import processes

SMALL, LARGE = 64 * 1024, 1024 * 1024
# A unary request of gRPC, and its response: not compressed, ten bytes.
GRPC_MESSAGE = b"\0\0\0\0\x0a\x0a\x08grpc 123"


def prepare(templates, directory):
    """The setting of a run, with bodies to serve, certificates, and free ports for the upstream."""
    files = directory / "files"
    files.mkdir(mode=0o755)
    (files / "64k").write_bytes(b"x" * SMALL)
    (files / "1m").write_bytes(b"x" * LARGE)
    (files / "64k.json").write_text(items(SMALL))
    (files / "grpc-response").write_bytes(GRPC_MESSAGE)
    for path in ("upload/file", "upload/memory", "upload/stream", "bench.Echo/Unary"):
        # nginx refuses a POST, which is turned into a response, only to a file that exists.
        (files / path).parent.mkdir(exist_ok=True)
        (files / path).touch()
    (directory / "grpc-request").write_bytes(GRPC_MESSAGE)
    certificate(directory, "ecdsa", "localhost", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    certificate(directory, "rsa", "rsa.localhost", ["rsa:2048"])
    names = ("UPSTREAM_A", "UPSTREAM_B", "UPSTREAM_GRPC_A", "UPSTREAM_GRPC_B", "UPSTREAM_WS")
    ports = dict(zip(names, processes.free_ports(len(names))))
    return processes.Setting(templates, directory, {"RUN": directory, **ports})


def certificate(directory, name, host, kind):
    """A key and a self-signed certificate, apart and in one file, for each server that wants them so."""
    crt, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={host}",
         "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )
    (directory / f"{name}.pem").write_bytes(crt.read_bytes() + key.read_bytes())


def items(length):
    """JSON as an API lists its objects, always the same, cut to this length."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(200)]
    objects = [{"id": chance.getrandbits(48), "name": " ".join(chance.choices(words, k=4)), "price": chance.randint(1, 99999) / 100,
                "tags": chance.choices(words, k=3), "active": chance.random() < 0.8} for _ in range(length // 100)]
    return json.dumps(objects)[:length]


class Upstream:
    """The servers behind all proxies, and what they have served so far."""

    def __init__(self, setting, cpu):
        self.setting = setting
        self.port = setting.values["UPSTREAM_A"]
        config = setting.render("upstream.conf", "upstream.conf")
        nginx = setting.spawn("upstream", ["nginx", "-e", setting.directory / "upstream.error.log", "-c", config], cpu)
        setting.wait_for(nginx, "upstream", f"http://127.0.0.1:{self.port}/small")
        self.messages_file = setting.directory / "messages"
        self.messages_file.write_bytes(bytes(8))
        echo = [sys.executable, Path(__file__).with_name("messages.py"), "echo", setting.values["UPSTREAM_WS"], self.messages_file]
        setting.spawn("echo", echo, cpu)
        self.asked = 0

    def requests(self):
        """The number of HTTP requests so far, without these questions."""
        self.asked += 1
        # Not kept: minutes may pass between two of them, after which the server closes it.
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/count")
            return served(connection.getresponse().read().decode()) - self.asked

    def messages(self):
        """The number of WebSocket messages so far."""
        return int.from_bytes(self.messages_file.read_bytes(), "little")


def served(status):
    """The third number of nginx's stub_status: requests."""
    return int(status.splitlines()[2].split()[2])
