"""The pure parts of benches/compare/instructions: what callgrind writes, phases and budgets."""

import pathlib
import runpy
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "compare"))

import phases

WORKLOADS = runpy.run_path(str(pathlib.Path(phases.__file__).with_name("instructions")))["WORKLOADS"]

CALLGRIND = """# callgrind format
positions: line
events: Ir
summary: 1000

fl=(1) /src/crates/http1/src/head.rs
fn=(1) headgate_http1::head::read
12 40
fi=(2) /rustc/0/library/core/src/slice/iter.rs
+3 5
fe=(1)
-1 2
cfi=(3) /cargo/tokio-1.54.1/src/task.rs
cfn=(2) tokio::task::wake
calls=7 0
* 900
* 1

fl=(3)
fn=(2)
5 30

fl=(4) ???
fn=(3) __memcpy_avx_unaligned_erms
0 8
fn=(4) somewhere
0 3
"""


def test_a_line_belongs_to_its_file_and_inlined_code_to_its_function_without_what_was_called():
    assert phases.totals(CALLGRIND.splitlines()) == {
        "HTTP/1": 48, "runtime and timers": 30, "copying and comparing memory": 8, phases.OTHER: 3}


@pytest.mark.parametrize("file, function, expected", [
    ("/x/crates/proxy/src/upstream/pool.rs", "headgate_proxy::pipeline::run", "upstream"),
    ("/x/crates/proxy/src/pipeline/edits.rs", "headgate_proxy::upstream::call", "policies and forwarding"),
    ("/rustc/0/library/alloc/src/vec/mod.rs", "<headgate_table::hosts::Hosts>::find", "route and limits"),
    ("/x/libmimalloc-sys-0.1.49/c_src/alloc.c", "mi_malloc", "allocator"),
    ("/x/h2-0.4.12/src/hpack/encoder.rs", "h2::hpack::encoder::encode", "HTTP/2"),
    ("/x/httparse-1.10.1/src/lib.rs", "headgate_http1::server::head::read", "HTTP/1"),
    ("???", "aws_lc_0_47_0_aes_gcm", "TLS"),
])
def test_phases(file, function, expected):
    assert phases.phase(file, function) == expected


def test_what_is_over_its_budget_is_named(monkeypatch, capsys):
    monkeypatch.setattr(phases, "BUDGETS", {"small": {"HTTP/1": 100, "TLS": 0}, "tls": {"TLS": 1}})
    assert phases.compare({"small": {"HTTP/1": 101.0, "TLS": 0.0}}) == ["small: HTTP/1"]
    rows = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [*phases.PHASES, phases.OTHER, "total"] == rows[1:]


def test_every_workload_has_a_budget_for_each_phase():
    assert set(phases.BUDGETS) == set(WORKLOADS)
    for budgets in phases.BUDGETS.values():
        assert list(budgets) == [*phases.PHASES, phases.OTHER]
