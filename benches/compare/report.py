"""Tables of a run, as text."""

import figures
import targets
import workloads

MEMORY = {"rest": "at rest (MiB)", "silent": "a connection that has sent nothing (KiB)", "idle": "an idle connection (KiB)",
          "idle_tls": "an idle connection of TLS (KiB)", "idle_http2": "an idle connection of HTTP/2 and TLS (KiB)",
          "websocket": "an idle WebSocket (KiB)", "active": "an active connection of 1,000 (KiB)"}
MEASURES = {"cost": "CPU", "latency": "p99", "memory": "memory"}


def text(results):
    """Everything: a table for each workload, the memory, the targets."""
    parts = [cost(name, samples, results.get("latency", {}).get(name, {})) for name, samples in results.get("cost", {}).items()]
    if results.get("memory"):
        parts.append(f"Memory\n{table(memory_rows(results['memory']))}")
    reached, rows = verdict_rows(results)
    parts.append(f"Targets: {reached}\n{table(rows)}")
    return "\n\n".join(parts)


def cost(name, samples, latencies):
    """Columns are compared by minima; behind them the median of the pairs. Below 1 Headgate needs less."""
    rows = [["", "CPU us", "max", "requests/s", "headgate /", "pairs", "p50 ms", "p99", "p99.9", "at/s", "failed"]]
    for column, of_one in samples.items():
        spread = [sample["cpu_us"] for sample in of_one]
        row = [column, f"{min(spread):.1f}", f"{max(spread):.1f}", f"{max(sample['rate'] for sample in of_one):.0f}"]
        ours = samples.get("headgate")
        if ours and column != "headgate":
            row += [f"{figures.ratio(ours, of_one, 'cpu_us'):.2f}", f"{figures.paired(ours, of_one, 'cpu_us'):.2f}"]
        else:
            row += ["", ""]
        paced = latencies.get(column)
        row += [f"{figures.least(paced, field):.2f}" for field in ("p50_ms", "p99_ms", "p999_ms")] if paced else ["", "", ""]
        row += [f"{figures.least(paced, 'rate'):.0f}" if paced else "", str(sum(sample["failures"] for sample in [*of_one, *(paced or ())]))]
        rows.append(row)
    return f"{name}: {workloads.BY_NAME[name].title}\n{table(rows)}"


def memory_rows(results):
    """A row for each kind of connection, a column for each proxy."""
    names = list(next(iter(results.values())))
    rows = [["", *names]]
    for kind in filter(results.get, MEMORY):
        unit = 1024 * (1024 if kind == "rest" else 1)
        rows.append([MEMORY[kind], *(f"{figures.least(results[kind][name], 'bytes') / unit:.1f}" for name in names)])
    return rows


def verdict_rows(results):
    """How many targets are reached, and a row for each, the worst first."""
    found = targets.verdicts(results)
    rows = [["target", "measure", "against", "at most", "is", "pairs", ""]]
    for one in sorted(found, key=lambda one: -(one.ratio / one.limit if one.ratio is not None else -1)):
        measured = one.ratio is not None
        rows.append([one.workload, MEASURES[one.measure], one.against, f"{one.limit:.2f}", f"{one.ratio:.2f}" if measured else "",
                     f"{one.paired:.2f}" if measured else "", {True: "reached", False: "missed", None: "not measured"}[one.reached]])
    reached, measured = sum(bool(one.reached) for one in found), sum(one.ratio is not None for one in found)
    return f"{reached} of {measured} measured are reached", rows


def failures(results):
    """Requests that failed, as "measure workload column: number"."""
    return [f"{measure} {workload} {column}: {count}"
            for measure in ("cost", "latency") for workload, samples in results.get(measure, {}).items()
            for column, of_one in samples.items() if (count := sum(sample["failures"] for sample in of_one))]


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
                     for row in rows)
