"""The targets of the project, and whether a run reaches them."""

from dataclasses import dataclass

import figures
from workloads import PEERS

BEST = "best"
SMALL = ("h1-64", "h1-1000")


@dataclass(frozen=True)
class Target:
    """At most this many times the figure of a column; for BEST, of the best of the three."""

    measure: str
    # Empty: every one that was measured.
    workloads: tuple[str, ...]
    against: str
    limit: float


TARGETS = [
    Target("cost", SMALL, "nginx", 0.90),
    Target("cost", SMALL, "haproxy", 0.85),
    Target("cost", SMALL, "envoy", 0.40),
    Target("cost", SMALL, "floor", 1.35),
    Target("cost", (), "ingress-nginx", 0.65),
    Target("cost", (), "ingress-nginx-metrics", 0.50),
    Target("cost", ("tls-64",), "nginx", 0.90),
    Target("cost", ("tls-64",), "haproxy", 0.90),
    Target("cost", ("handshake-ecdsa",), BEST, 0.85),
    Target("cost", ("handshake-rsa", "handshake-resumed"), BEST, 0.95),
    Target("cost", ("h2-1", "h2-8", "h2-64", "grpc"), BEST, 0.95),
    Target("cost", ("64k", "1m"), BEST, 0.80),
    Target("cost", ("64k-tls", "1m-tls"), BEST, 0.90),
    Target("cost", ("upload-buffered",), BEST, 1.0),
    Target("cost", ("upload-streamed", "ws"), BEST, 0.95),
    Target("latency", (), BEST, 1.0),
    Target("memory", ("idle", "idle_tls"), "nginx", 1.0),
    Target("memory", ("active",), "nginx", 1.5),
    Target("cost", ("hosts",), "headgate, 1 host", 1.03),
    Target("cost", ("policies",), "headgate, without", 1.10),
]


@dataclass(frozen=True)
class Verdict:
    measure: str
    workload: str
    # The column, also where the target is the best of the three.
    against: str
    limit: float
    # Headgate's figure divided by the other's; None: one of the two was not measured.
    ratio: float | None
    paired: float | None

    @property
    def reached(self):
        return None if self.ratio is None else self.ratio <= self.limit


def verdicts(results):
    """Every target for every workload that it names. `results`: measure, workload, column, samples."""
    return [verdict(target, workload, results.get(target.measure, {}).get(workload, {}))
            for target in TARGETS
            for workload in target.workloads or sorted(results.get(target.measure, {}))
            if target.workloads or target.against == BEST or target.against in results[target.measure][workload]]


def verdict(target, workload, samples):
    field = figures.VALUE.get(target.measure, "bytes")
    against = figures.best(samples, PEERS, field) if target.against == BEST else target.against
    ours, theirs = samples.get("headgate"), samples.get(against)
    if not ours or not theirs:
        return Verdict(target.measure, workload, against or target.against, target.limit, None, None)
    return Verdict(target.measure, workload, against, target.limit,
                   figures.ratio(ours, theirs, field), figures.paired(ours, theirs, field))
