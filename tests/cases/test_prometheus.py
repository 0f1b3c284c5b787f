"""Metrics as Prometheus itself reads them: the queries of ingress-nginx's dashboards and usual alerts, the chart's own, and the
exposition format. Needs the Debian package `prometheus`, which has promtool.
"""

import itertools
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml

from test_cases import HERE, PATIENCE, REPOSITORY, Run, free_ports

FACTS = yaml.safe_load((HERE / "prometheus" / "ingress-nginx.yaml").read_text())
FILES = REPOSITORY / "charts" / "headgate" / "files"
ALL = ".*"
# Where Prometheus finds the program: in a cluster, relabelling sets these labels.
TARGET_LABELS = {"namespace": "edge", "pod": "headgate-1"}
# Metrics that only `headgate controller` has.
OF_A_CLUSTER = re.compile(r"leader_election_status|check_success|check_errors|headgate_(api|snapshot|watch|webhook)_")

CASE = {
    "services": {
        "web": {"ports": {80: ["web-1"]}},
        "down": {"ports": {80: [{"name": "down-1", "kind": "refuse"}]}},
        "empty": {"ports": {80: []}},
    },
    "certs": {"web-tls": {"names": ["web.test"]}},
    "objects": """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {nginx.ingress.kubernetes.io/ssl-redirect: "false"}
spec:
  ingressClassName: nginx
  tls: [{hosts: [web.test], secretName: web-tls}]
  rules:
  - host: web.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /down, pathType: Prefix, backend: {service: {name: down, port: {number: 80}}}}
      - {path: /empty, pathType: Prefix, backend: {service: {name: empty, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: limited
  annotations: {nginx.ingress.kubernetes.io/limit-rpm: "1"}
spec:
  ingressClassName: nginx
  rules:
  - host: limited.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: odd
  annotations: {nginx.ingress.kubernetes.io/enable-modsecurity: "true"}
spec:
  ingressClassName: nginx
  rules:
  - host: odd.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
""",
}
TRAFFIC = [
    {"host": "web.test"}, {"host": "web.test", "method": "POST", "body": "hello"}, {"host": "web.test", "path": "/?x-status=404"},
    {"host": "web.test", "tls": True}, {"host": "web.test", "path": "/down"}, {"host": "web.test", "path": "/empty"},
    *[{"host": "limited.test"}] * 8,
]


class Prometheus:
    """Prometheus, which scrapes the program, and the program under traffic."""

    def __init__(self, directory):
        self.run = Run(CASE, directory)
        self.port = next(port for port in free_ports(4) if port not in self.run.ports)
        self.directory = directory
        self.output = directory / "prometheus.log"
        self.process = None
        self.over = threading.Event()
        self.traffic = threading.Thread(target=self.send, daemon=True)

    def start(self):
        self.run.start()
        self.traffic.start()
        target = {"targets": [f"127.0.0.1:{self.run.ports[2]}"], "labels": TARGET_LABELS}
        scrape = {"job_name": "headgate", "scrape_interval": "2s", "scrape_timeout": "2s", "static_configs": [target]}
        configuration = self.directory / "prometheus.yml"
        configuration.write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
        command = [
            "prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
        ]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def send(self):
        file = self.run.manifests / "all.yaml"
        text = file.read_text()
        for turn in itertools.count():
            for request in TRAFFIC:
                if self.over.is_set():
                    return
                self.run.send({"path": "/", **request})
            # Changed objects, so that their way into service is measured while Prometheus looks.
            changed = file.with_suffix(".new")
            changed.write_text(text.replace("limit-rpm: '1'", f"limit-rpm: '{turn % 2 + 1}'"))
            changed.rename(file)
            self.over.wait(0.5)

    def stop(self):
        self.over.set()
        if self.traffic.is_alive():
            self.traffic.join()
        if self.process:
            self.process.kill()
            self.process.wait()
        self.run.stop()
        # pytest shows this for a test that failed.
        print(*self.run.log()[-10:], *self.output.read_text().splitlines()[-20:], sep="\n")

    def get(self, path, **parameters):
        """The data of a response of Prometheus; None while it is not ready."""
        assert self.process.poll() is None, self.output.read_text()
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return None

    def query(self, text):
        """The samples of an instant query; not a number counts as none."""
        data = self.get("query", query=text)
        return [one for one in data["result"] if one["value"][1] != "NaN"] if data else []

    def until_data(self, queries):
        """Waits until each query has data: rates need two scrapes, of which there is no event."""
        deadline = time.monotonic() + 6 * PATIENCE
        missing = queries
        while missing := [query for query in missing if not self.query(query)]:
            assert time.monotonic() < deadline, "no data:\n" + "\n".join(missing)
            self.over.wait(0.5)

    def values(self, series, label):
        return self.get(f"label/{label}/values", **{"match[]": series})

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.run.ports[2]}/metrics", timeout=PATIENCE) as response:
            return response.read().decode()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    if missing := [tool for tool in ("prometheus", "promtool", "openssl") if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)} (Debian packages prometheus and openssl)")
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("POD_NAMESPACE", TARGET_LABELS["namespace"])
            patch.setenv("POD_NAME", TARGET_LABELS["pod"])
            prometheus.start()
        prometheus.until_data(["nginx_ingress_controller_requests"])
        yield prometheus
    finally:
        prometheus.stop()


def filled(text, variables):
    """The query as Grafana sends it."""
    text = text.replace("$__rate_interval", "1m")
    for name in sorted(variables, key=len, reverse=True):
        text = text.replace(f"${name}", variables[name])
    assert "$" not in text, text
    return text


dashboards = pytest.mark.parametrize("dashboard", FACTS["dashboards"], ids=lambda dashboard: dashboard["name"])


@dashboards
def test_every_query_of_a_dashboard_of_ingress_nginx_has_data(prometheus, dashboard):
    everything = dict.fromkeys(dashboard["variables"], ALL)
    queries = [query.get("unless", query["query"]) for query in dashboard["queries"]]
    prometheus.until_data([filled(query, everything) for query in queries])
    for query in dashboard["queries"]:
        if "unless" in query:
            assert prometheus.query(filled(query["query"], everything)) == []


@dashboards
def test_variables_of_a_dashboard_have_values_that_its_queries_find(prometheus, dashboard):
    chosen = dict.fromkeys(dashboard["variables"], ALL)
    for name, variable in dashboard["variables"].items():
        values = prometheus.values(filled(variable["series"], chosen), variable["label"])
        assert values, name
        chosen[name] = "web" if name == "ingress" else values[0]
    # The panel of certificates compares the Pod with a label that only one relabelling sets, and certificates with Ingresses.
    queries = [query for query in dashboard["queries"] if "kubernetes_pod_name" not in query["query"]]
    prometheus.until_data([filled(query.get("unless", query["query"]), chosen) for query in queries])


@pytest.mark.parametrize("alert", FACTS["alerts"], ids=lambda alert: alert["condition"][:40])
def test_conditions_of_usual_alerts_have_data(prometheus, alert):
    prometheus.until_data([alert["below"]])
    assert prometheus.query(alert["condition"]) == []


def test_every_query_of_the_charts_dashboard_has_data(prometheus):
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    variables = {variable["name"]: ALL for variable in dashboard["templating"]["list"] if variable["type"] == "query"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            assert prometheus.values(filled(series, variables), label), variable["name"]
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(targets) > 25
    prometheus.until_data([filled(query, variables) for query in targets if not OF_A_CLUSTER.search(query)])


def test_rules_of_the_chart_name_metrics_that_exist(prometheus):
    documented = (REPOSITORY / "crates" / "compile" / "docs" / "metrics.md").read_text()
    known = set(re.findall(r"^\| `(\w+)` \|", documented, re.MULTILINE))
    dashboard = (FILES / "dashboard.json").read_text()
    used = set(re.findall(r"(?:nginx_ingress_controller|headgate|process)_\w+", (FILES / "rules.yaml").read_text() + dashboard))
    unknown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} - known
    assert unknown == set()


def test_the_exposition_passes_promtool(prometheus):
    """Names that promtool does not like are those of ingress-nginx."""
    checked = subprocess.run(["promtool", "check", "metrics"], input=prometheus.metrics(), capture_output=True, text=True, check=False)
    complaints = (checked.stdout + checked.stderr).splitlines()
    own = [line for line in complaints if not line.startswith("nginx_ingress_controller_")]
    assert checked.returncode in (0, 3) and own == [], complaints
    names = {line.split()[0] for line in complaints}
    assert names <= {
        "nginx_ingress_controller_requests", "nginx_ingress_controller_success", "nginx_ingress_controller_errors",
        "nginx_ingress_controller_bytes_sent",
    }, complaints


def test_labels_are_those_of_the_target_and_of_the_ingress(prometheus):
    """Without honor_labels the labels of the Ingress are exported_namespace and exported_service, as dashboards expect."""
    query = 'nginx_ingress_controller_requests{ingress="web",path="/",method="POST"}'
    prometheus.until_data([query])
    labels = prometheus.query(query)[0]["metric"]
    expected = {
        "namespace": "edge", "exported_namespace": "default", "service": "web", "ingress": "web", "host": "web.test",
        "path": "/", "method": "POST", "status": "200", "canary": "", "controller_class": "k8s.io/ingress-nginx",
    }
    assert {name: labels.get(name, "") for name in expected} == expected
