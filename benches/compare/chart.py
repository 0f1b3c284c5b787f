"""The chart of a run: for each workload, Headgate's CPU time divided by that of each other, the worst workload first."""

from xml.sax.saxutils import escape

import drawing
import figures
from workloads import BY_NAME, PEERS

SERIES = drawing.series({"nginx": "nginx, plain", "haproxy": "HAProxy", "envoy": "Envoy", "ingress-nginx": "ingress-nginx"})
WIDTH, LABELS, ROW, TOP, MARGIN, NUMBERS = 900, 330, 26, 72, 24, 60
RIGHT = WIDTH - MARGIN - NUMBERS
# Ratios beyond these are drawn at the edge.
LEAST, MOST = 0.0625, 4.0


def svg(results):
    """An SVG that follows the colour scheme of the reader; None if nothing can be compared."""
    rows = ratios(results)
    if not rows:
        return None
    bottom = TOP + ROW * len(rows)
    names = {name for _, row in rows for name in row}
    parts = [drawing.begin(WIDTH, bottom + 40, "CPU time per request of Headgate relative to other proxies",
                           "CPU per request, the worst workload first", SERIES, MARGIN),
             drawing.legend([one for one in SERIES if one.name in names], LABELS, 48)]
    for tick in (0.0625, 0.125, 0.25, 0.5, 1, 2, 4):
        kind = "even" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x(tick):.1f}" y="{bottom + 16}">{tick:g}</text>')
    for number, (workload, row) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts.append(f'<text class="label" x="{LABELS - 12}" y="{y + 4:.1f}">{escape(BY_NAME[workload].title)}</text>')
        for one in SERIES:
            if one.name in row:
                ratio = row[one.name]
                parts.append(drawing.mark(one, x(ratio), y, f"{workload}: {ratio:.2f} of {one.name}"))
        parts.append(f'<text class="number" x="{WIDTH - MARGIN}" y="{y + 4:.1f}">{to_best(row):.2f}</text>')
    parts.append(f'<text class="number" x="{WIDTH - MARGIN}" y="48">of the best</text>')
    parts.append(f'<text class="axis" x="{(LABELS + RIGHT) / 2:.1f}" y="{bottom + 33}">'
                 "CPU per request: Headgate / other; left of 1 Headgate needs less</text>")
    return "\n".join([*parts, "</svg>", ""])


def ratios(results):
    """Workload and ratio by column, ordered by the ratio to the best of the three."""
    rows = []
    for workload, samples in results.get("cost", {}).items():
        ours = samples.get("headgate")
        names = [one.name for one in SERIES if ours and samples.get(one.name)]
        row = {name: figures.ratio(ours, samples[name], "cpu_us") for name in names}
        if row:
            rows.append((workload, row))
    return sorted(rows, key=lambda row: -to_best(row[1]))


def to_best(row):
    """The ratio to the best of the three; without any of them, to the best there is."""
    return max([row[name] for name in PEERS if name in row] or row.values())


def x(ratio):
    return drawing.place(ratio, LEAST, MOST, LABELS, RIGHT)
