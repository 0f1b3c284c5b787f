"""The rendered command line is valid."""

import os
import re
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from chart import ROOT, render
from test_render import MATRIX


@lru_cache
def program() -> Path:
    """The program, built if it is outdated."""
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "headgate"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "headgate"


@lru_cache
def known() -> set[str]:
    """Names of all flags of the program."""
    table = subprocess.run([program(), "flags"], capture_output=True, text=True, check=True, timeout=60).stdout
    return set(re.findall(r"^\| `--?([^`]+)`", table, flags=re.M))


def rejection(flags: dict, directory: Path) -> str | None:
    """The error of the program with these flags; `None` if it starts."""
    # Free ports of the loopback address instead of those of the chart.
    flags = flags | {
        "http-port": "0",
        "https-port": "0",
        "healthz-port": "0",
        "healthz-host": "127.0.0.1",
        "bind-address": "127.0.0.1",
    }
    flags = {name: value.replace("$(POD_NAMESPACE)", "edge") for name, value in flags.items()}
    arguments = [f"--{name}={value}" if value else f"--{name}" for name, value in flags.items()]
    with subprocess.Popen(
        [program(), "serve", str(directory), *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "listening" in line:
                    return None
            return "".join(lines)
        finally:
            process.terminate()


@pytest.mark.parametrize("case", MATRIX)
def test_every_flag_is_known(case: str) -> None:
    assert render(MATRIX[case]).flags().keys() <= known()


@pytest.mark.parametrize(
    "case",
    [
        "defaults",
        "daemonset in the node's network",
        "one namespace",
        "beside ingress-nginx",
        "all of a Pod",
        "classes",
        "all of the Services",
    ],
)
def test_the_program_starts(case: str, tmp_path: Path) -> None:
    assert rejection(render(MATRIX[case]).flags(), tmp_path) is None


def test_the_program_rejects_invalid_flags(tmp_path: Path) -> None:
    assert "--election-ttl" in rejection(render().flags() | {"election-ttl": "soon"}, tmp_path)


def test_extra_args_override() -> None:
    flags = render(
        "{controller: {extraArgs: {ingress-class: mine, publish-status-address: 192.0.2.1, v: 2, enable-ssl-passthrough: null, update-status: false}}}"
    ).flags()
    assert flags["ingress-class"] == "mine"
    assert flags["v"] == "2" and flags["update-status"] == "false" and flags["enable-ssl-passthrough"] == ""
    assert flags["publish-status-address"] == "192.0.2.1" and "publish-service" not in flags, "the two exclude each other"


def test_values_become_flags() -> None:
    values = """
        controller:
          containerPort: {http: 8080, https: 8444, extra: 9000}
          healthCheckPath: /alive
          healthCheckHost: 127.0.0.1
          enableAnnotationValidations: false
          enableTopologyAwareRouting: true
          electionTTL: 45s
          disableLeaderElection: true
          ingressClassByName: true
          watchIngressWithoutClass: true
          publishService: {pathOverride: lb/front}
          tcp: {configMapNamespace: streams}
          shutdownGracePeriod: 20
        tcp: {9000: "a/b:1"}
        udp: {53: "a/b:1"}
        defaultBackend: {enabled: true, image: {image: pages}}
    """
    expected = {
        "http-port": "8080",
        "https-port": "8444",
        "health-check-path": "/alive",
        "healthz-host": "127.0.0.1",
        "enable-annotation-validation": "false",
        "enable-topology-aware-routing": "true",
        "election-ttl": "45s",
        "disable-leader-election": "true",
        "ingress-class-by-name": "true",
        "watch-ingress-without-class": "true",
        "publish-service": "lb/front",
        "tcp-services-configmap": "streams/headgate-tcp",
        "udp-services-configmap": "$(POD_NAMESPACE)/headgate-udp",
        "default-backend-service": "$(POD_NAMESPACE)/headgate-defaultbackend",
        "shutdown-grace-period": "20",
    }
    assert expected.items() <= render(values).flags().items()


def test_addresses_of_nodes_only_in_their_network() -> None:
    name = "report-node-internal-ip-address"
    assert name not in render("{controller: {reportNodeInternalIp: true}}").flags()
    assert render("{controller: {reportNodeInternalIp: true, hostNetwork: true}}").flags()[name] == "true"
