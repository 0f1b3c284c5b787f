"""The program in front of one Service, for clients and servers of other projects."""

import threading
import time
from contextlib import contextmanager

import yaml

from test_cases import PATIENCE, Run, endpoint_slice

HOST = "a.test"


@contextmanager
def serving(directory, *, port=None, kind="echo", annotations=None, tls=False, **case):
    """Runs the program, whose host has one path: to the backend at `port`, else to one of this `kind`. With `tls` it has a
    certificate, and is served without redirect on both ports. `case` is `config`, `flags` and the other keys of a case."""
    run = Run(case, directory)
    if tls:
        case["certs"] = {"site": {"names": [HOST]}}
        annotations = {"ssl-redirect": "false", **(annotations or {})}
    if port is None:
        case["services"] = {"web": {"ports": {80: [{"name": "web", "kind": kind}]}}}
    case["objects"] = yaml.safe_dump_all([*([] if port is None else service(port)), ingress("/", annotations, tls)])
    try:
        run.start()
        yield run
    finally:
        run.stop()
        # pytest shows this for a test that failed.
        print(*run.log()[-20:], sep="\n")


def service(port):
    metadata = {"name": "web", "namespace": "default"}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.0.13", "ports": [{"name": "p80", "port": 80}]}}
    yield endpoint_slice(metadata, "p80", 1, port)


def ingress(path, annotations=None, tls=False):
    rule = {"host": HOST, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "name": path.strip("/") or "root", "namespace": "default",
            "annotations": {f"nginx.ingress.kubernetes.io/{name}": value for name, value in (annotations or {}).items()},
        },
        "spec": {"ingressClassName": "nginx", "rules": [rule], **({"tls": [{"hosts": [HOST], "secretName": "site"}]} if tls else {})},
    }


def add(run, document):
    """Adds an object to those that the program watches."""
    (run.manifests / f"{document['metadata']['name']}.yaml").write_text(yaml.safe_dump(document))


def until(condition, what):
    """The first true value of a condition on another process, of which there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)
    return value
