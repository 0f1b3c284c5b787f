"""The measurements: the cost of a request, latencies at a fixed rate, and memory."""

import contextlib
import functools
import signal
import subprocess
import time
from dataclasses import dataclass

import connections
import figures
import load
import proxies
import usage

# From the first response on every connection until a measurement begins; and what a load that ends by itself runs longer.
SETTLE_SECONDS, SLACK_SECONDS = 0.3, 1.0
FLOW_SECONDS = 20
ATTEMPTS = 3
# At a fixed rate, until all connections are open: a thousand, one a millisecond.
RAMP_SECONDS = 1.1
ACTIVE_CONNECTIONS = 1000


@dataclass(frozen=True)
class Rig:
    """What every measurement needs: the setting, the upstream, and the options of the run."""

    setting: object
    upstream: object
    options: object

    def start(self, command):
        return self.setting.spawn("load", command, self.options.load_cpu, cwd=self.setting.directory)

    def ended(self, process, seconds):
        """What a load has printed when it has ended; it is stopped after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        self.setting.stop(process)
        return (self.setting.directory / "load.stdout").read_text(errors="replace")


# === cost ===


def cost(rig, contestant, proxy):
    """CPU time of the proxy for a request, while the load runs: {cpu_us, rate, failures}."""
    for attempt in range(ATTEMPTS):
        # On a busy machine connecting takes longer than the slack.
        sample = window(rig, contestant, proxy, SLACK_SECONDS * 2**attempt)
        if sample:
            return sample
    raise RuntimeError(f"the load on {contestant.name}, or one of its processes, ended or stood still while it was measured\n{rig.setting.output('load')}")


def window(rig, contestant, proxy, slack):
    """One try; None if the load, or a process of the proxy, ended before or within it, or nothing was served."""
    source, count = contestant.load, getattr(rig.upstream, contestant.load.counts)
    seconds = rig.options.seconds * source.stretch
    begin = count()
    process = rig.start(source.command(proxy, contestant.path, SETTLE_SECONDS + seconds + slack))
    try:
        if not flows(contestant.load, process, lambda: count() - begin):
            return None
        time.sleep(SETTLE_SECONDS)
        pids = proxy.pids()
        before = (count(), usage.cpu_seconds(pids), time.monotonic())
        time.sleep(seconds)
        after = (count(), usage.cpu_seconds(pids), time.monotonic())
        if process.poll() is not None:
            return None
        if source.interruptible:
            process.send_signal(signal.SIGINT)
    except usage.Ended:
        return None
    finally:
        output = rig.ended(process, 10)
    served, used, took = (now - then for now, then in zip(after, before))
    if served < 1:
        return None
    return {"cpu_us": used * 1e6 / served, "rate": served / took, "failures": failures(source, output, rig)}


def flows(source, process, served):
    """Waits until there was time for a response on every connection; whether there were so many."""
    deadline = time.monotonic() + FLOW_SECONDS
    while served() < 2 * source.under_way:
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def failures(source, output, rig):
    try:
        return source.failures(output)
    except (ValueError, TypeError) as error:
        raise RuntimeError(f"the load did not end as it should\n{rig.setting.output('load')}") from error


# === latency ===


def latency(rig, contestant, proxy, rate):
    """Latencies at this rate: {p50_ms, p99_ms, p999_ms, rate, failures}."""
    log = rig.setting.directory / "load.log"
    log.unlink(missing_ok=True)
    seconds = RAMP_SECONDS + rig.options.latency_seconds
    process = rig.start(contestant.load.paced(proxy, contestant.path, seconds, rate, log))
    output = rig.ended(process, 2 * seconds + 10)
    if not log.exists():
        raise RuntimeError(f"no latencies of {contestant.name}\n{output}{rig.setting.output('load')}")
    return figures.latencies(load.log_rows(log.read_text()), RAMP_SECONDS, rig.options.latency_seconds)


def half_of_saturation(samples):
    """Half of what the slowest of these serves in a closed loop, at its best. `samples`: those of each."""
    return min(max(sample["rate"] for sample in of_one) for of_one in samples) / 2


# === memory ===


def memory(rig, name):
    """Bytes of a fresh process at rest, then for each connection of every kind: {rest, idle, active, ...}."""
    found = {}
    busy = {kind: functools.partial(doing_nothing, open_one) for kind, open_one in connections.KINDS.items()} | {"active": active}
    for kind, opened in busy.items():
        proxy = proxies.start(name, rig.setting, rig.options)
        try:
            rest = settled(proxy, 1)
            found["rest"] = min(rest, found.get("rest", rest))
            with opened(rig, proxy) as count:
                found[kind] = max(settled(proxy, 2) - rest, 0) / count
        finally:
            rig.setting.stop(proxy.process)
    return found


def settled(proxy, seconds):
    """The least memory within so many seconds: what is only given back a little later does not count."""
    pids, readings, end = proxy.pids(), [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        readings.append(usage.memory_bytes(pids))
    return min(readings)


@contextlib.contextmanager
def doing_nothing(open_one, rig, proxy):
    """Open connections of a kind."""
    with contextlib.ExitStack() as stack:
        for _ in range(rig.options.idle_connections):
            stack.enter_context(open_one(proxy))
        yield rig.options.idle_connections


@contextlib.contextmanager
def active(rig, proxy):
    """Connections that send one request after the other."""
    source = load.Http1(connections=ACTIVE_CONNECTIONS)
    begin = rig.upstream.requests()
    process = rig.start(source.command(proxy, "/small", 0))
    try:
        if not flows(source, process, lambda: rig.upstream.requests() - begin):
            raise RuntimeError(f"{proxy.name} does not serve {source.connections} connections\n{rig.setting.output('load')}")
        yield ACTIVE_CONNECTIONS
        process.send_signal(signal.SIGINT)
    finally:
        rig.ended(process, 10)
