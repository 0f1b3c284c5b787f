"""The objects that Headgate and ingress-nginx serve: one Service of two endpoints, under several policies, on several hosts."""

import base64
import json

NAMESPACE = "bench"
ANNOTATIONS = "nginx.ingress.kubernetes.io/"
# The user bench with the password bench, bcrypt with cost 10.
USERS = "bench:$2y$10$vrNbYpmXIDJWEeuouoMzzOzHl79/G1r2b0MEWXNiEFkuco04ETxJW"
POLICIES = {
    "use-regex": "true",
    "rewrite-target": "/$2",
    "enable-cors": "true",
    "cors-allow-origin": "https://shop.example",
    "limit-rps": "1000000",
    "affinity": "cookie",
}


def objects(setting, hosts=0):
    """All objects; with `hosts` as many more Ingresses, each of a host of its own."""
    values = setting.values
    yield {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
           "spec": {"controller": "k8s.io/ingress-nginx"}}
    yield named("v1", "ConfigMap", "settings", data={
        "use-gzip": "true", "keep-alive-requests": "100000000", "worker-processes": "1", "proxy-body-size": "2m",
        "ssl-redirect": "false",
    })
    for certificate in ("ecdsa", "rsa"):
        yield named("v1", "Secret", certificate, type="kubernetes.io/tls", data={
            "tls.crt": encoded(setting.directory / f"{certificate}.crt"), "tls.key": encoded(setting.directory / f"{certificate}.key")})
    yield named("v1", "Secret", "users", type="Opaque", data={"auth": base64.b64encode(USERS.encode()).decode()})
    yield from service("backend", values["UPSTREAM_A"], values["UPSTREAM_B"])
    yield from service("grpc", values["UPSTREAM_GRPC_A"], values["UPSTREAM_GRPC_B"])
    yield from service("ws", values["UPSTREAM_WS"])
    yield ingress("localhost", "localhost", certificate="ecdsa")
    yield ingress("rsa", "rsa.localhost", certificate="rsa")
    yield ingress("stream", "localhost", path="/upload/stream", annotations={"proxy-request-buffering": "off"})
    yield ingress("ws", "localhost", path="/ws", backend="ws")
    yield ingress("grpc", "localhost", path="/bench.Echo", backend="grpc", annotations={"backend-protocol": "GRPC"})
    yield ingress("policies", "policies.localhost", path="/api(/|$)(.*)", kind="ImplementationSpecific", annotations=POLICIES)
    yield ingress("auth", "auth.localhost", annotations={
        "auth-url": f"http://127.0.0.1:{values['UPSTREAM_B']}/small", "auth-cache-key": "$http_authorization",
        "auth-cache-duration": "200 10m"})
    yield ingress("basic", "basic.localhost", annotations={"auth-type": "basic", "auth-secret": "users"})
    for number in range(max(hosts, 1)):
        yield ingress(f"h{number}", f"h{number}.example")


def write(setting, directory, hosts=0):
    """Writes the objects to a new directory, in files of moderate size."""
    directory.mkdir()
    documents = [f"---\n{json.dumps(item)}\n" for item in objects(setting, hosts)]
    for start in range(0, len(documents), 2000):
        (directory / f"{start:06}.yaml").write_text("".join(documents[start : start + 2000]))


def ingress(name, host, path="/", kind="Prefix", backend="backend", certificate=None, annotations=None):
    target = {"service": {"name": backend, "port": {"number": 80}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": [{"path": path, "pathType": kind, "backend": target}]}}]}
    if certificate:
        spec["tls"] = [{"hosts": [host], "secretName": certificate}]
    item = named("networking.k8s.io/v1", "Ingress", name, spec=spec)
    item["metadata"]["annotations"] = {ANNOTATIONS + key: value for key, value in (annotations or {}).items()}
    return item


def service(name, *ports):
    """A Service, and a slice for each endpoint: they differ in the port."""
    yield named("v1", "Service", name, spec={
        "clusterIP": "10.96.0.10", "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]})
    for number, port in enumerate(ports):
        item = named("discovery.k8s.io/v1", "EndpointSlice", f"{name}-{number}", addressType="IPv4",
                     ports=[{"name": "http", "port": port, "protocol": "TCP"}],
                     endpoints=[{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}}])
        item["metadata"]["labels"] = {"kubernetes.io/service-name": name}
        yield item


def named(version, kind, name, **rest):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **rest}


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()
