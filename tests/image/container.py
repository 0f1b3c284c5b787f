"""The image in a container: runc, with namespaces of its own and the security context of the chart."""

import ctypes
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from chart import ROOT, render

# Maximum wait for an event, in seconds.
PATIENCE = 60

# Of sched.h.
CLONE_NEWNET = 0x40000000

# The chart with hostNetwork: there no sysctl lets the process bind ports below 1024, so it needs the capability of its file.
CHART = render("{controller: {hostNetwork: true}}")


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition on another process, of which there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)
    return value


class Network:
    """A network namespace with nothing but loopback, and a thread in it that opens this process's sockets there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns") / name

    def __enter__(self) -> "Network":
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        self.thread = ThreadPoolExecutor(1, initializer=self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def _enter(self) -> None:
        with self.path.open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def call(self, function: Callable, *arguments: Any, **named: Any) -> Any:
        """The result of a function that opens sockets."""
        return self.thread.submit(function, *arguments, **named).result(PATIENCE)

    def command(self, *words: str | Path) -> list:
        """A command that runs there."""
        return ["ip", "netns", "exec", self.name, *words]


class Container:
    """A container that was started."""

    def __init__(self, process: subprocess.Popen, directory: Path) -> None:
        self.process, self.directory = process, directory
        self.rootfs = directory / "bundle" / "rootfs"

    @cached_property
    def pid(self) -> int:
        """Its process 1, as seen from here."""
        file = self.directory / "pid"
        text = until(lambda: self.process.poll() is not None or file.exists() and file.read_text(), "no process")
        assert isinstance(text, str), self.log()
        return int(text)

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def status(self) -> dict[str, list[str]]:
        """/proc/PID/status: words by name."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: words.split() for name, words in (line.split(":", 1) for line in lines)}

    def signal(self, name: str) -> None:
        subprocess.run(runc(self.directory, "kill", "container", name), check=True)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def files(self) -> dict[str, tuple]:
        """What is in the root file system: type and mode, size and time of each file."""
        entries = sorted(self.rootfs.rglob("*"))
        return {str(entry): (stat.st_mode, stat.st_size, stat.st_mtime_ns) for entry in entries if (stat := entry.lstat())}


@contextmanager
def running(
    image: Path, network: Network, directory: Path, *arguments: str, mounts: dict | None = None, capabilities: list | None = None
) -> Iterator[Container]:
    """A container with the command line `arguments`. `mounts` are files and directories of this machine by their path in it;
    `capabilities` replaces those of the chart."""
    directory.mkdir(parents=True, exist_ok=True)
    bundle, log = directory / "bundle", directory / "log"
    subprocess.run(["umoci", "unpack", f"--image={image / 'oci'}:latest", bundle], check=True)
    file = bundle / "config.json"
    config = json.loads(file.read_text())
    config["process"]["args"][1:] = arguments
    config["mounts"] += [bind(source, path) for path, source in (mounts or {}).items()]
    secure(config, network, capabilities)
    file.write_text(json.dumps(config))
    command = runc(directory, "run", f"--bundle={bundle}", f"--pid-file={directory / 'pid'}", "container")
    with log.open("w") as output, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            yield Container(process, directory)
        finally:
            # pytest shows this for a test that failed.
            print(log.read_text()[-4000:])
            if process.poll() is None:
                subprocess.run(runc(directory, "delete", "--force", "container"), check=True)


def runc(directory: Path, *words: str) -> list:
    """A command of runc, whose containers here are those of one directory."""
    return ["runc", f"--root={directory / 'runc'}", *words]


def secure(config: dict, network: Network, capabilities: list | None) -> None:
    """What a container runtime makes of the security context and the volumes of the chart. It has no seccomp profile: that is a
    file of the runtime."""
    context = CHART.container()["securityContext"]
    assert context["capabilities"]["drop"] == ["ALL"] and context["runAsNonRoot"]
    process = config["process"]
    # Those of the image, which the chart repeats.
    assert process["user"] == {"uid": context["runAsUser"], "gid": context["runAsGroup"]}
    process["noNewPrivileges"] = not context["allowPrivilegeEscalation"]
    added = [f"CAP_{name}" for name in context["capabilities"]["add"]] if capabilities is None else capabilities
    # As containerd does for a process that is not root.
    process["capabilities"] = {kind: added for kind in ("bounding", "effective", "permitted")}
    process["terminal"] = False
    process["env"] += ["POD_NAME=headgate-0", "POD_NAMESPACE=edge"]
    config["root"]["readonly"] = context["readOnlyRootFilesystem"]
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "cgroup"]
    volumes = {volume["name"]: volume for volume in CHART.pod()["volumes"]}
    for mount in CHART.container()["volumeMounts"]:
        if "emptyDir" in volumes[mount["name"]]:
            options = ["nosuid", "nodev", "mode=0777"]
            config["mounts"].append({"destination": mount["mountPath"], "type": "tmpfs", "source": "tmpfs", "options": options})
    linux = config["linux"]
    linux.pop("resources")
    linux["namespaces"] = [space for space in linux["namespaces"] if space["type"] != "network"]
    linux["namespaces"].append({"type": "network", "path": str(network.path)})


def bind(source: Path, path: str) -> dict:
    return {"destination": path, "type": "bind", "source": str(source), "options": ["rbind", "ro"]}


def missing() -> list[str]:
    """What this machine lacks to build and run the image."""
    programs = [program for program in ("umoci", "runc", "setcap", "ip") if not shutil.which(program)]
    return programs + ([] if os.geteuid() == 0 else ["root"])


def build() -> Path:
    """The directory with the image, built from the development build unless HEADGATE_IMAGE names one."""
    if given := os.environ.get("HEADGATE_IMAGE"):
        return Path(given)
    directory = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "image" / "dev"
    subprocess.run([ROOT / "charts/image/build", directory, "--dev"], check=True)
    return directory
