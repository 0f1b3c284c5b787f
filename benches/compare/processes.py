"""Files, ports and processes of a run, the load, and the CPU time of a process."""

import base64
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SMALL, LARGE = 64 * 1024, 1024 * 1024
READY_SECONDS = 20
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Outcome:
    """The result of the load generator."""

    requests: int
    errors: int
    rate: float
    p99_ms: float


@dataclass(frozen=True)
class Sample:
    """One measurement of one proxy: microseconds of CPU a request, requests a second, and the rest."""

    cpu_us: float
    rate: float
    p99_ms: float
    requests: int
    errors: int


def sample(outcome, cpu_seconds):
    return Sample(
        cpu_us=cpu_seconds * 1e6 / max(outcome.requests, 1),
        rate=outcome.rate,
        p99_ms=outcome.p99_ms,
        requests=outcome.requests,
        errors=outcome.errors,
    )


class Setting:
    """The directory of a run, the values of the templates, and the processes; a context manager that stops them."""

    def __init__(self, templates, directory, values):
        self.templates = templates
        self.directory = directory
        self.values = values
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            signal_group(process, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                pass
            # Children that outlive their parent are in its group.
            signal_group(process, signal.SIGKILL)
            process.wait()

    def render(self, template, target, extra=None):
        """Writes a template to a file of the run, with every @NAME@ replaced."""
        values = self.values | (extra or {})
        text = (self.templates / template).read_text()
        path = self.directory / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"@([A-Z_0-9]+)@", lambda name: str(values[name[1]]), text))
        return path

    def spawn(self, name, command, cpu):
        """Starts a process on one core. Its output goes to files of the run, so that access logs have their real cost."""
        out = open(self.directory / f"{name}.stdout", "wb")
        err = open(self.directory / f"{name}.stderr", "wb")
        with out, err:
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(cpu), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_upstream(self, cpu):
        config = self.render("upstream.conf", "upstream.conf")
        process = self.spawn("upstream", ["nginx", "-e", self.directory / "upstream.error.log", "-c", config], cpu)
        self.wait_for(process, "upstream", f"http://127.0.0.1:{self.values['UPSTREAM_A']}/small")

    def wait_for(self, process, name, url):
        """Waits until `url` responds with 200; raises with the output of the process if it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while not responds(url):
            if process.poll() is not None or time.monotonic() > deadline:
                output = "\n".join(path.read_text(errors="replace")[-2000:]
                                    for path in sorted(self.directory.glob(f"{name}*.std*")) if path.is_file())
                raise RuntimeError(f"{name} does not respond at {url}\n{output}")
            time.sleep(0.05)


def prepare(templates, directory):
    """Bodies to serve, a certificate, and free ports for the upstream."""
    files = directory / "files"
    files.mkdir(mode=0o755)
    (files / "64k").write_bytes(b"x" * SMALL)
    (files / "1m").write_bytes(b"x" * LARGE)
    (files / "64k.json").write_text(items(SMALL))
    crt, key = directory / "tls.crt", directory / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )
    (directory / "tls.pem").write_bytes(crt.read_bytes() + key.read_bytes())
    upstream_a, upstream_b = free_ports(2)
    return Setting(templates, directory, {
        "RUN": directory,
        "UPSTREAM_A": upstream_a,
        "UPSTREAM_B": upstream_b,
        "TLS_CRT_BASE64": base64.b64encode(crt.read_bytes()).decode(),
        "TLS_KEY_BASE64": base64.b64encode(key.read_bytes()).decode(),
    })


def items(length):
    """JSON as an API lists its objects, always the same, cut to this length."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(200)]
    objects = [{"id": chance.getrandbits(48), "name": " ".join(chance.choices(words, k=4)), "price": chance.randint(1, 99999) / 100,
                "tags": chance.choices(words, k=3), "active": chance.random() < 0.8} for _ in range(length // 100)]
    return json.dumps(objects)[:length]


def free_ports(count):
    """Free ports of loopback. All are kept open until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def responds(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def load(url, seconds, options, headers=()):
    """Sends requests on all connections for this many seconds."""
    fields = [argument for header in headers for argument in ("--header", header)]
    done = subprocess.run(
        ["taskset", "--cpu-list", str(options.load_cpu), "wrk", "--threads", "1", "--connections",
         str(options.connections), "--duration", f"{seconds}s", "--timeout", "10s", "--latency", *fields, url],
        capture_output=True, text=True, timeout=seconds + 60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed on {url}:\n{done.stdout}{done.stderr}")
    return outcome(done.stdout)


def outcome(text):
    """Parses the output of wrk."""
    requests = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(refused[1]) if refused else 0
    errors += sum(map(int, failed.groups())) if failed else 0
    return Outcome(requests=requests, errors=errors, rate=rate, p99_ms=float(p99) * UNITS_MS[unit])


def cpu_seconds(pid):
    """User and system time of a process and its descendants, including ended ones, in seconds."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may contain spaces; behind it: state, parent, ...
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(path.parent.name)] = fields
    total, pending = 0, [pid]
    while pending:
        current = pending.pop()
        if current in stats:
            total += sum(int(ticks) for ticks in stats[current][11:15])
        pending += [child for child, fields in stats.items() if int(fields[1]) == current]
    return total / TICKS


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
