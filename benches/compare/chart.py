"""The chart of a run: for each workload, Headgate's CPU time divided by that of each other, the worst workload first."""

import math
from xml.sax.saxutils import escape

import figures
from workloads import BY_NAME, PEERS

# Name, title, colour on light and on dark ground. The shapes differ as well.
SERIES = [
    ("nginx", "nginx, plain", "#0072b2", "#56b4e9"),
    ("haproxy", "HAProxy", "#b35900", "#ffa94d"),
    ("envoy", "Envoy", "#6b3fa0", "#b794f4"),
    ("ingress-nginx", "ingress-nginx", "#00735c", "#4fd1a5"),
]
WIDTH, LABELS, ROW, TOP, MARGIN, NUMBERS = 900, 330, 26, 72, 24, 60
RIGHT = WIDTH - MARGIN - NUMBERS
LEAST, MOST = 0.125, 4.0


def svg(results):
    """An SVG that follows the colour scheme of the reader; None if nothing can be compared."""
    rows = ratios(results)
    if not rows:
        return None
    bottom = TOP + ROW * len(rows)
    parts = [head(bottom + 40), legend({name for _, row in rows for name in row})]
    for tick in (0.125, 0.25, 0.5, 1, 2, 4):
        kind = "even" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x(tick):.1f}" y="{bottom + 16}">{tick:g}</text>')
    for number, (workload, row) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts.append(f'<text class="label" x="{LABELS - 12}" y="{y + 4:.1f}">{escape(BY_NAME[workload].title)}</text>')
        for name, ratio in row.items():
            parts.append(mark(name, x(ratio), y, f"{workload}: {ratio:.2f} of {name}"))
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
        row = {name: figures.ratio(ours, samples[name], "cpu_us") for name, *_ in SERIES if ours and samples.get(name)}
        if row:
            rows.append((workload, row))
    return sorted(rows, key=lambda row: -to_best(row[1]))


def to_best(row):
    """The ratio to the best of the three; without any of them, to the best there is."""
    return max([row[name] for name in PEERS if name in row] or row.values())


def x(ratio):
    share = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LABELS + share * (RIGHT - LABELS)


def mark(name, at, y, title):
    shapes = {
        "nginx": f'<circle cx="{at:.1f}" cy="{y:.1f}" r="5.5"',
        "haproxy": f'<rect x="{at - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"',
        "envoy": f'<path d="M{at:.1f} {y - 6:.1f}l6 6-6 6-6-6z"',
        "ingress-nginx": f'<path d="M{at:.1f} {y - 6:.1f}l6 11h-12z"',
    }
    return f'{shapes[name]} class="{name}"><title>{escape(title)}</title>{"</circle>" if name == "nginx" else "</rect>" if name == "haproxy" else "</path>"}'


def legend(names):
    parts, at = [], LABELS
    for name, title, *_ in SERIES:
        if name in names:
            parts.append(mark(name, at + 6, 44, title))
            parts.append(f'<text class="key" x="{at + 18}" y="48">{escape(title)}</text>')
            at += 36 + 8 * len(title)
    return "\n".join(parts)


def head(height):
    light = "".join(f".{name}{{fill:{colour}}}" for name, _, colour, _ in SERIES)
    dark = "".join(f".{name}{{fill:{colour}}}" for name, _, _, colour in SERIES)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>CPU time per request of Headgate relative to other proxies</title>
<style>
text{{font:13px system-ui,sans-serif;fill:#1f2328}} .axis{{text-anchor:middle;font-size:12px}} .label,.number{{text-anchor:end}}
.ground{{fill:#ffffff}} .grid{{stroke:#d0d7de}} .even{{stroke:#57606a;stroke-width:2}} .head{{font-size:15px;font-weight:600}} {light}
@media (prefers-color-scheme:dark){{text{{fill:#e6edf3}} .ground{{fill:#0d1117}} .grid{{stroke:#30363d}} .even{{stroke:#8b949e}} {dark}}}
</style>
<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>
<text class="head" x="{MARGIN}" y="26">CPU per request, the worst workload first</text>"""
