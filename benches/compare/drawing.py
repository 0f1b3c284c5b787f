"""What the charts share: colours that follow the scheme of the reader, marks, a legend, logarithmic axes."""

import math
from typing import NamedTuple
from xml.sax.saxutils import escape

# On light and on dark ground, and the shape, for readers who see no colours.
STYLES = [
    ("#0072b2", "#56b4e9", "circle"),
    ("#b35900", "#ffa94d", "square"),
    ("#6b3fa0", "#b794f4", "diamond"),
    ("#00735c", "#4fd1a5", "triangle"),
]


class Series(NamedTuple):
    name: str  # the class of its marks
    title: str
    light: str
    dark: str
    shape: str


def series(titles):
    """One for each title by name, in their order."""
    return [Series(name, title, *style) for (name, title), style in zip(titles.items(), STYLES)]


def begin(width, height, title, heading, all_series, margin=24):
    """The head of an SVG, with its ground and heading."""
    light = "".join(f".{one.name}{{fill:{one.light};stroke:{one.light}}}" for one in all_series)
    dark = "".join(f".{one.name}{{fill:{one.dark};stroke:{one.dark}}}" for one in all_series)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{escape(title)}</title>
<style>
text{{font:13px system-ui,sans-serif;fill:#1f2328}} .axis{{text-anchor:middle;font-size:12px}} .label,.number{{text-anchor:end}}
.ground{{fill:#ffffff}} .grid{{stroke:#d0d7de}} .even{{stroke:#57606a;stroke-width:2}} .head{{font-size:15px;font-weight:600}}
.mark{{stroke:none}} .line{{fill:none;stroke-width:2}} .thin{{stroke-width:1;stroke-dasharray:3 3}} {light}
@media (prefers-color-scheme:dark){{text{{fill:#e6edf3}} .ground{{fill:#0d1117}} .grid{{stroke:#30363d}} .even{{stroke:#8b949e}} {dark}}}
.mark{{stroke:none}} .line{{fill:none}}
</style>
<rect class="ground" width="{width}" height="{height}" rx="6"/>
<text class="head" x="{margin}" y="26">{escape(heading)}</text>"""


def mark(one, x, y, title):
    """The mark of a series; `title` is shown where it is pointed at."""
    kind, shape = {
        "circle": ("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="5.5"'),
        "square": ("rect", f'x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"'),
        "diamond": ("path", f'd="M{x:.1f} {y - 6:.1f}l6 6-6 6-6-6z"'),
        "triangle": ("path", f'd="M{x:.1f} {y - 6:.1f}l6 11h-12z"'),
    }[one.shape]
    return f'<{kind} {shape} class="{one.name} mark"><title>{escape(title)}</title></{kind}>'


def line(one, points, extra=""):
    """A line through points of a series."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{through}" class="{one.name} line{extra}"/>'


def legend(all_series, x, y):
    """Marks with titles, in one row."""
    parts = []
    for one in all_series:
        parts.append(mark(one, x + 6, y - 4, one.title))
        parts.append(f'<text class="key" x="{x + 18}" y="{y}">{escape(one.title)}</text>')
        x += 36 + 8 * len(one.title)
    return "\n".join(parts)


def place(value, least, most, begin, end):
    """Where a value is on a logarithmic axis; what is beyond it stays at its end."""
    share = math.log(min(max(value, least), most) / least) / math.log(most / least)
    return begin + share * (end - begin)
