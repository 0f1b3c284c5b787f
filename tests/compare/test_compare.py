"""The pure parts of benches/compare: what the generators print, statistics, targets, the chart. Nothing is started."""

import pathlib
import sys
import xml.etree.ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "compare"))

import chart
import figures
import ingress_nginx
import load
import manifests
import material
import page
import report
import targets
import usage
import workloads

WRK = """Running 1s test @ http://localhost:1/small
  1 threads and 64 connections
  1234 requests in 1.00s, 0.25MB read
{}Requests/sec:   1234.00
"""
H2LOAD = """finished in 593.38ms, 1726.00 req/s, 297.65KB/s
requests: 863 total, 1119 started, 863 done, 861 succeeded, {} failed, {} errored, 0 timeout
status codes: 862 2xx, 0 3xx, {} 4xx, 0 5xx
"""


@pytest.mark.parametrize("lines, count", [
    ("", 0),
    ("  Socket errors: connect 1, read 2, write 3, timeout 4\n", 10),
    ("  Non-2xx or 3xx responses: 5\n", 5),
    ("  Socket errors: connect 0, read 1, write 0, timeout 0\n  Non-2xx or 3xx responses: 5\n", 6),
])
def test_failures_of_wrk(lines, count):
    assert load.wrk_failures(WRK.format(lines)) == count


@pytest.mark.parametrize("failed, errored, refused, count", [(0, 0, 0, 0), (2, 2, 0, 2), (2, 0, 2, 2), (3, 1, 2, 3)])
def test_failures_of_h2load(failed, errored, refused, count):
    assert load.h2load_failures(H2LOAD.format(failed, errored, refused)) == count


@pytest.mark.parametrize("read", [load.wrk_failures, load.h2load_failures])
def test_output_without_a_result_is_refused(read):
    with pytest.raises(ValueError):
        read("unable to connect to localhost:1 Connection refused\n")


def test_rows_of_a_log_are_in_the_order_of_sending():
    rows = load.log_rows("2000000\t200\t1500\n1000000\t503\t250\n")
    assert rows == [load.Row(1.0, 503, 0.25), load.Row(2.0, 200, 1.5)]


@pytest.mark.parametrize("rate, clients, rps, period", [(12_800, 256, "50.000", "1ms"), (400, 20, "20.000", "2ms"), (40, 8, "5.000", "25ms")])
def test_the_rate_is_shared_by_the_connections(rate, clients, rps, period):
    command = load.at_rate([], 64, (), "http://localhost:1/small", 2, rate, "log")
    options = dict(zip(command, command[1:]))
    assert (options["--clients"], options["--rps"], options["--rate-period"], options["--requests"]) == (clients, rps, period, 2 * rate)


def test_percentiles_are_of_the_window_after_the_ramp():
    rows = [load.Row(0.5, 200, 99.0), *(load.Row(1 + number / 1000, 200, number + 1) for number in range(1000)), load.Row(2.5, 200, 99.0)]
    rows[10] = load.Row(rows[10].sent, 502, rows[10].took_ms)
    found = figures.latencies(rows, 0.5, 1)
    assert found == {"p50_ms": 500, "p99_ms": 990, "p999_ms": 999, "rate": 1000, "failures": 1}


def test_a_log_without_rows_after_the_ramp_is_refused():
    with pytest.raises(RuntimeError):
        figures.latencies([load.Row(0, 200, 1)], 1, 1)


def samples(*values, field="cpu_us"):
    return [{field: value, "rate": 1e6 / value, "failures": 0} for value in values]


def test_minima_and_pairs():
    ours, theirs = samples(10, 30, 12), samples(40, 20, 24)
    assert figures.ratio(ours, theirs, "cpu_us") == 0.5
    assert figures.paired(ours, theirs, "cpu_us") == 0.5
    # A disturbed round does not count in either.
    assert figures.paired(samples(10, 100, 10), samples(20, 20, 20), "cpu_us") == 0.5


def test_the_best_has_the_least_minimum_and_was_measured():
    measured = {"nginx": samples(20, 30), "haproxy": samples(90, 10), "headgate": samples(1)}
    assert figures.best(measured, workloads.PEERS, "cpu_us") == "haproxy"
    assert figures.best({}, workloads.PEERS, "cpu_us") is None


RESULTS = {
    "cost": {
        "h1-64": {"headgate": samples(18, 19), "nginx": samples(20, 21), "haproxy": samples(24, 25), "envoy": samples(50, 40)},
        "upload-buffered": {"headgate": samples(30), "nginx": samples(10), "nginx-file": samples(20), "ingress-nginx": samples(60)},
    },
    "latency": {"h1-64": {name: [{"p50_ms": 1, "p99_ms": p99, "p999_ms": 9, "rate": 10, "failures": 0}]
                          for name, p99 in (("headgate", 3), ("nginx", 2), ("haproxy", 4))}},
    "memory": {kind: {"headgate": [{"bytes": 3 << 20}], "nginx": [{"bytes": 2 << 20}]} for kind in ("rest", "idle", "idle_tls", "active")},
}


def test_targets_are_reached_or_missed_or_not_measured():
    found = {(one.measure, one.workload, one.against): one for one in targets.verdicts(RESULTS)}
    assert found["cost", "h1-64", "nginx"].reached is True
    assert found["cost", "h1-64", "envoy"].reached is False
    assert found["cost", "h1-64", "floor"].reached is None
    # The best of the three, by name; the file of nginx is not one of them.
    assert found["cost", "upload-buffered", "nginx"].ratio == 3
    # Every workload that the real one took part in.
    assert found["cost", "upload-buffered", "ingress-nginx"].reached is True
    assert ("cost", "h1-64", "ingress-nginx") not in found
    assert found["latency", "h1-64", "nginx"].ratio == 1.5
    assert found["memory", "active", "nginx"].reached is True


def test_targets_name_workloads_that_exist():
    named = {name for target in targets.TARGETS if target.measure == "cost" for name in target.workloads}
    assert named <= set(workloads.BY_NAME)


def test_every_column_that_a_target_names_exists():
    columns = {one.name for workload in workloads.WORKLOADS for one in workload.contestants(EVERYTHING)}
    assert {target.against for target in targets.TARGETS} - {targets.BEST} <= columns


EVERYTHING = {*workloads.FLOOR, "headgate-hosts"}


def test_columns_are_the_running_proxies_without_doubles():
    buffered = workloads.BY_NAME["upload-buffered"].contestants({"headgate", "nginx"})
    assert [(one.name, one.path) for one in buffered] == [
        ("headgate", "/upload/file"), ("nginx", "/upload/memory"), ("nginx-file", "/upload/file")]
    for workload in workloads.WORKLOADS:
        names = [one.name for one in workload.contestants(EVERYTHING)]
        assert len(names) == len(set(names)) > 1, workload.name


def test_the_report_names_the_worst_target_first():
    text = report.text(RESULTS)
    assert "Targets: 4 of 9 measured are reached" in text
    assert text[text.index("Targets:"):].splitlines()[2].startswith("upload-buffered")


def test_failures_are_named():
    results = {"cost": {"h1-64": {"nginx": [{"failures": 1}, {"failures": 2}], "headgate": [{"failures": 0}]}}}
    assert report.failures(results) == ["cost h1-64 nginx: 3"]


def test_the_chart_has_the_worst_workload_first_and_both_colour_schemes():
    drawing = chart.svg(RESULTS)
    root = xml.etree.ElementTree.fromstring(drawing)
    labels = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "label"]
    assert labels == [workloads.BY_NAME[name].title for name in ("upload-buffered", "h1-64")]
    assert "prefers-color-scheme:dark" in drawing
    assert chart.svg({}) is None


def test_the_page_begins_with_what_the_chart_shows():
    first, _, *rows = page.ratios(RESULTS).splitlines()
    assert first.startswith("| workload | nginx, plain |")
    assert [row.split(" | ")[0] for row in rows] == [f"| {workloads.BY_NAME[name].title}" for name in ("upload-buffered", "h1-64")]


def test_the_tables_of_the_page_have_all_their_columns_in_every_row():
    environment = {"cpu": "a CPU", "cores": 2, "kernel": "6.1", "versions": {"headgate": "0.1.0", "nginx": "1.22"}}
    for results in (RESULTS, {}):
        text = page.markdown({"results": results, "environment": environment, "options": {"rounds": 7}})
        tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
        assert len(tables) > 1
        for rows in tables:
            assert len({row.count("|") for row in rows}) == 1, rows


def test_ratios_beyond_the_axis_stay_on_the_chart():
    assert chart.x(1e-9) == chart.LABELS
    assert chart.x(1e9) == chart.RIGHT
    assert chart.LABELS < chart.x(1) < chart.RIGHT


def test_what_the_kernel_and_nginx_print():
    assert usage.proportional("55d0-7ffe ---p 00000000 [rollup]\nRss:  9 kB\nPss:  1208 kB\nPss_Dirty: 7 kB\n") == 1208 * 1024
    assert material.served("Active connections: 2 \nserver accepts handled requests\n 5 5 4711 \nReading: 0 Writing: 1 Waiting: 1 \n") == 4711


def test_label_selectors():
    item = {"metadata": {"labels": {"a": "1"}}}
    assert ingress_nginx.selected(item, {})
    assert ingress_nginx.selected(item, {"labelSelector": "a=1,b!=2"})
    assert not ingress_nginx.selected(item, {"labelSelector": "a==2"})
    assert not ingress_nginx.selected(item, {"labelSelector": "a!=1"})


def test_every_resource_of_the_manifests_is_served(tmp_path):
    for name in ("ecdsa", "rsa"):
        (tmp_path / f"{name}.crt").touch(), (tmp_path / f"{name}.key").touch()
    names = ("UPSTREAM_A", "UPSTREAM_B", "UPSTREAM_GRPC_A", "UPSTREAM_GRPC_B", "UPSTREAM_WS")
    setting = type("Setting", (), {"directory": tmp_path, "values": dict.fromkeys(names, 1)})
    kinds = {(item["apiVersion"], item["kind"]) for item in manifests.objects(setting, hosts=3)}
    assert kinds <= {(version, kind) for version, kind, _ in ingress_nginx.KINDS.values()}
