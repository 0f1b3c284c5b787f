"""The alerts and the dashboard that the chart ships."""

import json
import shutil
import subprocess

import pytest
import yaml

from chart import CHART, controller, render

RULES = CHART / "files" / "rules.yaml"
MONITORED = """
    controller:
      metrics:
        enabled: true
        prometheusRule: {enabled: true, builtInRules: %s, rules: [{alert: Own, expr: vector(1)}]}
        dashboard: {enabled: true, namespace: monitoring, labels: {grafana_dashboard: "1"}, annotations: {folder: Edge}}
"""


def groups(built_in="true"):
    (group,) = render(MONITORED % built_in).one("PrometheusRule", controller())["spec"]["groups"]
    return group


def promtool():
    found = shutil.which("promtool")
    if not found:
        pytest.skip("needs promtool (Debian package prometheus)")
    return found


def test_built_in_rules_come_before_those_of_the_values():
    built_in = yaml.safe_load(RULES.read_text())
    assert groups()["rules"] == [*built_in, {"alert": "Own", "expr": "vector(1)"}]
    assert groups("false")["rules"] == [{"alert": "Own", "expr": "vector(1)"}]
    for rule in built_in:
        assert rule["labels"]["severity"] in ("warning", "critical") and set(rule["annotations"]) == {"summary", "description"}
    names = [rule["alert"] for rule in built_in]
    assert names == list(dict.fromkeys(names))


def test_the_dashboard_is_a_config_map_that_grafana_finds():
    found = render(MONITORED % "true").one("ConfigMap", controller("-dashboard"))
    assert found["metadata"]["namespace"] == "monitoring" and found["metadata"]["annotations"] == {"folder": "Edge"}
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    shipped = (CHART / "files" / "dashboard.json").read_text()
    filled = {"CONSOLE_URL": "http://localhost:10243/", "CONSOLE_COMMAND": f"kubectl -n edge port-forward deployment/{controller()} 10243"}
    for placeholder, text in filled.items():
        assert shipped.count(placeholder) == 1
        shipped = shipped.replace(placeholder, text)
    assert json.loads(found["data"]["headgate.json"]) == json.loads(shipped)
    assert not render("").of("ConfigMap", controller("-dashboard"))


def test_panels_do_not_overlap_and_use_the_variables():
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    cells = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not own & cells and place["x"] + place["w"] <= 24, panel["title"]
        cells |= own
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_promtool_accepts_the_rules(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [groups()]}))
    checked = subprocess.run([promtool(), "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# Series of an hour, one value a minute, with which exactly the alert of that name fires at its end; nothing else must.
COMMON = 'controller_namespace="edge",controller_class="c",controller_pod="p"'
HEALTHY = {f'headgate_table_generation{{{COMMON},instance="i"}}': "1x90"}
REQUESTS = f'nginx_ingress_controller_requests{{{COMMON},exported_namespace="shop",ingress="web"'
FIRING = {
    "HeadgateDown": {"other": "1x90"},
    "HeadgateIngressErrors": {REQUESTS + ',status="200"}': "0+90x90", REQUESTS + ',status="502"}': "0+10x90"},
    "HeadgateIngressSlow": {
        f'nginx_ingress_controller_request_duration_seconds_bucket{{{COMMON},ingress="web",le="{bound}"}}': f"0+{count}x90"
        for bound, count in (("5", 90), ("10", 100), ("+Inf", 100))
    },
    "HeadgateIngressWithoutBackend": {f'nginx_ingress_controller_orphan_ingress{{{COMMON},ingress="web",type="no-endpoint"}}': "1x90"},
    "HeadgateCertificateExpires": {'nginx_ingress_controller_ssl_expire_time_seconds{host="a.test"}': "86400x90"},
    "HeadgateFindings": {f'headgate_findings{{{COMMON},severity="error"}}': "3x90"},
    "HeadgateReplicasDiffer": {
        f"nginx_ingress_controller_config_hash{{{COMMON}}}": "7x90",
        'nginx_ingress_controller_config_hash{controller_namespace="edge",controller_class="c",controller_pod="q"}': "8x90",
        'headgate_table_generation{controller_namespace="edge",controller_class="c",controller_pod="q"}': "1x90",
    },
    "HeadgateSlowPropagation": {
        f'headgate_publish_seconds_bucket{{{COMMON},le="{bound}"}}': f"0+{count}x90" for bound, count in (("5", 1), ("10", 9), ("+Inf", 9))
    },
    "HeadgateApiServerUnreachable": {f"headgate_api_connected{{{COMMON}}}": "0x90"},
    "HeadgateServesCachedObjects": {f"headgate_snapshot_stale{{{COMMON}}}": "1x90"},
    "HeadgateWatchDenied": {f'headgate_watch_denied{{{COMMON},kind="Secret"}}': "1x90"},
    "HeadgateNoLeader": {f'nginx_ingress_controller_leader_election_status{{{COMMON},name="leader"}}': "0x90"},
    "HeadgateConnectionsRefused": {f'headgate_requests_refused_total{{{COMMON},limit="connections"}}': "0+1x90"},
    "HeadgateFilesExhausted": {'process_open_fds{instance="i"}': "95x90", 'process_max_fds{instance="i"}': "100x90"},
    "HeadgatePanics": {f"headgate_panics_total{{{COMMON}}}": "0x60 1x30"},
    "HeadgateWebhookCertificateExpires": {f"headgate_webhook_certificate_expire_time_seconds{{{COMMON}}}": "86400x90"},
    "HeadgateAccessLogDropped": {f"headgate_access_log_dropped_total{{{COMMON}}}": "0+1x90"},
}
# The same while all is well.
WELL = {
    REQUESTS + ',status="200"}': "0+99x90", REQUESTS + ',status="404"}': "0+50x90", REQUESTS + ',status="502"}': "0+1x90",
    'nginx_ingress_controller_ssl_expire_time_seconds{host="a.test"}': "8640000x90",
    'nginx_ingress_controller_ssl_expire_time_seconds{host="_"}': "0x90",
    f'headgate_findings{{{COMMON},severity="error"}}': "0x90", f'headgate_findings{{{COMMON},severity="warning"}}': "5x90",
    f"nginx_ingress_controller_config_hash{{{COMMON}}}": "7x90",
    f"headgate_api_connected{{{COMMON}}}": "1x90", f"headgate_snapshot_stale{{{COMMON}}}": "0x90",
    f'headgate_watch_denied{{{COMMON},kind="Secret"}}': "0x90",
    f'nginx_ingress_controller_leader_election_status{{{COMMON},name="leader"}}': "1x90",
    'nginx_ingress_controller_leader_election_status{controller_namespace="edge",controller_pod="q",name="leader"}': "0x90",
    f'headgate_requests_refused_total{{{COMMON},limit="rate"}}': "0+1x90",
    'process_open_fds{instance="i"}': "5x90", 'process_max_fds{instance="i"}': "100x90",
    'process_open_fds{instance="other"}': "99x90", 'process_max_fds{instance="other"}': "100x90",
    f"headgate_panics_total{{{COMMON}}}": "1x90",
    f"headgate_webhook_certificate_expire_time_seconds{{{COMMON}}}": "0x90",
    f"headgate_access_log_dropped_total{{{COMMON}}}": "4x90",
}


def test_every_alert_fires_alone_and_none_while_all_is_well(tmp_path):
    rules = yaml.safe_load(RULES.read_text())
    names = [rule["alert"] for rule in rules]
    assert list(FIRING) == names
    # What an alert says is not compared: promtool wants the texts in full.
    for rule in rules:
        del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "headgate", "rules": rules}]}))
    scenarios = {**FIRING, "none": WELL}
    tests = []
    for firing, series in scenarios.items():
        healthy = {} if firing == "HeadgateDown" else HEALTHY
        # Whether it fires at all; with which labels is up to the expression.
        checks = [
            {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": "80m",
             "exp_samples": [{"labels": "{}", "value": 1}] if name == firing else []}
            for name in names
        ]
        tests.append({
            "interval": "1m", "name": firing, "promql_expr_test": checks,
            "input_series": [{"series": key, "values": values} for key, values in {**healthy, **series}.items()],
        })
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    checked = subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
