"""The TLS port, judged by another project, testssl.sh: protocols, cipher lists and vulnerabilities."""

import json
import shutil
import subprocess

import pytest

from sites import HOST, serving

# Of severities that are no fault: what is as it should be, and what is only told.
FINE = {"OK", "INFO", "DEBUG"}
# What the OpenSSL of the system cannot try.
UNTRIED = {"WARN"}


def test_testssl_finds_no_fault(tmp_path):
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        pytest.skip("needs testssl.sh (Debian package of that name)")
    report = tmp_path / "report.json"
    with serving(tmp_path, tls=True) as site:
        command = [
            program, "--quiet", "--color", "0", "--warnings", "batch", "--ip", "127.0.0.1", "--protocols", "--std", "--vulnerable",
            "--jsonfile", report, f"{HOST}:{site.ports[1]}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    findings = json.loads(report.read_text())
    assert len(findings) > 30, done.stdout[-3000:]
    wrong = [finding for finding in findings if finding["severity"] not in FINE | UNTRIED]
    assert wrong == []
