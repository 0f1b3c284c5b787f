"""Conformance to HTTP/2 and HPACK, tested by another project, h2spec, including what it calls strict."""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from sites import add, ingress, serving, until
from test_cases import HERE

SETTINGS = {"ssl-redirect": "false"}
# The plain port also serves HTTP/1, in which an invalid preface is a malformed request: it gets 400 before the close, which h2spec
# does not expect.
OTHER_PROTOCOL = {"Sends invalid connection preface"}
EXPECTED = {"clear": OTHER_PROTOCOL, "tls": set()}


@pytest.fixture(scope="module")
def h2spec():
    if not shutil.which("go"):
        pytest.skip("needs go")
    built = subprocess.run([HERE / "h2spec" / "build"], capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip("no h2spec: " + "; ".join(built.stderr.splitlines()[-2:]))
    return built.stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("h2spec"), tls=True) as run:
        any_host = ingress("/", SETTINGS)
        any_host["metadata"]["name"] = "any-host"
        del any_host["spec"]["rules"][0]["host"]
        add(run, any_host)
        until(lambda: run.send({"path": "/", "host": "127.0.0.1"}).status == 200, "the path of any host")
        yield run


@pytest.mark.parametrize("transport", ["clear", "tls"])
def test_h2spec_finds_no_fault(h2spec, site, transport, tmp_path):
    report = tmp_path / "report.xml"
    tls = transport == "tls"
    options = ["--port", str(site.ports[int(tls)]), *(["--tls", "--insecure"] if tls else [])]
    command = [h2spec, "--host", "127.0.0.1", "--strict", "--timeout", "5", "--junit-report", report, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert len(cases) > 140, done.stdout + done.stderr
    failed = {case.get("classname") for case in cases if case.find("failure") is not None or case.find("error") is not None}
    assert failed == EXPECTED[transport], done.stdout.partition("Failures:")[2]
