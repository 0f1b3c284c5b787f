"""The conformance tests of the Gateway API, run against Headgate as its chart installs it; see `run`."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from cluster import LOGS, UNUSABLE, USABLE, ClusterError, git_version, outside, program, running

CLASS = "gateway-conformance"
CONTROLLER = "headgate.dev/gateway-controller"
# Beginnings of the names of the features that each profile tests beside those of Gateways.
PROFILES = {
    "HTTP": ("HTTPRoute", "BackendTLSPolicy"),
    "GRPC": ("GRPCRoute",),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
OF_GATEWAYS = ("Gateway", "ListenerSet", "ReferenceGrant")
# What fails shall fail sooner than with the usual timeouts, which are for clouds. Those of requests remain.
SECONDS = {
    30: (
        "GWCMustBeAccepted", "GatewayMustHaveAddress", "GatewayMustHaveCondition", "GatewayStatusMustHaveListeners",
        "GatewayListenersMustHaveConditions", "ListenerSetMustHaveCondition", "ListenerSetListenersMustHaveConditions",
        "HTTPRouteMustHaveCondition", "TLSRouteMustHaveCondition", "TCPRouteMustHaveCondition", "UDPRouteMustHaveCondition",
        "RouteMustHaveParents", "LatestObservedGenerationSet",
    ),
    90: ("NamespacesMustBeReady",),
}
# A line of node/suite.
RESULT = re.compile(r"result: (PASS|FAIL) (\w+),")
# The end of what a failed assertion prints.
ASSERTION = re.compile(r"\s+(Test|Messages): +\t?(.*)")


def main():
    options = parse()
    # As Ctrl-C, so that the end is the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    images = {
        "headgate": [program()],
        "echo-basic": [f"{options.programs}/echo-basic"],
        "coredns": [f"{options.programs}/node", "dns"],
    }
    with running(options.programs, LOGS, images) as cluster:
        say("the cluster is running")
        try:
            install(cluster, options)
            say("Headgate is running")
            passed = test(cluster, options)
        finally:
            if options.keep:
                keep(cluster)
    sys.exit(0 if passed else 1)


def parse():
    parser = argparse.ArgumentParser(prog="run", description="Tests Headgate's conformance to the Gateway API, in a cluster on this machine.")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help=f"of {', '.join(PROFILES)}; all by default")
    parser.add_argument("--run-test", metavar="NAME", help="only this test")
    parser.add_argument("--experimental", action="store_true", help="with the CRDs of the experimental channel")
    parser.add_argument("--keep", action="store_true", help="leave the cluster and what the tests created until Ctrl-C")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the official report")
    parser.add_argument("--url", default="https://headgate.dev", help="of the project, for the report")
    parser.add_argument("--contact", default="@headgate/maintainers", help="for the report")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="of the controller (1)")
    parser.add_argument("--minutes", type=int, default=30, metavar="N", help="after which the tests fail (30)")
    # Flags of the tests themselves.
    given, more = sys.argv[1:], []
    if "--" in given:
        at = given.index("--")
        given, more = given[:at], given[at + 1 :]
    options = parser.parse_args(given)
    options.more = more
    options.programs = Path(os.environ["CLUSTER_PROGRAMS"])
    for one in options.profiles:
        if one not in PROFILES:
            parser.error(f"unknown profile {one}: must be one of {', '.join(PROFILES)}")
    options.profiles = options.profiles or list(PROFILES)
    return options


def install(cluster, options):
    crds = options.programs / "crds"
    cluster.kubectl("apply", "--server-side", "--kustomize", str(crds / "experimental" if options.experimental else crds))
    cluster.install({"gatewayAPI": {"enabled": True}, "controller": {"replicaCount": options.replicas}})
    cluster.apply({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": CLASS},
        "spec": {"controllerName": CONTROLLER},
    })


def test(cluster, options):
    """Whether all tests pass. Prints each result, and the names of what failed."""
    command = [options.programs / "conformance.test", "-test.run=^TestConformance$", "-test.v", f"-test.timeout={options.minutes}m", *flags(cluster, options)]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    results, log = Results(), LOGS / "conformance.log"
    with open(log, "w", encoding="utf-8") as file:
        running_tests = subprocess.Popen(outside(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        for line in running_tests.stdout:
            file.write(line)
            results.read(line)
    code = running_tests.wait()
    say(f"{results.count} tests, {len(results.failed)} failed; their log: {log}")
    for name, reasons in sorted(results.failed.items()):
        print(f"failed: {name}", *reasons, sep="\n    ")
    if code and not results.ended:
        print("the tests ended early:", *log.read_text(encoding="utf-8").splitlines()[-15:], sep="\n")
    if options.report and options.report.exists():
        summarize(options.report)
    return code == 0


class Results:
    """What the output of the tests says: how many have ended, why which of them failed, and whether all have ended."""

    def __init__(self):
        self.count, self.failed, self.asserting, self.ended = 0, {}, "", False

    def read(self, line):
        self.ended = self.ended or line.startswith("--- ")
        if found := ASSERTION.match(line):
            what, text = found.groups()
            if what == "Test":
                self.asserting = text.strip().removeprefix("TestConformance/")
            else:
                name, _, part = self.asserting.partition("/")
                self.failed.setdefault(name, []).append(f"{part}: {text}" if part else text)
        elif found := RESULT.match(line):
            result, name = found.groups()
            self.count += 1
            if result == "FAIL":
                self.failed.setdefault(name, [])
            say(" ".join([result, name, *self.failed.get(name, [])[:1]]))


def flags(cluster, options):
    given = [
        f"-gateway-class={CLASS}",
        f"-conformance-profiles={','.join('GATEWAY-' + one for one in options.profiles)}",
        f"-usable-address={USABLE}",
        f"-unusable-address={UNUSABLE}",
        "-timeout-config-overrides=" + ";".join(f"{name}:{seconds}" for seconds, names in SECONDS.items() for name in names),
    ]
    if set(options.profiles) != set(PROFILES) or options.run_test:
        # Without this flag the tests are those of all features in the status of the class.
        given.append("-supported-features=" + ",".join(features(cluster, options.profiles)))
    if options.run_test:
        given += [f"-run-test={options.run_test}", f"-cleanup-test-resources={str(not options.keep).lower()}"]
    if options.keep:
        given.append("-cleanup-base-resources=false")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        given += [
            f"-report-output={options.report.resolve()}", "-organization=headgate", "-project=headgate", "-mode=default",
            f"-version={git_version()}", f"-url={options.url}", f"-contact={options.contact}",
        ]
    return given + options.more


def features(cluster, profiles):
    """The features in the status of the class, without those of the kinds of other profiles."""
    def offered():
        status = cluster.get("gatewayclass", CLASS).get("status", {})
        return [one["name"] for one in status.get("supportedFeatures", [])]

    wanted = OF_GATEWAYS + tuple(kind for one in profiles for kind in PROFILES[one])
    found = cluster.until(offered, f"the GatewayClass {CLASS} has features in its status", seconds=30)
    return [name for name in found if name.startswith(wanted)]


def summarize(report):
    """Prints the counts of the report."""
    for profile in yaml.safe_load(report.read_text(encoding="utf-8"))["profiles"]:
        parts = []
        for level in ("core", "extended"):
            if level in profile:
                statistics = profile[level]["statistics"]
                parts.append(f"{level} {statistics['Passed']} passed, {statistics['Failed']} failed, {statistics['Skipped']} skipped")
        print(f"{profile['name']}: {'; '.join(parts)}")


def keep(cluster):
    """Returns at Ctrl-C."""
    inside = f"nsenter --all --target $(pgrep --parent {os.environ['CLUSTER_PROCESS']})"
    say(f"The cluster stays until Ctrl-C. To look at it:\n  {inside} {cluster.directory}/kubectl get gateways --all-namespaces")
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        pass


def say(what):
    print(time.strftime("%H:%M:%S"), what, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except ClusterError as error:
        sys.exit(str(error))
