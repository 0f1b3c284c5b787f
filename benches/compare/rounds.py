"""The order of the measurements: rounds in which all columns take their turns, and what is done with one that fails."""

import dataclasses
import http.client
import sys
import time
import urllib.request

import measure
import workloads

# Of these only, with --quick.
QUICK_LATENCY = ("h1-64", "tls-64", "h2-8")


def costs(rig, errors, chosen, running):
    """Samples by workload and column. In a round every workload has its columns one after the other, the first one a different
    one each time; a disturbance of the machine so affects all, and every round has a pair of any two."""
    deadline = time.monotonic() + rig.options.minutes * 60
    samples = {}
    for number in range(rig.options.rounds):
        if number and time.monotonic() > deadline:
            break
        for workload in chosen:
            columns = workload.contestants(running)
            of_workload = samples.setdefault(workload.name, {one.name: [] for one in columns})
            turn = number % max(len(columns), 1)
            for contestant in columns[turn:] + columns[:turn]:
                progress(f"round {number + 1} of {rig.options.rounds}: {workload.name}, {contestant.name}")
                errors.keep(of_workload[contestant.name], f"cost {workload.name} {contestant.name}",
                            measure.cost, rig, contestant, running[contestant.proxy])
    return measured(samples)


def latencies(rig, errors, chosen, running, cost_samples):
    """The same at half of what the slowest of Headgate, nginx and HAProxy serves."""
    found = {}
    for workload in chosen:
        columns = workload.contestants(running)
        if not workload.paced or workload.name not in cost_samples or (rig.options.quick and workload.name not in QUICK_LATENCY):
            continue
        cost = cost_samples[workload.name]
        rate = measure.half_of_saturation([cost[name] for name in ("headgate", "nginx", "haproxy") if name in cost] or list(cost.values()))
        of_workload = found[workload.name] = {one.name: [] for one in columns}
        for number in range(rig.options.latency_rounds):
            for contestant in columns:
                progress(f"latency, round {number + 1} of {rig.options.latency_rounds}: {workload.name}, {contestant.name}")
                errors.keep(of_workload[contestant.name], f"latency {workload.name} {contestant.name}",
                            measure.latency, rig, contestant, running[contestant.proxy], rate)
    return measured(found)


def memories(rig, errors, names):
    """Bytes by kind and proxy."""
    found = {}
    for number in range(rig.options.memory_rounds):
        for name in names:
            progress(f"memory, round {number + 1} of {rig.options.memory_rounds}: {name}")
            samples = []
            errors.keep(samples, f"memory {name}", measure.memory, rig, name)
            for kind, count in (samples[0] if samples else {}).items():
                found.setdefault(kind, {}).setdefault(name, []).append({"bytes": count})
    return found


class Errors:
    """Measurements that failed. What failed once is not tried again: it would take the time of the others."""

    def __init__(self):
        self.messages = {}

    def keep(self, samples, title, function, *arguments):
        """Appends to the samples what the function returns."""
        if title in self.messages:
            return
        try:
            samples.append(function(*arguments))
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            self.messages[title] = str(error)
            progress(f"{title}: {error}")


def measured(samples):
    """Without columns, and workloads, of which there is no sample."""
    columns = {workload: {name: of_one for name, of_one in of_workload.items() if of_one} for workload, of_workload in samples.items()}
    return {workload: of_workload for workload, of_workload in columns.items() if of_workload}


def with_cookie(workload, running):
    """A client that came before has the cookie of the affinity."""
    if workload.name != "policies" or "headgate" not in running:
        return workload
    request = urllib.request.Request(running["headgate"].url("/api/small", False), headers={"Host": "policies.localhost"})
    with urllib.request.urlopen(request, timeout=10) as response:
        cookie = response.headers.get("Set-Cookie", "").partition(";")[0]
    if not cookie:
        raise RuntimeError("the route with policies sets no cookie")

    def filled(source):
        return dataclasses.replace(source, headers=tuple(header.replace(workloads.COOKIE, cookie) for header in source.headers))

    others = tuple(dataclasses.replace(other, load=filled(other.load)) for other in workload.others)
    return dataclasses.replace(workload, load=filled(workload.load), others=others)


def progress(text):
    print(text, file=sys.stderr, flush=True)
