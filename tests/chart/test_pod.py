"""The workload: safe defaults, and the effects of values."""

import pytest

from chart import controller, render

LOW_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}


def test_the_container_is_restricted() -> None:
    assert render().container()["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 101,
        "runAsGroup": 82,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }


def test_low_ports_need_no_privilege() -> None:
    assert render().pod()["securityContext"] == {"sysctls": [LOW_PORTS]}
    assert "securityContext" not in render("{controller: {hostNetwork: true}}").pod(), "the kubelet rejects it there"
    assert "securityContext" not in render("{controller: {sysctls: null}}").pod()
    own = "{controller: {podSecurityContext: {fsGroup: 82, sysctls: [{name: a, value: b}]}}}"
    assert render(own).pod()["securityContext"] == {"fsGroup": 82, "sysctls": [{"name": "a", "value": "b"}, LOW_PORTS]}


def test_only_scratch_space_is_writable() -> None:
    pod = render().pod()
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}]
    assert render().container()["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_resources_have_no_cpu_limit() -> None:
    assert render().container()["resources"] == {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


def test_only_the_controller_gets_a_token() -> None:
    values = "{defaultBackend: {enabled: true, image: {image: pages}}}"
    rendered = render(values)
    assert rendered.pod()["automountServiceAccountToken"] is True
    backend = rendered.one("Deployment", "headgate-defaultbackend")["spec"]["template"]["spec"]
    assert backend["automountServiceAccountToken"] is False
    assert all(account["automountServiceAccountToken"] is False for account in rendered.of("ServiceAccount"))
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False
    assert render("{serviceAccount: {automountServiceAccountToken: false}}").pod()["automountServiceAccountToken"] is False


def test_two_replicas_of_which_one_always_runs() -> None:
    rendered = render()
    assert rendered.one("Deployment")["spec"]["replicas"] == 2
    assert rendered.one("PodDisruptionBudget")["spec"]["minAvailable"] == 1
    spread = rendered.pod()["topologySpreadConstraints"]
    assert [(one["topologyKey"], one["whenUnsatisfiable"]) for one in spread] == [
        ("kubernetes.io/hostname", "ScheduleAnyway"),
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
    ]


@pytest.mark.parametrize(
    ("values", "budget"),
    [
        ("{controller: {replicaCount: 1}}", None),
        ("{controller: {replicaCount: 1, autoscaling: {enabled: true}}}", {"minAvailable": 1}),
        ("{controller: {autoscaling: {enabled: true, minReplicas: 1}}}", None),
        ("{controller: {keda: {enabled: true, minReplicas: 1}}}", None),
        ("{controller: {maxUnavailable: 50%}}", {"maxUnavailable": "50%"}),
        (
            "{controller: {minAvailable: 2, unhealthyPodEvictionPolicy: AlwaysAllow}}",
            {"minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        ),
        ("{controller: {kind: DaemonSet}}", None),
    ],
)
def test_budget(values: str, budget: dict | None) -> None:
    found = render(values).of("PodDisruptionBudget")
    specs = [{key: value for key, value in one["spec"].items() if key != "selector"} for one in found]
    assert specs == ([budget] if budget else [])


def test_replicas_are_left_to_autoscalers() -> None:
    for scaler in ("autoscaling", "keda"):
        assert "replicas" not in render(f"{{controller: {{{scaler}: {{enabled: true}}}}}}").one("Deployment")["spec"]


@pytest.mark.parametrize(
    ("values", "surge"),
    [
        ("", {"maxSurge": 1, "maxUnavailable": 0}),
        ("{controller: {kind: DaemonSet}}", {"maxSurge": 1, "maxUnavailable": 0}),
        ("{controller: {hostNetwork: true}}", {"maxSurge": 0, "maxUnavailable": 1}),
        ("{controller: {kind: DaemonSet, hostPort: {enabled: true}}}", {"maxSurge": 0, "maxUnavailable": 1}),
    ],
)
def test_updates_start_the_new_pod_first_unless_it_needs_the_same_port(values: str, surge: dict) -> None:
    rendered = render(values)
    spec = (rendered.of("Deployment") + rendered.of("DaemonSet"))[0]["spec"]
    assert spec.get("strategy", spec.get("updateStrategy")) == {"type": "RollingUpdate", "rollingUpdate": surge}


def test_termination_grace_period() -> None:
    rendered = render()
    assert rendered.pod()["terminationGracePeriodSeconds"] == 300
    assert "lifecycle" not in rendered.container()
    assert rendered.flags()["shutdown-grace-period"] == "10"


def test_the_hook_of_ingress_nginx_is_left_out() -> None:
    old = "{controller: {lifecycle: {preStop: {exec: {command: [/wait-shutdown]}}, postStart: {sleep: {seconds: 1}}}}}"
    assert render(old).container()["lifecycle"] == {"postStart": {"sleep": {"seconds": 1}}}
    assert "/wait-shutdown is left out" in render(old).notes
    own = "{controller: {lifecycle: {preStop: {exec: {command: [/own]}}}}}"
    assert "preStop" in render(own).container()["lifecycle"]
    assert "lifecycle" not in render("{controller: {lifecycle: null}}").container()


def test_probes() -> None:
    container = render().container()
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_probes_follow_the_port() -> None:
    rendered = render("{controller: {metrics: {port: 9254}}}")
    container = rendered.container()
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {9254}
    assert rendered.flags()["healthz-port"] == "9254"


def test_host_ports() -> None:
    ports = {
        port["name"]: port.get("hostPort")
        for port in render("{controller: {hostPort: {enabled: true, ports: {http: 8080}}}}").container()["ports"]
    }
    assert ports == {"http": 8080, "https": 443, "metrics": None, "webhook": None}


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ("", "headgate:0.1.0"),
        ("{global: {image: {registry: a.example}}}", "a.example/headgate:0.1.0"),
        ("{global: {image: {registry: a.example}}, controller: {image: {registry: b.example}}}", "b.example/headgate:0.1.0"),
        ("{controller: {image: {repository: c.example/x, tag: 1.5}}}", "c.example/x:1.5"),
        (f"{{controller: {{image: {{digest: 'sha256:{'a' * 64}'}}}}}}", f"headgate:0.1.0@sha256:{'a' * 64}"),
    ],
)
def test_image(values: str, image: str) -> None:
    assert render(values).container()["image"] == image


def test_numbers_stay_numbers() -> None:
    """Numbers of values files are floats, which print as 1e+06."""
    rendered = render(
        "{controller: {image: {runAsUser: 1000680000}, config: {keep-alive-requests: 10000000}, extraArgs: {workers: 1000000}}}"
    )
    assert rendered.container()["securityContext"]["runAsUser"] == 1000680000
    assert rendered.one("ConfigMap", controller())["data"] == {"keep-alive-requests": "10000000"}
    assert rendered.flags()["workers"] == "1000000"


def test_secrets_are_cached_only_with_a_key() -> None:
    plain = render("{controller: {cache: {enabled: true}}}")
    assert plain.flags()["cache-dir"] == "/var/cache/headgate" and "cache-key-file" not in plain.flags()
    sealed = render("{controller: {cache: {enabled: true, keySecret: {name: k, key: file}}}}")
    assert sealed.flags()["cache-key-file"] == "/etc/headgate/cache-key/file"
    assert {"name": "cache-key", "secret": {"secretName": "k"}} in sealed.pod()["volumes"]


def test_the_network_policy_allows_each_port() -> None:
    rendered = render(
        "{tcp: {9000: a/b:1}, udp: {53: a/b:1}, controller: {extraContainers: [{name: s, image: s, ports: [{containerPort: 9113}]}]}}"
    )
    admitted = {
        (port["port"], port["protocol"]) for rule in rendered.one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    }
    listening = {
        (port["containerPort"], port.get("protocol", "TCP"))
        for container in rendered.pod()["containers"]
        for port in container["ports"]
    }
    assert admitted == listening
    assert rendered.one("NetworkPolicy")["spec"]["egress"] == [{}], "backends may be anywhere"
