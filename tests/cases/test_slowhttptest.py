"""Slow clients by another project, slowhttptest, which asks from time to time whether the service is available."""

import re
import shutil
import subprocess

import pytest

from sites import add, ingress, serving, until

CONNECTIONS, SECONDS = 400, 10
MODES = {
    "slow heads": ["-H", "-i", "1"],
    "slow bodies": ["-B", "-i", "1", "-s", "8192"],
    "ranges": ["-R", "-a", "5", "-b", "1000"],
    "slow reads": ["-X", "-n", "1", "-w", "256", "-y", "512", "-z", "16", "-k", "3"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not shutil.which("slowhttptest"):
        pytest.skip("needs slowhttptest (Debian package of that name)")
    with serving(tmp_path_factory.mktemp("slow")) as run:
        any_host = ingress("/any")
        del any_host["spec"]["rules"][0]["host"]
        add(run, any_host)
        until(lambda: run.send({"path": "/any", "host": "127.0.0.1"}).status == 200, "the path of any host")
        yield run


@pytest.mark.parametrize("mode", MODES)
def test_service_stays_available(site, mode):
    command = [
        "slowhttptest", *MODES[mode], "-c", str(CONNECTIONS), "-r", "200", "-l", str(SECONDS), "-p", "5",
        "-u", f"http://127.0.0.1:{site.ports[0]}/any?x-size=100000",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    output = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout)
    reports = re.findall(r"service available: *(\w+)", output)
    assert reports and set(reports) == {"YES"}, output[-3000:]
