"""What processes have used: CPU time to the nanosecond, and memory."""

import re
import time
from pathlib import Path

# The clock of a process whose id is given: CPUCLOCK_SCHED of linux/posix-timers.h. It includes threads that have ended.
SCHEDULED = 2


class Ended(RuntimeError):
    """A process ended while it was measured: nothing can be said of what it has used."""


def tree(pid):
    """A process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may contain spaces; behind it: state, parent, ...
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, pending = [], [pid]
    while pending:
        current = pending.pop()
        found.append(current)
        pending += [child for child, parent in parents.items() if parent == current]
    return found


def cpu_seconds(pids):
    """User and system time of these processes, in seconds."""
    try:
        return sum(time.clock_gettime(~pid << 3 | SCHEDULED) for pid in pids)
    except OSError as error:
        raise Ended(f"one of the processes {pids} has ended") from error


def memory_bytes(pids):
    """Memory of these processes; of pages that several share, each has its part (PSS). Without buffers of sockets."""
    try:
        return sum(proportional(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in pids)
    except OSError as error:
        raise Ended(f"one of the processes {pids} has ended") from error


def proportional(rollup):
    """The PSS in bytes of a smaps_rollup."""
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
