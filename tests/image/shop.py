"""A site behind the image: manifests, a backend and a certificate."""

import base64
import http.client
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from container import PATIENCE, Network

HOST = "shop.example"
# A body of more than 1 MiB is kept in a file.
ANNOTATIONS = {"ssl-redirect": "false", "proxy-body-size": "4m"}


class Backend:
    """Responds with the length of the request body; under /slow only once `release` is set."""

    def __init__(self, network: Network) -> None:
        self.release, self.waiting = threading.Event(), threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
                if self.path == "/slow":
                    backend.waiting.set()
                    backend.release.wait(PATIENCE)
                body = str(length).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = network.call(ThreadingHTTPServer, ("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of the host, which is its own authority, and its key."""
    files = directory / "tls.crt", directory / "tls.key"
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *key, *names, "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def manifests(port: int, directory: Path) -> None:
    """Writes the objects of the site into a directory, and its certificate beside them."""
    directory.mkdir()
    files = certificate(directory.parent)
    data = {file.name: base64.b64encode(file.read_bytes()).decode() for file in files}
    secret = {"type": "kubernetes.io/tls", "data": data}
    (directory / "site.yaml").write_text(yaml.safe_dump_all([*site(port), {**identity("v1", "Secret"), **secret}]))


def site(port: int) -> list[dict]:
    """An Ingress for all paths of the host, with its class, its Service and an endpoint on this port of 127.0.0.1."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec = {"ingressClassName": "nginx", "rules": [rule], "tls": [{"hosts": [HOST], "secretName": "web"}]}
    slice = identity("discovery.k8s.io/v1", "EndpointSlice")
    slice["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
    slice |= {"addressType": "IPv4", "ports": [{"port": port}], "endpoints": [{"addresses": ["127.0.0.1"]}]}
    ingress = identity("networking.k8s.io/v1", "Ingress") | {"spec": spec}
    ingress["metadata"]["annotations"] = {f"nginx.ingress.kubernetes.io/{name}": value for name, value in ANNOTATIONS.items()}
    service = identity("v1", "Service") | {"spec": {"ports": [{"port": 80}]}}
    return [ingress_class(), ingress, service, slice]


def ingress_class() -> dict:
    found = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"}}
    return found | {"spec": {"controller": "k8s.io/ingress-nginx"}}


def identity(version: str, kind: str) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web", "namespace": "default"}}


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    """A response on a plain port."""
    return exchange(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE), path)


def get_tls(authority: Path) -> tuple[int, bytes]:
    """A response on port 443, from the host that the certificate names."""
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPConnection(HOST)
    connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), PATIENCE), server_hostname=HOST)
    return exchange(connection, "/")


def exchange(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    try:
        connection.request("GET", path, headers={"Host": HOST})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ready(port: int) -> bool:
    """Whether the admin port says so."""
    try:
        return get(port, "/readyz")[0] == 200
    except OSError:
        return False


def objects(port: int) -> list[tuple[str, dict]]:
    """The site as requests of an API server: path of the collection, and object."""
    collections = {
        "IngressClass": "/apis/networking.k8s.io/v1/ingressclasses",
        "Ingress": "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
        "Service": "/api/v1/namespaces/default/services",
        "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    }
    return [(collections[found["kind"]], found) for found in site(port)]
