"""The load: command lines of the generators, in a closed loop and at a fixed rate, and what their outputs say.

A closed loop has the next request on a connection wait for the response; it finds the cost of a request, and the most that
can be served. At a fixed rate requests are sent when they are due; that finds latencies at ordinary load. The generators are
started in the directory of the run.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path


HERE = Path(__file__).resolve().parent
# At a fixed rate, requests a second on each connection, and the most connections. h2load's clock ticks every 10 ms, so that on
# few connections requests would be due in bursts; on many, opening them would be a burst.
PACE, PACED_CONNECTIONS = 20, 256
# The longest any load runs by itself, in seconds, should its end not be asked for.
LIMIT_SECONDS = 120


@dataclass(frozen=True)
class Http1:
    """HTTP/1.1 by wrk; at a fixed rate by h2load, for wrk has none."""

    connections: int = 64
    tls: bool = False
    headers: tuple[str, ...] = ()
    # A body to send, in bytes; 0: none.
    upload: int = 0
    # Hosts that are asked for in turn; 0: that of the URL.
    hosts: int = 0
    # A measurement is so many times as long: a large body counts at its end alone, and 64 are under way when it begins and ends.
    stretch: int = 1
    # The counter of the upstream that tells how much was done.
    counts = "requests"
    # Ends, and says what happened, at SIGINT.
    interruptible = True

    def command(self, proxy, path, _):
        script = []
        if self.upload:
            script = ["--script", HERE / "upload.lua"]
        elif self.hosts:
            script = ["--script", HERE / "hosts.lua"]
        arguments = ["--", self.upload or self.hosts] if script else []
        return ["wrk", "--threads", 1, "--connections", self.connections, "--duration", f"{LIMIT_SECONDS}s", "--timeout", "10s",
                *fields(self.headers), *script, proxy.url(path, self.tls), *arguments]

    def paced(self, proxy, path, seconds, rate, log):
        body = ["--data", "files/1m"] if self.upload else []
        return at_rate(["--h1", *body], self.connections, self.headers, proxy.url(path, self.tls), seconds, rate, log)

    @property
    def under_way(self):
        """Requests that are sent and not responded to at any time."""
        return self.connections

    def failures(self, output):
        return wrk_failures(output)


@dataclass(frozen=True)
class Http2:
    """HTTP/2 over TLS by h2load."""

    connections: int
    streams: int = 32
    # A unary call of gRPC instead of a GET.
    grpc: bool = False
    stretch = 1
    counts = "requests"
    interruptible = False

    def command(self, proxy, path, seconds):
        return ["h2load", "--threads", 1, "--clients", self.connections, "--max-concurrent-streams", self.streams,
                "--duration", f"{int(seconds * 1000)}ms", *self.arguments(), proxy.url(path, True)]

    def paced(self, proxy, path, seconds, rate, log):
        options = ["--max-concurrent-streams", self.streams, *self.arguments()]
        return at_rate(options, self.connections, (), proxy.url(path, True), seconds, rate, log)

    def arguments(self):
        return ["--data", "grpc-request", *fields(("content-type: application/grpc", "te: trailers"))] if self.grpc else []

    @property
    def under_way(self):
        return self.connections * self.streams

    def failures(self, output):
        return h2load_failures(output)


@dataclass(frozen=True)
class Handshakes:
    """A connection, a TLS handshake and a request, one after the other."""

    host: str = "localhost"
    resumed: bool = False
    connections = under_way = 1
    stretch = 1
    counts = "requests"
    interruptible = True

    def command(self, proxy, _, seconds):
        return [sys.executable, HERE / "handshakes.py", self.host, proxy.https, "resumed" if self.resumed else "full", seconds]

    def paced(self, proxy, path, seconds, rate, log):
        return [*self.command(proxy, path, seconds), rate, log]

    def failures(self, output):
        return own_failures(output)


@dataclass(frozen=True)
class Messages:
    """WebSocket messages of 100 bytes and their echoes."""

    connections: int = 64
    stretch = 1
    counts = "messages"
    interruptible = True

    @property
    def under_way(self):
        return self.connections

    def command(self, proxy, _, seconds):
        return [sys.executable, HERE / "messages.py", "load", proxy.http, self.connections, seconds]

    def paced(self, proxy, path, seconds, rate, log):
        return [*self.command(proxy, path, seconds), rate, log]

    def failures(self, output):
        return own_failures(output)


def at_rate(options, connections, headers, url, seconds, rate, log):
    """h2load at a fixed rate. Connections are opened one by one, so that their clocks do not tick together."""
    clients = min(max(8, int(rate / PACE)), max(connections, PACED_CONNECTIONS))
    return ["h2load", "--threads", 1, "--clients", clients, "--requests", max(clients, int(rate * seconds)),
            "--rate", 1, "--rate-period", f"{max(1, int(1000 / rate))}ms", "--rps", f"{rate / clients:.3f}", "--log-file", log,
            *options, *fields(headers), url]


def fields(headers):
    return [argument for header in headers for argument in ("--header", header)]


# === what the generators print ===


def wrk_failures(output):
    """Connections that failed, and responses other than 2xx and 3xx."""
    if not re.search(r"\d+ requests in", output):
        raise ValueError("wrk says nothing of its requests")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return (int(refused[1]) if refused else 0) + (sum(map(int, failed.groups())) if failed else 0)


def h2load_failures(output):
    """Requests without a response, and responses other than 2xx and 3xx. What was under way at the end is not counted."""
    requests = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", output)
    statuses = re.search(r"(\d+) 4xx, (\d+) 5xx", output)
    if not requests or not statuses:
        raise ValueError("h2load says nothing of its requests")
    # A failure is also counted as an error or as a status.
    return max(int(requests[1]), int(requests[2]) + sum(map(int, statuses.groups())))


def own_failures(output):
    return int(re.search(r"failed: (\d+)", output)[1])


@dataclass(frozen=True)
class Row:
    """A line of a log: when the request was sent, in seconds, its status, and how long it took, in milliseconds."""

    sent: float
    status: int
    took_ms: float


def log_rows(text):
    """The log of h2load, and of the generators here."""
    rows = []
    for line in text.splitlines():
        sent, status, took = line.split("\t")[:3]
        rows.append(Row(int(sent) / 1e6, int(status), int(took) / 1e3))
    return sorted(rows, key=lambda row: row.sent)
