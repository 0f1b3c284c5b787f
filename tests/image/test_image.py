"""The image runs as the chart runs it: as an unprivileged process 1 of a read-only container, without libraries."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import container
import shop
from api import Api
from chart import ROOT
from container import PATIENCE, Container, Network, running, until
from names import NameServer

pytestmark = pytest.mark.skipif(bool(container.missing()), reason=f"needs {', '.join(container.missing())}")

ADMIN = 10254
LEASE = "/apis/coordination.k8s.io/v1/namespaces/edge/leases/ingress-controller-leader"

# What of glibc needs its modules or files at run time: the name service switch, character sets, locales.
NEEDS_LIBRARIES = re.compile(
    r"(__)?(getaddrinfo|getnameinfo|gethostby(addr|name)2?(_r)?|getpw\w+|getgr(ent|gid|nam)\w*|initgroups|getserv\w+|getproto\w+|iconv_open|setlocale)"
)


@pytest.fixture(name="image", scope="module")
def _image() -> Path:
    return container.build()


@pytest.fixture(name="network")
def _network() -> Iterator[Network]:
    with Network(f"headgate-{os.getpid()}") as network:
        yield network


def test_the_program_is_static_and_needs_no_library(image: Path) -> None:
    headers = subprocess.run(["readelf", "--file-header", "--program-headers", image / "headgate"], capture_output=True, text=True)
    # A position-independent executable, so that its addresses are random.
    assert "DYN (Position-Independent" in headers.stdout, headers
    assert "INTERP" not in headers.stdout
    table = subprocess.run(["nm", "--defined-only", image / "headgate"], capture_output=True, text=True, check=True).stdout
    symbols = {line.split()[-1] for line in table.splitlines()}
    assert len(symbols) > 1000
    assert not {symbol for symbol in symbols if NEEDS_LIBRARIES.fullmatch(symbol)}


def test_the_image_has_nothing_else(image: Path) -> None:
    root = image / "root"
    files = {str(file.relative_to(root)) for file in root.rglob("*") if not file.is_dir()}
    assert files == {"headgate", "etc/ssl/certs/ca-certificates.crt", "usr/share/sbom/headgate.cdx.json"}


def test_the_bill_of_materials_has_the_linked_crates(image: Path) -> None:
    bill = json.loads((image / "root/usr/share/sbom/headgate.cdx.json").read_text())
    names = {component["name"] for component in bill["components"]}
    assert {"hyper", "rustls", "aws-lc-sys", "headgate-proxy", "glibc", "rust-std"} <= names
    # Of tests, and a macro.
    assert not names & {"proptest", "headgate-testkit", "serde_derive"}
    references = {component["bom-ref"] for component in bill["components"]}
    edges = {edge["ref"]: edge["dependsOn"] for edge in bill["dependencies"]}
    assert "pkg:cargo/hyper@" in " ".join(edges[bill["metadata"]["component"]["bom-ref"]])
    assert {one for uses in edges.values() for one in uses} <= references


def test_the_version_has_the_commit(image: Path, network: Network, tmp_path: Path) -> None:
    with running(image, network, tmp_path, "--version") as one:
        assert one.exit_code() == 0
    commit = os.environ.get("HEADGATE_BUILD") or subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    assert re.fullmatch(rf"headgate \S+ \({commit or 'unknown'}\)\n", one.log()), one.log()


def test_without_its_capability_the_program_does_not_start(image: Path, network: Network, tmp_path: Path) -> None:
    with running(image, network, tmp_path, "--version", capabilities=[]) as one:
        assert one.exit_code() != 0
    assert "operation not permitted" in one.log().lower()


def test_it_serves_as_an_unprivileged_process_1(image: Path, network: Network, tmp_path: Path) -> None:
    with serving(image, network, tmp_path) as (one, backend):
        status = one.status()
        assert status["Uid"] == ["101"] * 4 and status["Gid"] == ["82"] * 4
        assert status["NSpid"][-1] == "1" and status["NoNewPrivs"] == ["1"]
        for kind, expected in {"Inh": 0, "Prm": 1 << 10, "Eff": 1 << 10, "Bnd": 1 << 10, "Amb": 0}.items():
            assert int(status[f"Cap{kind}"][0], 16) == expected, kind
        files = one.files()
        assert network.call(shop.get, ADMIN, "/healthz")[0] == 200
        assert network.call(shop.get, 80) == (200, b"0")
        assert network.call(shop.get_tls, tmp_path / "tls.crt") == (200, b"0")
        assert network.call(upload, one, 3 << 20) == str(3 << 20).encode()
        assert one.files() == files
        # It has started nothing.
        assert not Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text()
        with pytest.raises(OSError, match="Read-only file system"):
            Path(f"/proc/{one.pid}/root/file").touch()


def test_sigterm_ends_it_after_the_last_response(image: Path, network: Network, tmp_path: Path) -> None:
    with serving(image, network, tmp_path) as (one, backend):
        slow = network.call(send, b"GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        assert backend.waiting.wait(PATIENCE)
        one.signal("TERM")
        until(lambda: not network.call(shop.ready, ADMIN), "still ready")
        backend.release.set()
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert one.exit_code() == 0, one.log()


@contextmanager
def serving(image: Path, network: Network, directory: Path) -> Iterator[tuple[Container, shop.Backend]]:
    """The site of this test, served."""
    backend = shop.Backend(network)
    shop.manifests(backend.port, directory / "manifests")
    mounts = {"/manifests": directory / "manifests"}
    with running(image, network, directory / "one", "serve", "/manifests", mounts=mounts) as one:
        until(lambda: one.process.poll() is not None or network.call(shop.ready, ADMIN), "not ready")
        assert one.process.poll() is None, one.log()
        yield one, backend
    backend.close()


def send(text: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", 80), PATIENCE)
    client.sendall(text)
    return client


def upload(one: Container, size: int) -> bytes:
    """The response to a body of this size. If it is longer than 1 MiB, it is kept in /tmp until it is complete."""
    head = f"POST / HTTP/1.1\r\nHost: {shop.HOST}\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    with send(head.encode() + bytes(size // 2)) as client:
        used = f"/proc/{one.pid}/root/tmp"
        until(lambda: (stat := os.statvfs(used)).f_blocks > stat.f_bfree, "nothing in /tmp")
        client.sendall(bytes(size - size // 2))
        return client.makefile("rb").read().split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("way", ["hosts", "dns"])
def test_the_api_server_is_found_by_name_also_after_it_has_moved(way: str, image: Path, network: Network, tmp_path: Path) -> None:
    backend = shop.Backend(network)
    names = NameServer(network, tmp_path)
    # In DNS only with the search domain, as in a Pod.
    name = "api.cluster.example" if way == "hosts" else "api"
    kubeconfig = tmp_path / "kubeconfig.yaml"
    kubeconfig.write_text(json.dumps(config(f"http://{name}:6443")))
    mounts = {"/etc/hosts": names.hosts, "/etc/resolv.conf": names.resolv_conf, "/kubeconfig.yaml": kubeconfig}
    flags = ["--kubeconfig=/kubeconfig.yaml", "--allow-loopback-upstreams", "--shutdown-grace-period=0"]
    with running(image, network, tmp_path / "one", "controller", *flags, mounts=mounts) as one:
        for address in ("127.0.0.2", "127.0.0.3"):
            with api_server(network, address, tmp_path, backend.port) as api:
                names.set("api.cluster.example", address, way)
                # Each server starts without the Lease, which the controller creates where it connects to.
                until(lambda: one.process.poll() is not None or network.call(api.find, LEASE), f"{address} was not found")
                until(lambda: one.process.poll() is not None or serves(network), "the site is not served")
                assert one.process.poll() is None, one.log()
        one.signal("TERM")
        assert one.exit_code() == 0, one.log()
    names.close()
    backend.close()


def serves(network: Network) -> bool:
    try:
        return network.call(shop.get, 80)[0] == 200
    except OSError:
        return False


def config(server: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [{"name": "one", "cluster": {"server": server}}],
        "users": [{"name": "one", "user": {}}],
    }


@contextmanager
def api_server(network: Network, address: str, directory: Path, port: int) -> Iterator[Api]:
    """An API server at port 6443 of this address, with the site."""
    build = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "headgate-apiserver"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug/headgate-apiserver"
    file = directory / f"kubeconfig-{address}"
    command = network.command(program, "--listen", f"{address}:6443", "--kubeconfig", file)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline(), "the API server did not start"
            api = Api(file)
            for path, found in shop.objects(port):
                network.call(api.request, "POST", path, found)
            yield api
        finally:
            process.kill()
