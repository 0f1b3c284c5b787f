"""Options, cores and tables of the load benches; they load the program with the clients of tests/cases."""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cases"))

MIB = 1 << 20


def parser(doc):
    """The options that all have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "headgate", help="the program (default: that of `cargo build --release`)")
    return parser


@contextlib.contextmanager
def site(options, **more):
    """A site whose program has the first core, and whose endpoints share the others with the load, as this process does."""
    from lifecycle import Site

    if not os.access(options.binary, os.X_OK):
        sys.exit(f"no program {options.binary}; cargo build --release, or --binary")
    cores = sorted(os.sched_getaffinity(0))
    others = set(cores[1:]) or set(cores)
    os.sched_setaffinity(0, others)
    flags = ["--workers=1", *more.pop("flags", [])]
    with tempfile.TemporaryDirectory(prefix="headgate-load-") as directory:
        with Site(Path(directory), options.binary, {cores[0]}, others, flags, **more) as site:
            yield site


def resident(pid):
    """Bytes of resident memory."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def cpu_seconds(pid):
    """Seconds of CPU of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Samples the memory of a process from entering to leaving; `peak` is the largest."""

    def __init__(self, pid):
        self.pid, self.before, self.peak, self.task = pid, resident(pid), 0, None

    async def __aenter__(self):
        self.task = asyncio.create_task(self.sample())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        self.peak = max(self.peak, resident(self.pid))

    async def sample(self):
        while True:
            self.peak = max(self.peak, resident(self.pid))
            await asyncio.sleep(0.02)

    @property
    def growth(self):
        return self.peak - self.before


def mib(count):
    return f"{count / MIB:.1f}"


def print_row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def print_header(*cells):
    print_row(*cells)
    print("|" + "---|" * len(cells), flush=True)


def run(coroutine):
    try:
        sys.exit(asyncio.run(coroutine))
    except KeyboardInterrupt:
        sys.exit(130)
