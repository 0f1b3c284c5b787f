"""The real ingress-nginx: its controller and its nginx with Lua, given the objects by a read-only API server.

Its paths are fixed, so it runs in a mount namespace of its own, with empty file systems over them: that needs root. The
directory of the build has

    nginx-ingress-controller             the controller
    prefix/sbin/nginx, prefix/lib        the patched nginx, LuaJIT and the Lua libraries (prefix/lib/lua)
    build/nginx/objs                     its dynamic modules, if they are not in prefix/modules
    build/ingress-nginx/rootfs/etc/nginx what the image has at /etc/nginx
    build/nginx/conf/mime.types
"""

import http.server
import json
import threading
import urllib.parse
import uuid

import manifests
import processes

# Resource: version, kind, whether it has a namespace.
KINDS = {
    "services": ("v1", "Service", True),
    "secrets": ("v1", "Secret", True),
    "configmaps": ("v1", "ConfigMap", True),
    "pods": ("v1", "Pod", True),
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
    "ingresses": ("networking.k8s.io/v1", "Ingress", True),
    "ingressclasses": ("networking.k8s.io/v1", "IngressClass", False),
}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "controller", "namespace": "ingress-nginx", "labels": {"app": "controller"}},
       "spec": {"nodeName": "node"}, "status": {"podIP": "127.0.0.1"}}
# The access log is a file, as those of the others are.
SETUP = """set -e
build=$1; shift
mkdir -p /etc/nginx /etc/ingress-controller /tmp/nginx /var/lib/nginx /var/log/nginx
for path in /etc/nginx /etc/ingress-controller /tmp/nginx /var/lib/nginx /var/log/nginx; do mount -t tmpfs tmpfs $path; done
cp -r "$build"/build/ingress-nginx/rootfs/etc/nginx/. /etc/nginx/
cp "$build"/build/nginx/conf/mime.types /etc/nginx/
mkdir -p /etc/nginx/modules /etc/nginx/geoip /var/lib/nginx/body /var/lib/nginx/proxy /var/lib/nginx/fastcgi
mkdir -p /etc/ingress-controller/ssl /etc/ingress-controller/auth /etc/ingress-controller/geoip /etc/ingress-controller/telemetry
cp "$build"/prefix/modules/*.so /etc/nginx/modules/ 2>/dev/null || cp "$build"/build/nginx/objs/*.so /etc/nginx/modules/ 2>/dev/null || true
touch /var/log/nginx/access.log
ln -s /dev/stderr /var/log/nginx/error.log
# nginx opens it once more, as another user.
chmod a+w /dev/stderr
chown -R www-data:www-data /etc/nginx /etc/ingress-controller /tmp/nginx /var/lib/nginx /var/log/nginx
exec setpriv --reuid=www-data --regid=www-data --clear-groups env HOME=/tmp "$@"
"""


def command(build, setting, ports, metrics):
    """Starts the API server and returns the command of the controller."""
    api = ApiServer([POD, *manifests.objects(setting)])
    status, stream, profiler, default, passthrough = processes.free_ports(5)
    prefix = build.resolve() / "prefix"
    environment = {
        "POD_NAME": "controller",
        "POD_NAMESPACE": "ingress-nginx",
        "NGINX_BINARY": prefix / "sbin" / "nginx",
        "LUA_PATH": f"{prefix}/lib/lua/?.lua;{prefix}/lib/lua/?/init.lua;;",
        "LUA_CPATH": f"{prefix}/lib/lua/?.so;;",
        "LD_LIBRARY_PATH": f"{prefix}/lib:{prefix}/lib/lua",
    }
    return [
        "env", *(f"{name}={value}" for name, value in environment.items()),
        "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "bash", "-c", SETUP, "ingress-nginx", build.resolve(),
        build.resolve() / "nginx-ingress-controller", f"--apiserver-host=http://127.0.0.1:{api.port}", f"--configmap={manifests.NAMESPACE}/settings",
        f"--http-port={ports['HTTP']}", f"--https-port={ports['HTTPS']}", f"--healthz-port={ports['ADMIN']}", f"--status-port={status}",
        f"--stream-port={stream}", f"--profiler-port={profiler}", f"--default-server-port={default}",
        f"--ssl-passthrough-proxy-port={passthrough}", "--update-status=false", "--disable-leader-election",
        f"--enable-metrics={str(metrics).lower()}", "--v=1",
    ]


class ApiServer:
    """Lists and watches of objects that never change; it ends with the program."""

    def __init__(self, objects):
        self.objects = {resource: [] for resource in KINDS}
        resources = {(version, kind): resource for resource, (version, kind, _) in KINDS.items()}
        spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                  for name in ("default", "ingress-nginx", manifests.NAMESPACE)]
        for item in [*spaces, *objects]:
            resource = resources[item["apiVersion"], item["kind"]]
            metadata = item["metadata"] | {"uid": str(uuid.uuid4()), "resourceVersion": "1", "generation": 1}
            if not KINDS[resource][2]:
                metadata.pop("namespace", None)
            self.objects[resource].append(item | {"metadata": metadata})
        handler = type("Handler", (ApiHandler,), {"objects": self.objects})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


class ApiHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects = None

    def do_GET(self):
        target = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(target.query))
        path = target.path.strip("/").split("/")
        if path == ["version"]:
            return self.respond(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
        path = path[2:] if path[0] == "api" else path[3:]
        namespace = path[1] if len(path) > 2 and path[0] == "namespaces" else None
        if namespace:
            path = path[2:]
        resource = path[0] if path else None
        if resource not in KINDS:
            return self.respond(404, failure(f"no resource {resource}"))
        items = [item for item in self.objects[resource] if namespace in (None, item["metadata"].get("namespace")) and selected(item, query)]
        version, kind, _ = KINDS[resource]
        if len(path) > 1:
            found = [item for item in items if item["metadata"]["name"] == path[1]]
            return self.respond(200, found[0]) if found else self.respond(404, failure(f"{resource} {path[1]} not found"))
        if query.get("watch") in ("1", "true"):
            return self.watch(items if query.get("sendInitialEvents") == "true" else None, version, kind)
        return self.respond(200, {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.respond(201, {})

    do_PATCH = do_PUT = do_POST

    def watch(self, initial, version, kind):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        for item in initial or ():
            self.event("ADDED", item)
        if initial is not None:
            self.event("BOOKMARK", {"kind": kind, "apiVersion": version, "metadata": {
                "resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}})
        # Nothing changes: until the client ends it.
        self.rfile.read(1)
        self.close_connection = True

    def event(self, kind, item):
        self.wfile.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        self.wfile.flush()

    def respond(self, status, item):
        body = json.dumps(item).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def selected(item, query):
    """Whether the labels of an object match the selector, of equalities and inequalities."""
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = term.replace("!=", "=").replace("==", "=").partition("=")
        if (labels.get(name) == value) == ("!=" in term):
            return False
    return True


def failure(message):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": message}
