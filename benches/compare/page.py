"""A run as a page of Markdown: the ratios that the chart shows, and the figures behind them."""

import chart
import report
from workloads import BY_NAME

RULE = "Figures are the best of the rounds. Ratios are Headgate's figure divided by the other's, so below 1 Headgate needs less."


def markdown(document):
    """The whole page. `document` is what `run --json` writes."""
    results, environment = document["results"], document["environment"]
    rounds = document["options"]["rounds"]
    parts = ["# Side by side: results",
             f"{environment['cpu']}, {environment['cores']} cores, Linux {environment['kernel']}; {rounds} rounds. {RULE}\n"
             "[How it is measured, and how to repeat it](README.md).",
             table([["", "version"], *([name, version] for name, version in environment["versions"].items())])]
    if costs := results.get("cost"):
        parts += ["## CPU time per request relative to the others", ratios(results),
                  "## CPU time per request, microseconds", by_workload(costs, order(results), "cpu_us", "{:.1f}"),
                  "## Requests per second of one core", by_workload(costs, order(results), "rate", "{:.0f}", max)]
    if latencies := results.get("latency"):
        parts += ["## p99 of the latency at half of saturation, milliseconds", by_workload(latencies, list(latencies), "p99_ms", "{:.2f}")]
    if results.get("memory"):
        parts += ["## Memory", table(report.memory_rows(results["memory"]))]
    reached, rows = report.verdict_rows(results)
    parts += [f"## Targets, the worst first\n\n{reached}.", table(rows)]
    return "\n\n".join(parts) + "\n"


def ratios(results):
    """What the chart shows, the worst workload first."""
    rows = chart.ratios(results)
    columns = [one for one in chart.SERIES if any(one.name in row for _, row in rows)]
    lines = [["workload", *(one.title for one in columns), "the best of nginx, HAProxy, Envoy"]]
    for workload, row in rows:
        cells = [f"{row[one.name]:.2f}" if one.name in row else "" for one in columns]
        lines.append([BY_NAME[workload].title, *cells, f"{chart.to_best(row):.2f}"])
    return table(lines)


def by_workload(samples, names, field, form, choose=min):
    """One figure of every column, a row for each workload."""
    columns = list(dict.fromkeys(column for name in names for column in samples[name]))
    lines = [["workload", *columns]]
    for name in names:
        cells = [form.format(choose(sample[field] for sample in samples[name][column])) if samples[name].get(column) else ""
                 for column in columns]
        lines.append([BY_NAME[name].title, *cells])
    return table(lines)


def order(results):
    """As in the chart; then those that have no other proxy."""
    compared = [name for name, _ in chart.ratios(results)]
    return compared + [name for name in results["cost"] if name not in compared]


def table(rows):
    first, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [first, ["---"] * len(first), *others])
