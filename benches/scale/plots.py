"""The results of the benches `scale`, `allocations` and `controller` as plots of cost against size, and as tables. No measurement here."""

import math
import pathlib
import sys
from typing import NamedTuple
from xml.sax.saxutils import escape

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "compare"))

import drawing
import report

SERIES = drawing.series({
    "ingresses": "Ingresses",
    "paths": "paths of ten hosts",
    "endpoints": "endpoints of ten Services",
    "certificates": "certificates",
})


class Panel(NamedTuple):
    """One plot."""

    title: str
    bench: str
    field: str
    unit: str
    # A second, thinner line.
    upper: str | None = None


PANELS = [
    Panel("one changed Ingress to the swapped table", "scale", "ingress_us", "us", "ingress_p99_us"),
    Panel("one changed EndpointSlice", "scale", "slice_us", "us", "slice_p99_us"),
    Panel("one changed Secret", "scale", "secret_us", "us", "secret_p99_us"),
    Panel("lookup of a random host and path", "scale", "lookup_ns", "ns"),
    Panel("full compile", "scale", "compile_ms", "ms"),
    Panel("resident memory", "scale", "resident_mib", "MiB"),
    Panel("bytes of the table alone", "allocations", "table_mib", "MiB"),
    Panel("allocations of one changed Ingress", "allocations", "ingress_allocations", ""),
    Panel("controller: start to ready", "controller", "ready_s", "s"),
    Panel("new host to its first answer, endpoints changing", "controller", "served_in_churn_ms", "ms", "served_in_churn_p99_ms"),
]
WIDTH, COLUMNS, PLOT, LEFT, BETWEEN, TOP, BELOW = 920, 2, (340, 170), 92, 96, 96, 78
# One change among `TO` may cost this many times one among `FROM`.
FROM, TO, MOST = 1_000, 100_000, 1.5


def merged(results):
    """Results of several runs as one; a later one counts."""
    all_results = {}
    for result in results:
        for bench, of_series in result.items():
            all_results.setdefault(bench, {}).update(of_series)
    return all_results


def points(results, panel, name, field=None):
    """Pairs of size and value, ascending."""
    of_size = results.get(panel.bench, {}).get(name, {})
    found = ((int(size), values.get(field or panel.field)) for size, values in of_size.items())
    return sorted((size, value) for size, value in found if value)


def svg(results):
    """An SVG that follows the colour scheme of the reader; None if nothing was measured."""
    panels = [panel for panel in PANELS if any(points(results, panel, one.name) for one in SERIES)]
    if not panels:
        return None
    rows = math.ceil(len(panels) / COLUMNS)
    height = TOP + rows * (PLOT[1] + BELOW)
    parts = [drawing.begin(WIDTH, height, "Cost of the control plane by the size of the cluster",
                           "Cost by size of the cluster, both axes logarithmic; thin: the 99th percentile", SERIES),
             drawing.legend(SERIES, 24, 52)]
    for number, panel in enumerate(panels):
        x = LEFT + number % COLUMNS * (PLOT[0] + BETWEEN)
        y = TOP + number // COLUMNS * (PLOT[1] + BELOW)
        parts.append(plot(results, panel, x, y))
    return "\n".join([*parts, "</svg>", ""])


def plot(results, panel, x, y):
    """One panel with its upper left corner at a place."""
    width, height = PLOT
    lines = [(one, line) for one in SERIES if (line := points(results, panel, one.name))]
    uppers = [(one, line) for one in SERIES if panel.upper and (line := points(results, panel, one.name, panel.upper))]
    sizes = decades([size for _, line in lines for size, _ in line])
    values = decades([value for _, line in lines + uppers for _, value in line])

    def at(point):
        return (drawing.place(point[0], sizes[0], sizes[-1], x, x + width), drawing.place(point[1], values[0], values[-1], y + height, y))

    parts = [f'<text class="key" x="{x}" y="{y - 10}">{escape(panel.title)}</text>']
    for size in sizes:
        across, _ = at((size, values[0]))
        parts.append(f'<line class="grid" x1="{across:.1f}" x2="{across:.1f}" y1="{y}" y2="{y + height}"/>')
        parts.append(f'<text class="axis" x="{across:.1f}" y="{y + height + 17}">{size:,.0f}</text>')
    for value in values:
        _, up = at((sizes[0], value))
        parts.append(f'<line class="grid" x1="{x}" x2="{x + width}" y1="{up:.1f}" y2="{up:.1f}"/>')
        parts.append(f'<text class="number" x="{x - 8}" y="{up + 4:.1f}">{escape(f"{value:,.10g} {panel.unit}".strip())}</text>')
    for one, line in uppers:
        parts.append(drawing.line(one, map(at, line), " thin"))
    for one, line in lines:
        parts.append(drawing.line(one, map(at, line)))
        for size, value in line:
            parts.append(drawing.mark(one, *at((size, value)), f"{one.title}, {size:,}: {value:,.4g} {panel.unit}".strip()))
    return "\n".join(parts)


def decades(values):
    """Powers of ten around the values, two at least."""
    low = math.floor(math.log10(min(values)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    return [10.0**power for power in range(low, high + 1)]


def text(results):
    """A table for each plot, and the targets."""
    return "\n\n".join([*(table(results, panel) for panel in PANELS if any(points(results, panel, one.name) for one in SERIES)), targets(results)])


def table(results, panel):
    columns = {one.title: dict(points(results, panel, one.name)) for one in SERIES}
    sizes = sorted({size for column in columns.values() for size in column})
    rows = [[panel.title + (f" ({panel.unit})" if panel.unit else ""), *(f"{size:,}" for size in sizes), f"{TO:,} / {FROM:,}"]]
    for title, column in columns.items():
        if column:
            growth = ratio(column)
            rows.append([title, *(f"{column[size]:.3g}" if size in column else "" for size in sizes), f"{growth:.2f}" if growth else ""])
    return report.table(rows)


def targets(results):
    """Whether a change costs the same in a small and in a large cluster."""
    rows = [["target: one change among " f"{TO:,}, against one among {FROM:,}", "at most", "is", ""]]
    for panel in PANELS[:3]:
        growth = ratio(dict(points(results, panel, "ingresses")))
        verdict = "not measured" if growth is None else "reached" if growth <= MOST else "missed"
        rows.append([panel.title, f"{MOST:.2f}", f"{growth:.2f}" if growth else "", verdict])
    return report.table(rows)


def ratio(column):
    """Of the cost at the large size to that at the small one."""
    return column[TO] / column[FROM] if column.get(FROM) and column.get(TO) else None
