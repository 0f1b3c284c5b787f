#!/usr/bin/env python3
"""Prints cases that set each annotation and each key of the ConfigMap to usual, odd and invalid values, without expectations.

usage: sweep_cases.py settings|annotations [--together N] [--only NAME ...] > FILE

Two programs that get these cases must answer alike. A case has N keys, or N annotations that each have a host of their own; use 1
where a program does not load one of the values. What time or chance decides is left out.
"""

import argparse

import yaml

PREFIX = "nginx.ingress.kubernetes.io/"

# Values of each kind: valid, odd, invalid. Those that stop ingress-nginx from loading its configuration are left out.
BOOL = ["true", "false", "True", "yes"]
SWITCH = ["on", "off", "On"]
NUMBER = ["2", "0", "abc", " 3 ", "+4"]
SIZE = ["8k", "8K", "16384"]
CIDRS = ["127.0.0.1/32", "10.0.0.0/8, 127.0.0.1", "10.0.0.0/8", "10.0.0.0/8,"]
PATH = ["/new", "/a b", "new", "/a?b=c"]
WORD = ["x-other", "bad header", "odd;"]
TIME = ["5", "5s", "abc"]
CIPHERS = ["ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "HIGH:!aNULL"]
AUTH = "http://127.0.0.1:${PORT:auth}/check"

SETTINGS = {
    "annotations-risk-level": ["Low", "Medium", "critical", "odd"],
    "annotation-value-word-blocklist": ["enable-cors", "o.test,x", "127", ""],
    "allow-cross-namespace-resources": BOOL,
    "strict-validate-path-type": BOOL,
    "global-allowed-response-headers": ["X-Added,X-Request-Of", "x-added", " X-Added , X-Request-Of", "X-Added;"],
    "block-cidrs": ["10.0.0.0/8", "127.0.0.9", "127.0.0.9/32,"],
    "block-user-agents": ["bad", "~*CURL", "~curl/8", "curl/8,x"],
    "block-referers": ["http://spam.test/", "~*SPAM", "~spam$"],
    "whitelist-source-range": CIDRS,
    "denylist-source-range": CIDRS,
    "no-auth-locations": ["/a", "/", "a", " /a , /b"],
    "custom-http-errors": ["503", "404, 503", "302", "abc", "200", "600"],
    "disable-proxy-intercept-errors": BOOL,
    "global-auth-url": [AUTH, AUTH + "?x-status=401", AUTH + "?x-status=302", "nonsense", "http://$host/"],
    "global-auth-method": ["POST", "odd", "get"],
    "global-auth-signin": ["https://login.test/", "login.test", "http://login.test/?rd=x"],
    "global-auth-signin-redirect-param": ["next", "a b"],
    "global-auth-response-headers": ["X-Echo-Backend", "bad header", "x-echo-backend,"],
    "global-auth-request-redirect": ["https://back.test/", "$host"],
    "global-auth-cache-key": ["$remote_user", "a b"],
    "global-auth-cache-duration": ["200 5m", "200 202 1h, 401 30m", "abc"],
    "global-auth-always-set-cookie": BOOL,
    "hide-headers": ["X-Secret,x-other", "x-secret"],
    "allow-backend-server-header": BOOL,
    "server-tokens": BOOL,
    "generate-request-id": BOOL,
    "proxy-add-original-uri-header": BOOL,
    "proxy-set-headers": ["default/hdrs", "hdrs", "default/missing", "a b"],
    "add-headers": ["default/hdrs", "hdrs", "default/missing", "a b"],
    "enable-underscores-in-headers": BOOL,
    "ignore-invalid-headers": BOOL,
    "ssl-protocols": ["TLSv1.2", "TLSv1.3", "TLSv1.3 TLSv1.2"],
    "ssl-ciphers": CIPHERS,
    "hsts": BOOL,
    "hsts-include-subdomains": BOOL,
    "hsts-max-age": NUMBER,
    "hsts-preload": BOOL,
    "ssl-ecdh-curve": ["auto", "prime256v1", "X25519:secp384r1", "odd"],
    "ssl-session-cache": BOOL,
    "ssl-session-cache-size": ["10m", "1M"],
    "ssl-session-timeout": ["10m", "1h", "odd"],
    "ssl-session-tickets": BOOL,
    "ssl-session-ticket-key": ["odd"],
    "enable-ocsp": BOOL,
    "ssl-reject-handshake": BOOL,
    "ssl-redirect": BOOL,
    "force-ssl-redirect": BOOL,
    "http-redirect-code": ["301", "307", "303", "200", "abc"],
    "preserve-trailing-slash": BOOL,
    "use-port-in-redirects": BOOL,
    "relative-redirects": BOOL,
    "no-tls-redirect-locations": ["/a", "/", "a", " /a , /b", ""],
    "use-forwarded-headers": BOOL,
    "compute-full-forwarded-for": BOOL,
    "enable-real-ip": BOOL,
    "proxy-real-ip-cidr": ["127.0.0.0/8", "10.0.0.0/8,127.0.0.1", "127.0.0.1", ""],
    "forwarded-for-header": ["X-Real", "x_real", "proxy_protocol"],
    "forwarded-host-header": ["X-Host", "x-host"],
    "use-proxy-protocol": ["true", "True", "yes"],
    "proxy-protocol-header-timeout": ["10s", "10", "odd"],
    "use-http2": BOOL,
    "http2-max-concurrent-streams": NUMBER,
    "keep-alive": NUMBER,
    "keep-alive-requests": NUMBER,
    "client-header-buffer-size": SIZE,
    "large-client-header-buffers": ["4 8k", "4 16k", "1 8k"],
    "client-header-timeout": ["2", "abc"],
    "client-body-timeout": NUMBER,
    "client-body-buffer-size": SIZE,
    "default-type": ["text/plain", "odd"],
    "limit-rate": NUMBER,
    "limit-rate-after": NUMBER,
    "limit-req-status-code": ["429", "599", "abc"],
    "limit-conn-status-code": ["429", "599"],
    "limit-conn-zone-variable": ["$host", "$http_x_none", "remote_addr"],
    "disable-ipv6": BOOL,
    "disable-ipv6-dns": BOOL,
    "proxy-connect-timeout": NUMBER,
    "proxy-send-timeout": NUMBER,
    "proxy-read-timeout": NUMBER,
    "proxy-body-size": ["1000", "10k", "0", "10K"],
    "proxy-buffering": SWITCH,
    "proxy-buffer-size": SIZE,
    "proxy-max-temp-file-size": SIZE,
    "proxy-request-buffering": SWITCH,
    "proxy-http-version": ["1.0", "1.1"],
    "proxy-next-upstream": ["off", "http_503", "error timeout"],
    "proxy-next-upstream-timeout": NUMBER,
    "proxy-next-upstream-tries": NUMBER,
    "retry-non-idempotent": BOOL,
    "proxy-cookie-domain": ["inner.test outer.test", "off", "~inner x"],
    "proxy-cookie-path": ["/ /new", "off"],
    "proxy-redirect-from": ["http://inner.test/", "default", "off"],
    "proxy-redirect-to": ["http://outer.test/", "/out/"],
    "load-balance": ["ewma", "round_robin", "odd"],
    "service-upstream": ["false", "no"],
    "upstream-keepalive-connections": NUMBER,
    "upstream-keepalive-time": ["1h", "10"],
    "upstream-keepalive-timeout": NUMBER,
    "upstream-keepalive-requests": NUMBER,
    "use-gzip": BOOL,
    "gzip-level": ["9", "abc"],
    "gzip-min-length": NUMBER,
    "gzip-disable": ["curl", "msie6", "~*x"],
    "gzip-types": ["*", "text/plain", "odd", "text/plain, application/json"],
    "log-format-upstream": ["$status", '"'],
    "log-format-escape-json": BOOL,
    "log-format-escape-none": BOOL,
    "disable-access-log": BOOL,
    "enable-access-log-for-default-backend": BOOL,
    "enable-auth-access-log": BOOL,
    "skip-access-log-urls": ["/a", "~^/", "/a b,/c", "~("],
    "error-log-level": ["error", "odd", "Error"],
    "worker-shutdown-timeout": ["10s", "odd"],
    "max-worker-connections": ["1000", "abc"],
    "nginx-status-ipv4-whitelist": ["127.0.0.1", "10.0.0.0/8", "odd", ""],
}
# What a key needs to have an effect.
NEEDS = {
    "hsts-": {"hsts": "true"},
    "gzip-": {"use-gzip": "true"},
    "compute-full-forwarded-for": {"use-forwarded-headers": "true"},
    "forwarded-for-header": {"use-forwarded-headers": "true"},
    "forwarded-host-header": {"use-forwarded-headers": "true"},
    "proxy-real-ip-cidr": {"use-forwarded-headers": "true"},
    "allow-backend-server-header": {"server-tokens": "true"},
    "disable-proxy-intercept-errors": {"custom-http-errors": "503"},
    "proxy-redirect-from": {"proxy-redirect-to": "http://outer.test/"},
    "proxy-redirect-to": {"proxy-redirect-from": "http://inner.test/"},
    "retry-non-idempotent": {"proxy-next-upstream": "error http_503"},
    "preserve-trailing-slash": {"force-ssl-redirect": "true"},
    "use-port-in-redirects": {"force-ssl-redirect": "true"},
    "http-redirect-code": {"force-ssl-redirect": "true"},
    "no-tls-redirect-locations": {"force-ssl-redirect": "true"},
    "global-auth-signin": {"global-auth-url": AUTH + "?x-status=401"},
    "global-auth-always-set-cookie": {"global-auth-url": AUTH + "?x-set=Set-Cookie:a%3Db"},
    "global-auth-": {"global-auth-url": AUTH},
    "no-auth-locations": {"global-auth-url": AUTH + "?x-status=403"},
}
# These change so much that nothing else can be seen beside them.
ALONE = (
    "global-auth-", "block-", "whitelist-", "denylist-", "ssl-reject", "force-ssl", "annotation", "use-proxy-protocol", "no-",
    "custom-http-errors", "http-redirect-code", "preserve-", "use-port-",
)

ANNOTATIONS = {
    "rewrite-target": PATH + ["/$1", "http://x.test/", "/$host"],
    "use-regex": BOOL,
    "app-root": PATH + ["//x"],
    "server-alias": ["alias.test", "~^b[0-9]\\.test$", "*.w.test, x.test", "a b"],
    "default-backend": ["other", "missing", "a/b"],
    "x-forwarded-prefix": ["/p", "p q", "/$1"],
    "service-upstream": ["false", "no"],
    "ssl-redirect": BOOL,
    "force-ssl-redirect": BOOL,
    "preserve-trailing-slash": BOOL,
    "use-port-in-redirects": BOOL,
    "relative-redirects": BOOL,
    "permanent-redirect": ["https://n.test/x", "/x", "x", "https://n.test/$request_uri", "https://n.test/?a=b"],
    "permanent-redirect-code": ["308", "300", "309", "200", "abc"],
    "temporal-redirect": ["https://n.test/x", "/x", "ftp://n.test", "https://n.test/ x"],
    "temporal-redirect-code": ["307", "308", "299", "abc"],
    "from-to-www-redirect": BOOL,
    "custom-http-errors": ["503", "404, 503", "302", "abc", "200", "600"],
    "disable-proxy-intercept-errors": BOOL,
    "limit-rps": ["100", "0", "-1", "abc"],
    "limit-rpm": ["600", "0", "-1", "1.5"],
    "limit-connections": ["10", "0", "-1", "abc"],
    "limit-burst-multiplier": ["3", "abc"],
    "limit-allowlist": CIDRS,
    "limit-whitelist": CIDRS,
    "limit-rate": NUMBER,
    "limit-rate-after": NUMBER,
    "affinity": ["cookie", "Cookie", "ip"],
    "affinity-mode": ["persistent", "balanced", "odd"],
    "affinity-canary-behavior": ["legacy", "odd"],
    "session-cookie-name": ["route", "a b", "a;b"],
    "session-cookie-path": ["/a", "a", "/a;b"],
    "session-cookie-domain": ["a.test", ".test", "a b"],
    "session-cookie-max-age": ["3600", "0", "-1", "abc", "1.5"],
    "session-cookie-expires": ["3600", "abc"],
    "session-cookie-secure": BOOL,
    "session-cookie-samesite": ["None", "Lax", "strict", "odd"],
    "session-cookie-conditional-samesite-none": BOOL,
    "session-cookie-change-on-failure": BOOL,
    "load-balance": ["ewma", "round_robin", "odd"],
    "upstream-hash-by": ["$request_uri", "${host}x", "odd", "a b"],
    "upstream-hash-by-subset": BOOL,
    "upstream-hash-by-subset-size": NUMBER,
    "auth-type": ["basic", "odd", "Basic"],
    "auth-secret": ["default/users", "missing", "team/users", "a b"],
    "auth-secret-type": ["auth-file", "auth-map", "odd"],
    "auth-realm": ["Staff only", "x", 'a"b'],
    "auth-url": [AUTH, AUTH + "?x-status=401", AUTH + "?x-status=500", "nonsense", "ftp://x.test/"],
    "auth-method": ["POST", "odd", "get"],
    "auth-signin": ["https://login.test/", "https://login.test/?rd=x", "login", "https://login.test/;"],
    "auth-signin-redirect-param": ["next", "a b"],
    "auth-response-headers": ["X-Echo-Backend", "x-echo-backend, X-B", "bad header;"],
    "auth-proxy-set-headers": ["default/hdrs", "hdrs", "missing"],
    "auth-request-redirect": ["https://back.test/", "/x"],
    "auth-cache-key": ["$remote_user", "a b"],
    "auth-cache-duration": ["200 5m", "200 202 1h, 401 30m", "abc"],
    "auth-always-set-cookie": BOOL,
    "enable-global-auth": BOOL,
    "auth-tls-secret": ["default/ca", "missing", "a b", "team/ca"],
    "auth-tls-verify-client": ["on", "off", "optional", "optional_no_ca", "odd"],
    "auth-tls-verify-depth": NUMBER,
    "auth-tls-error-page": ["https://err.test/x"],
    "auth-tls-pass-certificate-to-upstream": BOOL,
    "auth-tls-match-cn": ["CN=x", "x", "CN=("],
    "ssl-ciphers": CIPHERS,
    "ssl-prefer-server-ciphers": BOOL,
    "proxy-ssl-secret": ["default/ca", "missing", "a b"],
    "proxy-ssl-verify": SWITCH,
    "enable-cors": BOOL,
    "cors-allow-origin": ["*", "https://o.test", "https://*.o.test, http://p.test:8080", "o.test", "null"],
    "cors-allow-methods": ["GET, PUT", "get", "odd/", "*"],
    "cors-allow-headers": ["X-A, X-B", "*", "a;b"],
    "cors-expose-headers": ["X-C", "*", "a;b"],
    "cors-allow-credentials": BOOL,
    "cors-max-age": NUMBER,
    "backend-protocol": ["HTTP", "http", "AUTO_HTTP", "odd", " HTTP "],
    "proxy-connect-timeout": NUMBER,
    "proxy-send-timeout": NUMBER,
    "proxy-read-timeout": NUMBER,
    "proxy-buffering": SWITCH,
    "proxy-buffer-size": SIZE,
    "proxy-max-temp-file-size": SIZE,
    "proxy-body-size": ["1000", "10k", "0", "10K"],
    "client-body-buffer-size": SIZE,
    "proxy-request-buffering": SWITCH,
    "proxy-http-version": ["1.0", "1.1", "2", "abc"],
    "connection-proxy-header": ["close", "keep-alive", "Close", "odd"],
    "proxy-next-upstream": ["off", "http_503", "error,timeout", "odd"],
    "proxy-next-upstream-timeout": NUMBER,
    "proxy-next-upstream-tries": NUMBER,
    "proxy-cookie-domain": ["inner.test outer.test", "off", "inner.test", "a b c"],
    "proxy-cookie-path": ["/ /new", "off"],
    "proxy-redirect-from": ["http://inner.test/", "default", "off"],
    "proxy-redirect-to": ["http://outer.test/", "/out/"],
    "upstream-vhost": ["inner.test", "$host", "a b", "$service_name.$namespace"],
    "custom-headers": ["default/hdrs", "missing", "hdrs", "a b"],
    "allowlist-source-range": CIDRS,
    "whitelist-source-range": CIDRS,
    "denylist-source-range": CIDRS,
    "satisfy": ["any", "all", "odd"],
    "mirror-target": ["http://127.0.0.1:${PORT:mirror}$request_uri", "http://127.0.0.1:${PORT:mirror}/m", "odd"],
    "mirror-host": ["mirror.test", "a b"],
    "mirror-request-body": SWITCH,
    "enable-access-log": BOOL,
}
# What an annotation needs to have an effect; the first fitting begin of the name counts.
BESIDE = {
    "preserve-": {"force-ssl-redirect": "true"},
    "use-port-": {"force-ssl-redirect": "true"},
    "relative-": {"permanent-redirect": "/x"},
    "permanent-redirect-code": {"permanent-redirect": "https://n.test/"},
    "temporal-redirect-code": {"temporal-redirect": "https://n.test/"},
    "disable-proxy-intercept-errors": {"custom-http-errors": "503"},
    "x-forwarded-prefix": {"rewrite-target": "/new"},
    "limit-burst": {"limit-rps": "100"},
    "limit-allow": {"limit-rps": "100"},
    "limit-white": {"limit-rps": "100"},
    "affinity-": {"affinity": "cookie"},
    "session-cookie-cond": {"affinity": "cookie", "session-cookie-samesite": "None"},
    "session-": {"affinity": "cookie"},
    "upstream-hash-by-": {"upstream-hash-by": "$request_uri"},
    "auth-tls-secret": {},
    "auth-tls-": {"auth-tls-secret": "default/ca"},
    "auth-type": {"auth-secret": "users"},
    "auth-secret-type": {"auth-type": "basic", "auth-secret": "users"},
    "auth-secret": {"auth-type": "basic"},
    "auth-realm": {"auth-type": "basic", "auth-secret": "users"},
    "auth-url": {},
    "auth-signin": {"auth-url": AUTH + "?x-status=401"},
    "auth-always": {"auth-url": AUTH + "?x-set=Set-Cookie:a%3Db"},
    "auth-": {"auth-url": AUTH},
    "cors-": {"enable-cors": "true"},
    "proxy-ssl-verify": {"proxy-ssl-secret": "default/ca"},
    "proxy-redirect-from": {"proxy-redirect-to": "http://outer.test/"},
    "proxy-redirect-to": {"proxy-redirect-from": "http://inner.test/"},
    "satisfy": {"auth-type": "basic", "auth-secret": "users", "whitelist-source-range": "127.0.0.1"},
    "mirror-target": {},
    "mirror-": {"mirror-target": "http://127.0.0.1:${PORT:mirror}/"},
}

OBJECTS = """\
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "jane:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: hdrs}
data: {X-Added: one, X-Request-Of: two}
"""
FORWARDED = {"X-Forwarded-For": "203.0.113.7, 10.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b.test", "X-Forwarded-Port": "8443",
             "X-Real": "198.51.100.1", "X-Host": "h.test"}


def first(table, name):
    """What belongs to the first fitting begin of a name."""
    return next((value for begin, value in table.items() if name.startswith(begin)), {})


def ingress(name, host, annotations, service="app"):
    backend = {"service": {"name": service, "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend} for path in ("/", "/a/")]
    spec = {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": paths}}]}
    if host.startswith("tls") or host == "a.test":
        spec["tls"] = [{"hosts": [host], "secretName": "a-tls"}]
    annotations = {PREFIX + key: value for key, value in annotations.items()}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def requests(host):
    """Requests that show the effect of most settings."""
    cookie = "x-set=Set-Cookie:s%3D1;%20Path%3D/;%20Domain%3Dinner.test&x-set=X-Secret:1&x-set=Server:mine&x-set=X-Added:three"
    return [
        {"host": host, "path": "/a/x?q=1"},
        {"host": host, "path": "/", "tls": True},
        {"host": host, "path": "/a/", "method": "POST", "body": "b" * 2000},
        {"host": host, "path": "/", "method": "OPTIONS", "headers": {"Origin": "https://o.test"}},
        {"host": host, "path": "/a/x/", "headers": FORWARDED},
        {"host": host, "path": "/?x-status=503", "tls": True},
        {"host": host, "path": "/?x-status=302&x-set=Location:http://inner.test/z", "method": "HEAD", "tls": True},
        {"host": host, "path": "/x?" + cookie, "tls": True, "headers": {"Authorization": "Basic amFuZTpwYXNzd29yZA=="}},
    ]


def settings_case(chosen):
    """A case with these keys; four kinds of hosts."""
    config = {}
    for key, value in chosen:
        config.update(first(NEEDS, key))
    config.update(chosen)
    objects = [
        ingress("a", "a.test", {}),
        ingress("b", "b.test", {"rewrite-target": "/new", "enable-cors": "true", "cors-allow-origin": "https://o.test"}),
        ingress("c", "c.test", {"auth-type": "basic", "auth-secret": "users", "custom-headers": "default/hdrs"}),
        ingress("d", "d.test", {"limit-rpm": "1", "limit-burst-multiplier": "1", "affinity": "cookie"}, "two"),
    ]
    others = [
        {"host": "nowhere.test", "path": "/x"},
        {"host": "nowhere.test", "path": "/x", "tls": True},
        {"host": "127.0.0.1", "path": "/healthz"},
        {"host": "127.0.0.1", "path": "/nginx_status", "method": "HEAD"},
        {"host": "a.test", "path": "/a/h", "tls": True, "headers": {"X_Under": "1", "X.Dot": "2", "User-Agent": "curl/8", "Referer": "http://spam.test/"}},
        {"host": "a.test", "path": "/?x-set=Content-Type:text/plain&x-size=3000", "method": "HEAD", "tls": True, "headers": {"Accept-Encoding": "gzip"}},
        {"host": "a.test", "path": "/long", "tls": True, "headers": {"X-Long": "l" * 5000}},
        {"host": "a.test", "path": "/ws", "tls": True, "websocket": True},
        {"host": "b.test", "path": "/a/"},
        {"host": "b.test", "path": "/", "method": "OPTIONS", "headers": {"Origin": "https://o.test"}},
        {"host": "c.test", "path": "/"},
        {"host": "c.test", "path": "/", "headers": {"Authorization": "Basic amFuZTpwYXNzd29yZA=="}},
        *({"host": "d.test", "path": "/?x-status=503"} for _ in range(4)),
    ]
    return "; ".join(f"{key}={value}" for key, value in chosen), config, objects, requests("a.test") + others


def annotations_case(chosen):
    """A case with a host for each of these annotations."""
    objects, sent = [], []
    for number, (name, value) in enumerate(chosen):
        host = f"{'tls' if number % 2 else 'http'}{number}.test"
        objects.append(ingress(f"i{number}", host, {**first(BESIDE, name), name: value}, f"s{number}"))
        sent += requests(host)
    what = "; ".join(f"{key}={value}" for key, value in chosen)
    return what, {"global-allowed-response-headers": "X-Added,X-Request-Of"}, objects, sent


def case(kind, number, parts):
    what, config, objects, sent = parts
    count = len(objects) if kind == "annotations" else 0
    return {
        "id": f"sweep/{kind}-{number}",
        "what": what,
        "config": config,
        "services": {
            "app": {"ports": {80: ["app-1"]}},
            "two": {"ports": {80: ["two-1", "two-1"]}},
            "other": {"ports": {80: ["other-1"]}},
            **{f"s{number}": {"ports": {80: [f"s{number}"]}} for number in range(count)},
        },
        "certs": {"a-tls": {"names": ["a.test", *(f"tls{number}.test" for number in range(1, count, 2))]}, "ca": {"ca": True}},
        "objects": OBJECTS + "---\n" + yaml.safe_dump_all(objects, sort_keys=False),
        "requests": sent,
    }


def packed(values, together):
    """Groups of values, each with at most one value of a name; those of ALONE come alone."""
    groups = []
    for name, known in values.items():
        alone = name.startswith(ALONE) and values is SETTINGS
        for value in known:
            fits = (g for g in groups if len(g) < together and not alone and all(n != name and not n.startswith(ALONE) for n, _ in g))
            group = next(fits, None) if values is SETTINGS else groups[-1] if groups and len(groups[-1]) < together else None
            if group is None:
                groups.append(group := [])
            group.append((name, value))
    return groups


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["settings", "annotations"])
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    values = SETTINGS if args.kind == "settings" else ANNOTATIONS
    if args.only:
        values = {name: known for name, known in values.items() if name in args.only}
    make = settings_case if args.kind == "settings" else annotations_case
    groups = packed(values, args.together)
    print(yaml.safe_dump([case(args.kind, n, make(group)) for n, group in enumerate(groups)], sort_keys=False, width=200))


if __name__ == "__main__":
    main()
