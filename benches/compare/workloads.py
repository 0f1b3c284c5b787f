"""What is compared: the workloads, and who takes part in each."""

from dataclasses import dataclass

from load import Handshakes, Http1, Http2, Messages
from material import LARGE

# The three that "the best" is one of.
PEERS = ("nginx", "haproxy", "envoy")
# The proxies that serve every workload of the protocols.
ALL = ("headgate", *PEERS, "nginx-ingress", "ingress-nginx", "ingress-nginx-metrics")
NGINX_LIKE = ("headgate", "nginx", "nginx-ingress", "ingress-nginx", "ingress-nginx-metrics")
HOSTS = 20_000
LARGE_STRETCH = 3
GRPC = "/bench.Echo/Unary"


@dataclass(frozen=True)
class Contestant:
    """A column of a workload: a proxy, and what is asked of it there."""

    name: str
    proxy: str
    path: str
    load: object


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    path: str
    load: object
    proxies: tuple[str, ...] = ALL
    # Columns that differ in more than the proxy.
    others: tuple[Contestant, ...] = ()
    # Whether latency is measured as well.
    paced: bool = True

    def contestants(self, running):
        """Those of the running proxies that take part."""
        own = tuple(Contestant(name, name, self.path, self.load) for name in self.proxies)
        renamed = {other.name for other in self.others}
        return [one for one in (*own, *self.others) if one.proxy in running and (one in self.others or one.name not in renamed)]


def policy(name, title, host, headers=()):
    """A route with policies beside the same request to the same Service without."""
    plain = Contestant("headgate, without", "headgate", "/small", Http1(headers=("Host: localhost", *headers)))
    return Workload(name, title, "/api/small" if name == "policies" else "/small", Http1(headers=(f"Host: {host}", *headers)),
                    proxies=("headgate",), others=(plain,), paced=False)


def hosts():
    one = Contestant("headgate, 1 host", "headgate", "/small", Http1(hosts=1))
    many = Contestant("headgate", "headgate-hosts", "/small", Http1(hosts=HOSTS))
    return Workload("hosts", f"100 bytes, {HOSTS:,} hosts in turn instead of 1", "/small", Http1(), proxies=(), others=(many, one), paced=False)


def upload_buffered():
    """nginx twice: with memory for a whole body, and with its default of 8 KiB, then a file. HAProxy and Envoy stream by default."""
    load = Http1(upload=LARGE, stretch=LARGE_STRETCH)
    memory = Contestant("nginx", "nginx", "/upload/memory", load)
    file = Contestant("nginx-file", "nginx", "/upload/file", load)
    return Workload("upload-buffered", "1 MiB upload, read whole first", "/upload/file", load, others=(memory, file))


FLOOR = (*ALL, "floor")
COOKIE = "@AFFINITY_COOKIE@"
WORKLOADS = [
    Workload("h1-64", "100 bytes, HTTP/1.1, 64 connections", "/small", Http1(), proxies=FLOOR),
    Workload("h1-1000", "100 bytes, HTTP/1.1, 1,000 connections", "/small", Http1(connections=1000), proxies=FLOOR),
    Workload("tls-64", "100 bytes, HTTP/1.1 over TLS, 64 connections", "/small", Http1(tls=True)),
    Workload("handshake-ecdsa", "TLS handshake (ECDSA) and a request", "/small", Handshakes()),
    Workload("handshake-rsa", "TLS handshake (RSA) and a request", "/small", Handshakes(host="rsa.localhost")),
    Workload("handshake-resumed", "resumed TLS handshake and a request", "/small", Handshakes(resumed=True)),
    Workload("h2-1", "100 bytes, HTTP/2 over TLS, 1 connection", "/small", Http2(1), paced=False),
    Workload("h2-8", "100 bytes, HTTP/2 over TLS, 8 connections", "/small", Http2(8)),
    Workload("h2-64", "100 bytes, HTTP/2 over TLS, 64 connections", "/small", Http2(64), paced=False),
    Workload("grpc", "gRPC unary over TLS, 8 connections", GRPC, Http2(8, grpc=True)),
    Workload("64k", "64 KiB response", "/64k", Http1(), proxies=FLOOR),
    Workload("64k-tls", "64 KiB response over TLS", "/64k", Http1(tls=True)),
    Workload("1m", "1 MiB response", "/1m", Http1(stretch=LARGE_STRETCH), proxies=FLOOR),
    Workload("1m-tls", "1 MiB response over TLS", "/1m", Http1(tls=True, stretch=LARGE_STRETCH)),
    Workload("gzip", "64 KiB of JSON, compressed with gzip level 1", "/64k.json", Http1(headers=("Accept-Encoding: gzip",)), proxies=NGINX_LIKE),
    upload_buffered(),
    Workload("upload-streamed", "1 MiB upload, streamed", "/upload/stream", Http1(upload=LARGE, stretch=LARGE_STRETCH)),
    Workload("ws", "WebSocket echo of 100 bytes, 64 connections", "/ws", Messages()),
    hosts(),
    policy("policies", "rewrite, CORS, rate limit and affinity instead of none", "policies.localhost",
           ("Origin: https://shop.example", f"Cookie: {COOKIE}")),
    policy("auth", "auth-url with a cached response instead of none", "auth.localhost", ("Authorization: Basic YmVuY2g6YmVuY2g=",)),
    policy("basic", "verified bcrypt password instead of none", "basic.localhost", ("Authorization: Basic YmVuY2g6YmVuY2g=",)),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}
