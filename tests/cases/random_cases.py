#!/usr/bin/env python3
"""Prints random cases: Ingresses with combined annotations and settings, and requests for them, without expectations.

usage: random_cases.py [--seed N] [--cases N] [--requests N] > FILE

Two programs that get these cases must answer alike. The same seed prints the same cases. What time or chance decides (weights,
several endpoints, rates near their limit) is left out, and so are canaries of a Service that other paths have, too: ingress-nginx
splits those as well.
"""

import argparse
import random

import yaml

PREFIX = "nginx.ingress.kubernetes.io/"
HOSTS = ["a.test", "b.test", "*.c.test", "www.d.test", None]
USERS = "jane:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"  # the password is "password"
BOOL = ["true", "false"]

# Plain paths by type, and those of regex mode.
PATHS = ["/", "/a", "/a/", "/a/b", "/A", "/a.b", "/abc", "/a%20b", "/x/y/z"]
REGEX_PATHS = ["/", "/a", "/a(/|$)(.*)", "/(b|c)/?(.*)", "/a/[0-9]+", "/x/.*", "/a.b", "/A"]

# Values by annotation: usual ones, and odd ones that are ignored, refused or close a route.
ANNOTATIONS = {
    "rewrite-target": ["/", "/new", "/$1", "/$2", "/$1/tail", "/new?q=1"],
    "use-regex": BOOL,
    "app-root": ["/home", "home", "/a/b"],
    "server-alias": ["alias.test", "alias.test,other.test", "b.test"],
    "default-backend": ["fallback", "nothing", "empty"],
    "x-forwarded-prefix": ["/prefix", "/"],
    "service-upstream": ["false"],
    "ssl-redirect": BOOL,
    "force-ssl-redirect": BOOL,
    "preserve-trailing-slash": BOOL,
    "use-port-in-redirects": BOOL,
    "relative-redirects": BOOL,
    "permanent-redirect": ["https://new.test/x", "http://new.test", "/x", "ftp://new.test"],
    "permanent-redirect-code": ["308", "302", "200", "abc"],
    "temporal-redirect": ["https://other.test/y", "other"],
    "temporal-redirect-code": ["307", "303", "404"],
    "from-to-www-redirect": BOOL,
    "custom-http-errors": ["404", "404,503", "401,403,502", "abc", "200"],
    "disable-proxy-intercept-errors": BOOL,
    "limit-rps": ["100", "0", "abc", "-1"],
    "limit-rpm": ["600", "1"],
    "limit-connections": ["10", "0"],
    "limit-burst-multiplier": ["3", "0"],
    "limit-allowlist": ["127.0.0.0/8", "10.0.0.0/8"],
    "limit-rate": ["1000", "0"],
    "limit-rate-after": ["100"],
    "affinity": ["cookie", "ip"],
    "affinity-mode": ["persistent", "balanced", "odd"],
    "session-cookie-name": ["route", "my-cookie"],
    "session-cookie-path": ["/", "/a"],
    "session-cookie-domain": ["a.test", ".test"],
    "session-cookie-max-age": ["3600", "abc"],
    "session-cookie-secure": BOOL,
    "session-cookie-samesite": ["None", "Lax", "strict"],
    "session-cookie-conditional-samesite-none": BOOL,
    "load-balance": ["ewma", "round_robin", "odd"],
    "upstream-hash-by": ["$request_uri", "$remote_addr", "${host}$uri", "$http_x_a"],
    "auth-type": ["basic", "odd"],
    "auth-secret": ["users", "default/users", "missing", "team/users"],
    "auth-realm": ["Staff only", "x"],
    "auth-url": ["http://127.0.0.1:${PORT:auth}/check", "http://127.0.0.1:${PORT:auth}/check?x-status=401",
                 "http://127.0.0.1:${PORT:auth}/check?x-status=403", "nonsense", "http://127.0.0.1:1/"],
    "auth-method": ["POST", "GET"],
    "auth-signin": ["https://login.test/start", "http://login.test/?a=$arg_q"],
    "auth-signin-redirect-param": ["next"],
    "auth-response-headers": ["X-Auth-User", "x-echo-backend, X-B", "bad header"],
    "auth-request-redirect": ["https://back.test/"],
    "auth-always-set-cookie": BOOL,
    "auth-proxy-set-headers": ["default/hdrs", "hdrs", "missing"],
    "enable-global-auth": BOOL,
    "satisfy": ["any", "all"],
    "allowlist-source-range": ["127.0.0.1/32", "10.0.0.0/8", "10.0.0.0/8,127.0.0.1", "nonsense"],
    "whitelist-source-range": ["127.0.0.0/8", "192.168.0.0/16"],
    "denylist-source-range": ["127.0.0.0/8", "10.0.0.0/8", "x"],
    "enable-cors": BOOL,
    "cors-allow-origin": ["*", "https://o.test", "https://*.o.test, http://p.test:8080", "odd"],
    "cors-allow-methods": ["GET, PUT", "odd/"],
    "cors-allow-headers": ["X-A, X-B", "*"],
    "cors-expose-headers": ["X-C", "*"],
    "cors-allow-credentials": BOOL,
    "cors-max-age": ["600", "-1"],
    "custom-headers": ["default/hdrs", "missing"],
    "upstream-vhost": ["inner.test", "$host", "$service_name.$namespace.svc"],
    "connection-proxy-header": ["keep-alive", "close"],
    "proxy-body-size": ["10", "1m", "0", "abc"],
    "client-body-buffer-size": ["8k", "odd"],
    "proxy-buffering": ["on", "off", "odd"],
    "proxy-buffer-size": ["8k", "1x"],
    "proxy-connect-timeout": ["3", "abc"],
    "proxy-read-timeout": ["3", "0x"],
    "proxy-send-timeout": ["3"],
    "proxy-next-upstream": ["error timeout http_503", "off", "http_404 non_idempotent", "odd"],
    "proxy-next-upstream-tries": ["1", "2", "0"],
    "proxy-next-upstream-timeout": ["2"],
    "proxy-request-buffering": ["on", "off"],
    "proxy-http-version": ["1.0", "1.1", "2"],
    "proxy-cookie-domain": ["inner.test outer.test", "off"],
    "proxy-cookie-path": ["/ /new", "/a /b", "off"],
    "proxy-redirect-from": ["http://inner.test/", "default", "off", "/in/"],
    "proxy-redirect-to": ["http://outer.test/", "/out/"],
    "backend-protocol": ["HTTP", "http", "odd", "AUTO_HTTP"],
    "enable-access-log": BOOL,
    "enable-rewrite-log": BOOL,
    "http2-push-preload": BOOL,
    "proxy-ssl-verify": ["on", "off"],
    "mirror-target": ["http://127.0.0.1:${PORT:mirror}$request_uri", "http://127.0.0.1:${PORT:mirror}/m"],
    "mirror-host": ["mirror.test"],
    "mirror-request-body": ["off", "on"],
    "ssl-ciphers": ["HIGH:!aNULL", "ECDHE-RSA-AES128-GCM-SHA256"],
    "ssl-prefer-server-ciphers": BOOL,
    "unknown-annotation": ["x"],
}
CANARY = {
    "canary-by-header": ["X-Canary"],
    "canary-by-header-value": ["yes"],
    "canary-by-header-pattern": ["^y.s$", "[0-9]+"],
    "canary-by-cookie": ["canary"],
    "canary-weight": ["0", "100"],
}
# Annotations that act together are drawn together.
GROUPS = [
    ["auth-type", "auth-secret", "auth-realm", "satisfy", "allowlist-source-range"],
    ["auth-url", "auth-method", "auth-signin", "auth-response-headers", "auth-signin-redirect-param", "auth-always-set-cookie"],
    ["enable-cors", "cors-allow-origin", "cors-allow-methods", "cors-allow-credentials", "cors-expose-headers", "cors-max-age"],
    ["affinity", "affinity-mode", "session-cookie-name", "session-cookie-path", "session-cookie-max-age", "session-cookie-samesite"],
    ["rewrite-target", "use-regex", "x-forwarded-prefix", "app-root"],
    ["permanent-redirect", "permanent-redirect-code", "temporal-redirect", "relative-redirects"],
    ["ssl-redirect", "force-ssl-redirect", "preserve-trailing-slash", "use-port-in-redirects"],
    ["custom-http-errors", "default-backend", "disable-proxy-intercept-errors"],
    ["proxy-redirect-from", "proxy-redirect-to", "proxy-cookie-path", "proxy-cookie-domain"],
    ["mirror-target", "mirror-host", "mirror-request-body"],
]
SETTINGS = {
    "ssl-redirect": ["false"],
    "force-ssl-redirect": ["true"],
    "use-forwarded-headers": ["true"],
    "compute-full-forwarded-for": ["true"],
    "forwarded-for-header": ["X-Real"],
    "hsts": ["false"],
    "hsts-max-age": ["100"],
    "hsts-preload": ["true"],
    "hide-headers": ["X-Secret"],
    "add-headers": ["default/hdrs"],
    "proxy-set-headers": ["default/hdrs"],
    "custom-http-errors": ["404,503", "418"],
    "whitelist-source-range": ["127.0.0.0/8", "10.0.0.0/8"],
    "denylist-source-range": ["10.0.0.0/8"],
    "block-cidrs": ["10.0.0.0/8", "127.0.0.0/8"],
    "block-user-agents": ["bad", "~*curl"],
    "block-referers": ["~spam"],
    "server-tokens": ["true"],
    "use-gzip": ["true"],
    "gzip-min-length": ["10"],
    "enable-underscores-in-headers": ["true"],
    "ignore-invalid-headers": ["false"],
    "http-redirect-code": ["301", "307"],
    "relative-redirects": ["true"],
    "allow-backend-server-header": ["true"],
    "proxy-body-size": ["20"],
    "proxy-real-ip-cidr": ["127.0.0.0/8", "10.0.0.0/8"],
    "use-proxy-protocol": ["false"],
    "generate-request-id": ["false"],
    "disable-proxy-intercept-errors": ["true"],
    "global-auth-url": ["http://127.0.0.1:${PORT:auth}/global", "http://127.0.0.1:${PORT:auth}/global?x-status=401"],
    "no-tls-redirect-locations": ["/a"],
    "no-auth-locations": ["/a"],
    "merge-slashes": ["false"],
    "default-type": ["text/plain"],
    "strict-validate-path-type": ["false"],
    "annotations-risk-level": ["Critical", "Low"],
    "limit-req-status-code": ["429"],
    "proxy-next-upstream": ["error http_503"],
}
HEADERS = [
    {"Origin": "https://o.test"},
    {"Origin": "https://x.o.test", "Access-Control-Request-Method": "PUT"},
    {"X-Canary": "always"},
    {"X-Canary": "yes"},
    {"X-Canary": "never", "Cookie": "canary=always"},
    {"Cookie": "canary=always; route=abc"},
    {"Authorization": "Basic amFuZTpwYXNzd29yZA=="},
    {"Authorization": "Basic amFuZTp3cm9uZw=="},
    {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "b.test", "X-Forwarded-Proto": "myproto"},
    {"X-Real": "10.9.9.9", "X_Under": "1", "X.Dot": "2"},
    {"Accept-Encoding": "gzip"},
    {"User-Agent": "curl/8", "Referer": "http://spam.test/"},
    {"User-Agent": "bad", "Accept": "text/html"},
    {"X-Echo-Backend": "mine", "X-Auth-User": "root"},
    {},
    {},
    {},
]
QUERIES = ["", "", "", "?q=1", "?x-status=404", "?x-status=503", "?x-status=401", "?x-set=Location:http://inner.test/z",
           "?x-set=Location:/in/z&x-status=302", "?x-set=Set-Cookie:s%3D1;%20Path%3D/;%20Domain%3Dinner.test",
           "?x-set=X-Secret:1", "?x-size=3000", "?a=%2F%20&b"]
METHODS = ["GET"] * 8 + ["POST", "PUT", "HEAD", "OPTIONS", "DELETE"]

OBJECTS = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: users}}
stringData: {{auth: "{USERS.strip()}\\n"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: hdrs}}
data: {{X-Added: one, X-Request-Of: "$host"}}
"""


def annotations(rng, regex):
    """Zero to six annotations."""
    names = set()
    if rng.random() < 0.6:
        group = rng.choice(GROUPS)
        names.update(rng.sample(group, rng.randint(1, len(group))))
        if rng.random() < 0.9:
            names.add(group[0])
    names.update(rng.sample(sorted(ANNOTATIONS), rng.choice([0, 0, 1, 1, 2, 3])))
    chosen = {}
    for name in sorted(names):
        values = ANNOTATIONS[name]
        # The first values are the usual ones.
        at = min(int(rng.expovariate(1.2)), len(values) - 1)
        chosen[PREFIX + name] = values[at]
    if regex:
        chosen[PREFIX + "use-regex"] = "true"
    elif chosen.get(PREFIX + "use-regex") == "true":
        del chosen[PREFIX + "use-regex"]
    return chosen


def backend(rng):
    name = rng.choice(["app", "app", "app", "other", "empty", "down"])
    return {"service": {"name": name, "port": {"number": 80}}}


def ingress(rng, number, host):
    regex = rng.random() < 0.2
    paths = []
    for path in rng.sample(REGEX_PATHS if regex else PATHS, rng.randint(1, 3)):
        kind = "ImplementationSpecific" if regex else rng.choice(["Prefix", "Prefix", "Exact", "ImplementationSpecific"])
        paths.append({"path": path, "pathType": kind, "backend": backend(rng)})
    rule = {"http": {"paths": paths}}
    if host:
        rule["host"] = host
    spec = {"ingressClassName": "nginx", "rules": [rule]}
    if host == "a.test" and rng.random() < 0.7:
        spec["tls"] = [{"hosts": ["a.test"], "secretName": "a-tls"}]
    if rng.random() < 0.05:
        spec["defaultBackend"] = backend(rng)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"i{number}",
            "namespace": "default",
            "creationTimestamp": f"2026-01-01T00:00:{number:02}Z",
            "annotations": annotations(rng, regex),
        },
        "spec": spec,
    }


def canary(rng, number, of):
    rule = of["spec"]["rules"][0]
    for path in rule["http"]["paths"]:
        path["backend"] = {"service": {"name": "split", "port": {"number": 80}}}
    paths = [{**path, "backend": {"service": {"name": "canary", "port": {"number": 80}}}} for path in rule["http"]["paths"]]
    names = rng.sample(sorted(CANARY), rng.randint(1, 2))
    values = {PREFIX + name: rng.choice(CANARY[name]) for name in names}
    values[PREFIX + "canary"] = "true"
    return {
        **of,
        "metadata": {**of["metadata"], "name": f"i{number}", "annotations": values,
                     "creationTimestamp": f"2026-01-01T00:00:{number:02}Z"},
        "spec": {"ingressClassName": "nginx", "rules": [{**rule, "http": {"paths": paths}}]},
    }


def request(rng, hosts, paths):
    host = rng.choice(hosts)
    host = {"*.c.test": "x.c.test", None: "nowhere.test"}.get(host, host)
    host = rng.choice([host] * 8 + ["alias.test", "d.test", "unknown.test", host.upper()])
    path = rng.choice(paths)
    path = {"/a(/|$)(.*)": "/a/rest/x", "/(b|c)/?(.*)": "/c/rest", "/a/[0-9]+": "/a/12", "/x/.*": "/x/q"}.get(path, path)
    path += rng.choice(["", "", "", "/", "/more", "x"]) if path != "/" else rng.choice(["", "", "any", "any/more"])
    out = {"host": host, "path": path + rng.choice(QUERIES), "method": rng.choice(METHODS)}
    if headers := rng.choice(HEADERS):
        out["headers"] = headers
    if out["method"] in ("POST", "PUT"):
        out["body"] = rng.choice(["hello", "a longer body of a request"])
    if rng.random() < 0.25:
        out["tls"] = True
    if rng.random() < 0.1:
        out["from"] = "127.0.0.9"
    return out


def case(rng, name, requests):
    ingresses = []
    for number in range(rng.randint(2, 5)):
        ingresses.append(ingress(rng, number, rng.choice(HOSTS)))
    if rng.random() < 0.3:
        ingresses.append(canary(rng, len(ingresses), rng.choice(ingresses)))
    hosts = [rule.get("host") for i in ingresses for rule in i["spec"]["rules"]]
    paths = [path["path"] for i in ingresses for rule in i["spec"]["rules"] for path in rule["http"]["paths"]] + ["/"]
    settings = {}
    if rng.random() < 0.4:
        for key in rng.sample(sorted(SETTINGS), rng.randint(1, 2)):
            settings[key] = rng.choice(SETTINGS[key])
    return {
        "id": name,
        "what": "random",
        "config": settings,
        "flags": ["--default-backend-service=default/fallback"],
        "services": {
            "app": {"ports": {80: ["app-1"]}},
            "other": {"ports": {80: ["other-1"]}},
            "split": {"ports": {80: ["split-1"]}},
            "canary": {"ports": {80: ["canary-1"]}},
            "fallback": {"ports": {80: ["fallback-1"]}},
            "empty": {"ports": {80: []}},
            "down": {"ports": {80: [{"name": "down-1", "kind": "close"}]}},
        },
        "certs": {"a-tls": {"names": ["a.test"]}},
        "objects": OBJECTS + "---\n" + yaml.safe_dump_all(ingresses, sort_keys=False),
        "requests": [request(rng, hosts, paths) for _ in range(requests)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--requests", type=int, default=30)
    args = parser.parse_args()
    cases = []
    for number in range(args.cases):
        seed = args.seed * 100_000 + number
        cases.append(case(random.Random(seed), f"random/{seed}", args.requests))
    print(yaml.safe_dump(cases, sort_keys=False, width=200))


if __name__ == "__main__":
    main()
