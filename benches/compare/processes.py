"""The directory, the processes and the ports of a run; all of them end with it."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Many hosts are read, and compiled, before the first response.
READY_SECONDS = 120


class Setting:
    """The directory of a run, the values of its templates, and its processes; a context manager that stops them."""

    def __init__(self, templates, directory, values):
        self.templates = templates
        self.directory = directory
        self.values = values
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in list(self.processes):
            signal_group(process, signal.SIGTERM)
        for process in list(self.processes):
            self.stop(process)

    def render(self, template, target, extra=None):
        """Writes a template to a file of the run, with every @NAME@ replaced."""
        values = self.values | (extra or {})
        text = (self.templates / template).read_text()
        path = self.directory / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"@([A-Z_0-9]+)@", lambda name: str(values[name[1]]), text))
        return path

    def spawn(self, name, command, cpu, **options):
        """Starts a process on one core. Its output goes to files of the run, so that access logs have their real cost."""
        out = open(self.directory / f"{name}.stdout", "wb")
        err = open(self.directory / f"{name}.stderr", "wb")
        with out, err:
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(cpu), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, **options,
            )
        self.processes.append(process)
        return process

    def stop(self, process):
        """Ends a process, and the children that would outlive it: they are in its group."""
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            pass
        signal_group(process, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def wait_for(self, process, name, url):
        """Waits until `url` responds with 200; raises with the output of the process if it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while not responds(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not respond at {url}\n{self.output(name)}")
            time.sleep(0.05)

    def output(self, name):
        """The end of what a process has written."""
        paths = [path for path in sorted(self.directory.glob(f"{name}*.std*")) if path.is_file()]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in paths)


def free_ports(count):
    """Free ports of loopback. All are kept open until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def raise_open_files():
    """Thousands of connections, each two files in a proxy, which inherits the limit."""
    wanted, hard = 1 << 17, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def terminate(*_):
    """Ends the run as asked by SIGTERM; a second one does not disturb what it cleans up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def responds(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
