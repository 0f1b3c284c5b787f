"""The plots and tables of benches/scale. Nothing is measured."""

import pathlib
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "scale"))

import plots

RESULTS = {
    "scale": {
        "ingresses": {
            "100000": {"ingress_us": 120.0, "ingress_p99_us": 300.0, "slice_us": 40.0},
            "1000": {"ingress_us": 100.0, "ingress_p99_us": 200.0, "slice_us": 20.0},
        },
        "paths": {"1000": {"ingress_us": 5000.0}},
    },
}
SVG = "{http://www.w3.org/2000/svg}"


def test_each_measured_cost_has_a_plot_with_its_lines():
    drawn = xml.etree.ElementTree.fromstring(plots.svg(RESULTS))
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert [title for title in texts if title in {panel.title for panel in plots.PANELS}] == [panel.title for panel in plots.PANELS[:2]]
    classes = [line.get("class") for line in drawn.iter(f"{SVG}polyline")]
    assert classes.count("ingresses line") == 2
    assert classes.count("ingresses line thin") == 1
    assert "prefers-color-scheme:dark" in plots.svg(RESULTS)
    assert plots.svg({}) is None


def test_lines_go_up_with_the_cost_and_right_with_the_size():
    drawn = xml.etree.ElementTree.fromstring(plots.svg(RESULTS))
    line = next(line for line in drawn.iter(f"{SVG}polyline") if line.get("class") == "ingresses line")
    (x, y), (right, up) = (map(float, point.split(",")) for point in line.get("points").split())
    assert right > x and up < y


def test_the_table_has_the_growth_and_the_targets():
    printed = plots.text(RESULTS).splitlines()
    row = next(line for line in printed if line.startswith("Ingresses"))
    assert row.split()[-3:] == ["100", "120", "1.20"]
    verdicts = [line.split()[-1] for line in printed if "1.50" in line]
    assert verdicts == ["reached", "missed", "measured"]


def test_values_have_whole_decades():
    assert plots.decades([20, 900]) == [10, 100, 1000]
    assert plots.decades([1]) == [1, 10]


def test_a_later_run_replaces_its_series():
    later = {"scale": {"paths": {"10": {"ingress_us": 1.0}}}, "allocations": {}}
    found = plots.merged([RESULTS, later])
    assert found["scale"]["paths"] == later["scale"]["paths"]
    assert set(found["scale"]) == {"ingresses", "paths"}
