"""The phases of a request's path: the instructions that callgrind has counted in each, and how many they may be."""

import json
import re
from collections import Counter
from pathlib import Path

import report

# A line belongs to the first phase that its file matches. The standard library is inlined everywhere, and some of C and assembly
# has no file: such a line belongs to the phase of its function.
PHASES = {
    "copying and comparing memory": r"/multiarch/|/string/|^__mem",
    "allocator": r"/libmimalloc-sys-|^_?mi_|__rustc?::?.*alloc",
    "TLS": r"/(tokio-)?rustls|/aws-lc|/zeroize-|/subtle-|^aws_lc|\brustls::|\baws_lc_rs::",
    "HTTP/2": r"/(h2|hyper|hyper-util)-[0-9]|\b(h2|hyper|hyper_util)::",
    "header maps and buffers": r"/(http|http-body|bytes|smallvec)-[0-9]|\b(http|bytes|smallvec)::",
    "HTTP/1": r"/crates/http1/|/httparse-[0-9]|\b(headgate_http1|httparse)::",
    "route and limits": r"/crates/(table|limit)/|\bheadgate_(table|limit)::",
    "log and metrics": r"/proxy/src/(telemetry|record|values)|\bheadgate_proxy::(telemetry|record|values)|/tracing-|\btracing",
    "upstream": r"/proxy/src/upstream|\bheadgate_proxy::upstream",
    "client connection": r"/proxy/src/(connection|stream|tls|incoming|running|sockets)|\bheadgate_proxy::(connection|stream|tls|incoming|running|sockets)",
    "policies and forwarding": r"/crates/proxy/|\bheadgate_proxy::",
    "runtime and timers": r"/(tokio|tokio-util|mio|parking_lot|parking_lot_core|futures-[a-z]+)-[0-9]|\b(tokio|tokio_util|mio|parking_lot)::",
}
OTHER = "everything else"
PATTERNS = {name: re.compile(expression) for name, expression in PHASES.items()}
WITHOUT_PHASE = re.compile(r"/library/(core|alloc|std)/|/hashbrown-|^\?\?\?$")

# The most that each phase may take, by workload: what it took at the last look, and a tenth more, but at least 1,000. A change
# that needs more changes these numbers with it, so that its review sees the cost.
BUDGETS = json.loads(Path(__file__).with_name("budgets.json").read_text())

NAME = re.compile(r"(c?)(fl|fi|fe|fn)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+*\d-]\S* (\d+)$")


def phase(file, function):
    subject = function if WITHOUT_PHASE.search(file) else file
    return next((name for name, pattern in PATTERNS.items() if pattern.search(subject)), OTHER)


def totals(lines):
    """Instructions of each phase in the lines of callgrind's output ("Callgrind Format Specification" in its manual)."""
    files, functions, known = {}, {}, {}
    file = function = ""
    result = Counter()
    called = False
    for line in lines:
        if named := NAME.match(line):
            of_called, kind, number, text = named.groups()
            names = functions if kind == "fn" else files
            if text:
                names[number] = text
            if of_called:
                continue
            if kind == "fn":
                function = names[number]
            else:
                file = names[number]
        elif line.startswith("calls="):
            called = True
        elif cost := COST.match(line):
            # The line after a call is what the called function took.
            if not called:
                if (file, function) not in known:
                    known[file, function] = phase(file, function)
                result[known[file, function]] += int(cost[1])
            called = False
    return result


def compare(results):
    """Prints the phases of each workload beside their budgets. Returns what exceeds its budget, as "workload: phase"."""
    rows = [["instructions per request", *(column for name in results for column in (name, "budget"))]]
    for phase_name in (*PHASES, OTHER):
        rows.append([phase_name, *cells(results, lambda phases: phases.get(phase_name, 0))])
    rows.append(["total", *cells(results, lambda phases: sum(phases.values()))])
    print(report.table(rows))
    return [f"{name}: {phase_name}" for name, budgets in BUDGETS.items() if name in results
            for phase_name, most in budgets.items() if results[name].get(phase_name, 0) > most]


def cells(results, value):
    for name, phases in results.items():
        budget = value(BUDGETS.get(name, {}))
        yield from (f"{value(phases):,.0f}", f"{budget:,.0f}" if budget else "")
