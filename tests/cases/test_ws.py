"""WebSockets with the client and the server that Node.js programs use, `ws`."""

import os
import shutil
import subprocess

import pytest

from sites import HOST, serving
from test_cases import HERE

CHECKS = ["sizes", "fragments", "pings", "closes", "halfclose", "idle", "handshakes"]


@pytest.fixture(scope="module")
def node():
    """Runs a script of this directory with the package."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    installed = subprocess.run([HERE / "ws" / "install"], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip("no ws: " + "; ".join(installed.stderr.splitlines()[-2:]))
    environment = {**os.environ, "NODE_PATH": f"{installed.stdout.strip()}/node_modules"}
    return lambda script, *arguments: subprocess.Popen(
        ["node", HERE / "ws" / script, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def site(node, tmp_path_factory):
    with node("server.js") as server:
        try:
            port = int(server.stdout.readline())
            with serving(tmp_path_factory.mktemp("ws"), port=port, tls=True) as run:
                yield run
        finally:
            server.kill()


@pytest.mark.parametrize("transport", ["ws", "wss"])
@pytest.mark.parametrize("check", CHECKS)
def test_ws(node, site, check, transport):
    with node("client.js", check, HOST, f"{transport}://127.0.0.1:{site.ports[int(transport == 'wss')]}") as client:
        try:
            output, _ = client.communicate(timeout=120)
        finally:
            client.kill()
    assert client.returncode == 0, output
