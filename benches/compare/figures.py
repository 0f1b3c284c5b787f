"""Statistics of samples. No measurement here, and no output."""

import statistics

# The figure of a sample that is compared, by measure.
VALUE = {"cost": "cpu_us", "latency": "p99_ms"}


def least(samples, field):
    """The minimum over the rounds: what disturbs a measurement only ever adds to it."""
    return min(sample[field] for sample in samples)


def ratio(ours, theirs, field):
    """Of the minima."""
    return least(ours, field) / max(least(theirs, field), 1e-9)


def paired(ours, theirs, field):
    """The median of the ratios round by round: what disturbs a whole round is in both."""
    return statistics.median(one[field] / max(other[field], 1e-9) for one, other in zip(ours, theirs))


def best(samples, names, field):
    """The name with the least minimum of those that were measured; None without any."""
    measured = [name for name in names if samples.get(name)]
    return min(measured, key=lambda name: least(samples[name], field), default=None)


def percentile(ordered, share):
    """Of an ascending list, by nearest rank."""
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def latencies(rows, ramp, seconds):
    """Percentiles of the rows of a log that were sent within so many seconds after the ramp: {p50_ms, …, rate, failures}."""
    if not rows:
        raise RuntimeError("no request was sent at the fixed rate")
    begin = rows[0].sent + ramp
    within = [row for row in rows if begin <= row.sent < begin + seconds]
    took = sorted(row.took_ms for row in within)
    if not took:
        raise RuntimeError("no request was sent at the fixed rate once all connections were open")
    return {
        "p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99), "p999_ms": percentile(took, 0.999),
        "rate": len(took) / seconds, "failures": sum(row.status not in (101, 200) for row in within),
    }
