"""Backends of the cases: each listens on a port of its own and records what it receives."""

import base64
import hashlib
import json
import socket
import socketserver
import ssl
import threading
import time
from urllib.parse import parse_qsl, quote, urlsplit

import fastcgi

BLOCK = b"x" * (64 << 10)
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE = 10


class Backends:
    """Running backends, and the requests that they received."""

    def __init__(self):
        self.servers = []
        self.received = []
        self.changed = threading.Condition()
        # Responses to `x-gate` wait for it.
        self.gate = threading.Event()

    def start(self, name, kind="echo", certificate=None):
        """Starts a backend and returns its port. Nothing listens on that of the kind `refuse`."""
        if kind == "refuse":
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                return unused.getsockname()[1]
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.daemon_threads = True
        server.request_queue_size = 512
        server.server_bind()
        server.server_activate()
        server.name, server.kind, server.backends, server.tls = name, kind, self, None
        if kind.startswith("tls-"):
            server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.tls.load_cert_chain(certificate.certificate, certificate.key)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.servers.append(server)
        return server.server_address[1]

    def record(self, request):
        with self.changed:
            self.received.append(request)
            self.changed.notify_all()

    def of(self, name, since, count):
        """What the backend received since then; waits a while for at least `count` requests."""
        def matching():
            return [one for one in self.received[since:] if one["backend"] == name]

        with self.changed:
            self.changed.wait_for(lambda: len(matching()) >= count, timeout=PATIENCE)
            return matching()

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def oauth2_proxy(request):
    """oauth2-proxy with --set-xauthrequest: 202 for its session, else 401."""
    if urlsplit(request["path"]).path != "/oauth2/auth":
        return 404, {}
    if "_oauth2_proxy=good" not in request["headers"].get("cookie", ""):
        return 401, {}
    return 202, {"X-Auth-Request-User": "alice", "X-Auth-Request-Email": "alice@example.com", "Gap-Auth": "alice@example.com"}


def authelia(request):
    """The endpoint AuthRequest of Authelia, whose policy forbids one path to everybody."""
    headers = request["headers"]
    url, method = headers.get("x-original-url"), headers.get("x-original-method")
    if request["path"] != "/api/authz/auth-request" or not url or not method:
        return 400, {}
    if urlsplit(url).path == "/forbidden":
        return 403, {}
    if "authelia_session=good" not in headers.get("cookie", ""):
        return 401, {"Location": f"https://auth.example.com/?rd={quote(url, safe='')}&rm={method}"}
    return 200, {
        "Remote-User": "alice", "Remote-Name": "Alice A.", "Remote-Groups": "admins,dev", "Remote-Email": "alice@example.com",
    }


STAND_INS = {"oauth2-proxy": oauth2_proxy, "authelia": authelia}


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self):
        if self.server.kind == "close":
            return
        try:
            if self.server.tls:
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            if self.server.kind == "hang":
                self.request.recv(1)
                time.sleep(PATIENCE)
                return
            if self.server.kind == "fcgi":
                fastcgi.serve(self.request, self.server.name, self.server.backends.record)
                return
            stream = self.request.makefile("rb")
            while self.exchange(stream):
                pass
        except (OSError, ValueError):
            # The proxy closed the connection or sent something else than HTTP: the case shows it.
            return

    def exchange(self, stream):
        """Serves one request; true if another may follow."""
        line = stream.readline().decode("latin1").rstrip("\r\n")
        if not line:
            return False
        method, target, version = line.split(" ", 2)
        headers = {}
        while field := stream.readline().decode("latin1").rstrip("\r\n"):
            name, value = (part.strip() for part in field.split(":", 1))
            known = headers.get(name.lower())
            headers[name.lower()] = value if known is None else f"{known}, {value}"
        if "websocket" in headers.get("upgrade", "").lower() and "sec-websocket-key" in headers:
            return self.websocket(stream, headers)
        body = self.body(stream, headers)
        request = {
            "backend": self.server.name, "method": method, "path": target, "host": headers.get("host"),
            "headers": headers, "body": body[:65536].decode("latin1"),
        }
        self.server.backends.record(request)
        self.respond(request)
        return "close" not in headers.get("connection", "").lower() and version == "HTTP/1.1"

    def body(self, stream, headers):
        if headers.get("expect", "").lower() == "100-continue":
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return stream.read(int(headers.get("content-length", 0)))
        body = b""
        while length := int(stream.readline().split(b";")[0], 16):
            body += stream.read(length)
            stream.readline()
        while stream.readline() not in (b"\r\n", b""):
            pass
        return body

    def respond(self, request):
        """Parameters of the query control the response: x-status, x-delay, x-gate, x-set, x-body, x-size and x-endless."""
        pairs = parse_qsl(urlsplit(request["path"]).query, keep_blank_values=True)
        query = dict(pairs)
        kind = self.server.kind
        stand_in = STAND_INS.get(kind.removeprefix("tls-"))
        if stand_in:
            status, own = stand_in(request)
            query["x-status"] = status
            pairs = [("x-set", f"{name}:{value}") for name, value in own.items()]
        status = int(query.get("x-status") or (kind.split(":")[1] if kind.startswith("status:") else 200))
        time.sleep(int(query.get("x-delay", 0)) / 1000)
        if "x-gate" in query:
            self.server.backends.gate.wait(PATIENCE)
        if "x-endless" in query:
            self.request.sendall(f"HTTP/1.1 200 X\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
            while True:
                self.request.sendall(BLOCK)
        if "x-size" in query:
            content = b"x" * int(query["x-size"])
        elif "x-body" in query:
            content = query["x-body"].encode()
        else:
            content = json.dumps(request).encode()
        fields = [tuple(value.split(":", 1)) for name, value in pairs if name == "x-set"]
        head = [f"HTTP/1.1 {status} X", f"X-Echo-Backend: {self.server.name}"]
        if not any(name.lower() == "content-type" for name, _ in fields):
            head.append("Content-Type: application/json")
        empty = status in (204, 304)
        if not empty:
            head.append(f"Content-Length: {len(content)}")
        head += [f"{name.strip()}: {value.strip()}" for name, value in fields]
        hidden = empty or request["method"] == "HEAD"
        self.request.sendall("\r\n".join(head).encode("latin1") + b"\r\n\r\n" + (b"" if hidden else content))

    def websocket(self, stream, headers):
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + WEBSOCKET).digest())
        self.request.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept + b"\r\nX-Echo-Backend: " + self.server.name.encode() + b"\r\n\r\n")
        kind, length = stream.read(2)
        mask = stream.read(4)
        text = bytes(byte ^ mask[index % 4] for index, byte in enumerate(stream.read(length & 127)))
        self.request.sendall(bytes([kind, len(text)]) + text)
        return False
