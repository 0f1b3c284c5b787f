"""External authentication by oauth2-proxy itself, with the annotations of its documentation.

A browser signs in through the program: Headgate forwards `/oauth2` of the host to oauth2-proxy, which lets a provider of OpenID
Connect in this process decide who the user is.
"""

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from http.cookies import SimpleCookie

import pytest
import yaml

from oidc_provider import CLIENT, Provider
from test_cases import HERE, PATIENCE, Run, endpoint_slice, free_ports

HOST = "app.example.com"
ORIGIN = f"https://{HOST}"
START = f"{ORIGIN}/oauth2/start?rd="
SESSION = "_oauth2_proxy"
FORGED = {
    "X-Auth-Request-User": "mallory", "X-Auth-Request-Email": "mallory@example.com", "X-Auth-Request-Groups": "admins",
    "Authorization": "Basic bWFsbG9yeTo=",
}

AUTH = "http://oauth2-proxy.default.svc.cluster.local:4180/oauth2/auth"
SIGN_IN = "https://$host/oauth2/start?rd=$escaped_request_uri"
# Annotations of the application by path.
PATHS = {
    "/": {
        "auth-url": AUTH, "auth-signin": SIGN_IN, "proxy-buffer-size": "16k",
        "auth-response-headers": "X-Auth-Request-User, X-Auth-Request-Email, X-Auth-Request-Groups, Authorization",
    },
    "/always": {"auth-url": AUTH, "auth-always-set-cookie": "true"},
    "/api": {"auth-url": AUTH, "auth-cache-key": "$cookie__oauth2_proxy", "auth-response-headers": "X-Auth-Request-User"},
    "/admins": {"auth-url": f"{AUTH}?allowed_groups=admins", "auth-signin": SIGN_IN},
    "/company": {"auth-url": f"{AUTH}?allowed_email_domains=example.com", "auth-signin": SIGN_IN},
}


def objects(port):
    """Ingresses, and the Service of an oauth2-proxy at that port."""
    metadata = {"name": "oauth2-proxy", "namespace": "default"}
    spec = {"clusterIP": "10.96.0.11", "ports": [{"name": "http", "port": 4180}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    yield endpoint_slice(metadata, "http", 1, port)
    yield ingress("/oauth2", {"proxy-buffer-size": "16k"}, {"name": "oauth2-proxy", "port": {"number": 4180}})
    for path, annotations in PATHS.items():
        yield ingress(path, annotations, {"name": "app", "port": {"number": 80}})


def ingress(path, annotations, service):
    rule = {"host": HOST, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": {"service": service}}]}}
    annotations = {f"nginx.ingress.kubernetes.io/{name}": value for name, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": path.strip("/") or "root", "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }


class Site:
    """The program in front of an application and of oauth2-proxy, and a browser."""

    def __init__(self, executable, options, directory):
        self.output = directory / "oauth2-proxy.log"
        self.provider = Provider(directory)
        case = {"services": {"app": {"ports": {80: ["app-1"]}}}}
        self.run = Run(case, directory)
        self.port = next(port for port in free_ports(4) if port not in self.run.ports)
        case["objects"] = yaml.safe_dump_all(objects(self.port))
        self.command = [
            executable, "--provider=oidc", f"--oidc-issuer-url={self.provider.url}", f"--client-id={CLIENT}",
            "--client-secret=not-secret", "--cookie-secret=0123456789abcdef0123456789abcdef", "--email-domain=*",
            f"--http-address=127.0.0.1:{self.port}", "--reverse-proxy", "--trusted-proxy-ip=127.0.0.1",
            "--set-xauthrequest", "--set-authorization-header", "--upstream=static://404", *options,
        ]
        self.process = None

    def start(self):
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.run.start()
        until(self.ready)

    def ready(self):
        assert self.process.poll() is None, self.output.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=1) as response:
                return response.status == 200
        except OSError:
            return False

    def stop_oauth2_proxy(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process:
            self.stop_oauth2_proxy()
        self.run.stop()
        self.provider.stop()
        # pytest shows this for a test that failed.
        print(*self.run.log()[-20:], *self.output.read_text().splitlines()[-20:], sep="\n")

    def get(self, path, **request):
        return self.run.send({"path": path, "host": HOST, "tls": True, "keep_cookies": True, **request})

    def get_with(self, cookies, path, **headers):
        """With these cookies instead of those of the browser, which keeps none of this response."""
        text = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.get(path, keep_cookies=False, headers={"Cookie": text, **headers})

    def sign_in(self, path="/"):
        """Asks for a path and follows the redirects back to it, which are asserted; returns the last one."""
        start = self.redirect(self.get(path))
        assert start.startswith("/oauth2/start?rd="), start
        location = one(self.get(start), "Location")
        return self.get(self.local(self.provider.consent(location)))

    def redirect(self, response):
        assert (response.status, response.backend) == (302, None), response.body
        return self.local(one(response, "Location"))

    def local(self, url):
        assert url.startswith(f"{ORIGIN}/"), url
        return url.removeprefix(ORIGIN)


@pytest.fixture(scope="module")
def executable():
    for tool in ("go", "openssl"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    built = subprocess.run([HERE / "oauth2-proxy"], capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip("no oauth2-proxy: " + "; ".join(built.stderr.splitlines()[-2:]))
    return built.stdout.strip()


@pytest.fixture
def site(request, executable, tmp_path):
    site = Site(executable, getattr(request, "param", []), tmp_path)
    try:
        site.start()
        yield site
    finally:
        site.stop()


refreshing = pytest.mark.parametrize("site", [["--cookie-refresh=1ms"]], indirect=True, ids=["refreshing"])


def test_sign_in_leads_back_to_the_page(site):
    asked = site.get("/a%20b?q=1&r=2", headers=FORGED)
    assert (asked.status, asked.backend) == (302, None)
    assert one(asked, "Location") == START + "%2Fa%2520b%3Fq%3D1%26r%3D2"

    signed_in = site.sign_in("/a%20b?q=1&r=2")
    assert (signed_in.status, one(signed_in, "Location")) == (302, "/a%20b?q=1&r=2")
    assert SESSION in cookies(signed_in)

    page = site.get("/a%20b?q=1&r=2")
    assert (page.status, page.backend, received(page)["path"]) == (200, "app-1", "/a%20b?q=1&r=2")


def test_identity_is_that_of_oauth2_proxy(site):
    site.sign_in()
    headers = received(site.get("/", method="POST", body="hello", headers=FORGED))["headers"]
    assert headers["x-auth-request-user"] == "alice"
    assert headers["x-auth-request-email"] == "alice@example.com"
    assert "x-auth-request-groups" not in headers
    assert headers["authorization"].startswith("Bearer ey")


def test_members_of_other_groups_are_refused_without_sign_in(site):
    assert site.redirect(site.get("/admins")) == "/oauth2/start?rd=%2Fadmins"
    site.sign_in()
    refused = site.get("/admins")
    assert (refused.status, refused.backend, refused.all("Location")) == (403, None, [])
    assert site.get("/company").status == 200


def test_websocket_needs_the_session(site):
    assert site.get("/", websocket=True).status == 302
    site.sign_in()
    assert site.get("/", websocket=True).status == 101


def test_session_that_was_changed_is_none(site):
    site.sign_in()
    session = site.run.cookies[SESSION]
    value, rest = session.split("|", 1)
    other = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]
    for changed in ("", "good", value, f"{other}|{rest}", session[:-4]):
        response = site.get_with({SESSION: changed}, "/", **FORGED)
        assert (response.status, response.backend, one(response, "Location")) == (302, None, START + "%2F"), changed
        assert received_by(site, "app-1") == 0
    assert cookies(response)[SESSION].value == "", "oauth2-proxy deletes the cookie"
    assert site.get("/").status == 200


@refreshing
def test_refreshed_session_reaches_the_browser(site):
    site.sign_in()
    old = dict(site.run.cookies)
    refreshed = until(lambda: with_session(site.get_with(old, "/")))
    assert (refreshed.status, refreshed.backend) == (200, "app-1")
    new = cookies(refreshed)[SESSION]
    assert new.value != old[SESSION] and new["httponly"] and new["secure"]
    assert site.get_with({SESSION: new.value}, "/").status == 200

    # Every request with the old cookie refreshes it again.
    missing = site.get_with(old, "/?x-status=404")
    assert (missing.status, missing.all("Set-Cookie")) == (404, [])
    missing = site.get_with(old, "/always?x-status=404")
    assert missing.status == 404 and SESSION in cookies(missing)


@refreshing
def test_session_in_two_cookies_is_refreshed_as_a_whole(site):
    site.provider.access_token_size = 3000
    site.sign_in()
    old = dict(site.run.cookies)
    halves = {f"{SESSION}_0", f"{SESSION}_1"}
    assert halves <= old.keys() and SESSION not in old
    refreshed = until(lambda: with_session(site.get_with(old, "/"), f"{SESSION}_1"))
    assert refreshed.status == 200 and halves <= cookies(refreshed).keys()
    new = {name: cookies(refreshed)[name].value for name in halves}
    assert new[f"{SESSION}_0"] != old[f"{SESSION}_0"]
    assert site.get_with(new, "/").status == 200


def test_no_request_passes_while_oauth2_proxy_is_down(site):
    site.sign_in()
    assert site.get("/").status == 200
    before = received_by(site, "app-1")
    site.stop_oauth2_proxy()
    for path in ("/", "/always", "/api"):
        for request in ({}, {"keep_cookies": False}, {"websocket": True}):
            response = site.get(path, **request)
            assert (response.status, response.backend) == (500, None), (path, request)
    assert site.get("/oauth2/start").status == 502
    assert received_by(site, "app-1") == before


def test_decisions_of_an_api_are_cached_by_session(site):
    refused = site.get("/api", headers=FORGED)
    assert (refused.status, refused.backend, refused.all("Location")) == (401, None, [])
    site.sign_in()
    assert user_of_api(site) == "alice"
    site.stop_oauth2_proxy()
    assert user_of_api(site) == "alice"
    statuses = [site.get_with(other, "/api/orders?q=1").status for other in ({}, {SESSION: "good"})]
    assert statuses == [500, 500], "without a session the cache key is empty, so nothing is cached"


def test_a_session_in_several_cookies_does_not_count_for_others(site):
    """The cookie that is the cache key is then absent, as it is for a client without a session."""
    site.provider.access_token_size = 3000
    site.sign_in()
    assert site.get("/api/x").status == 200
    assert site.get_with({}, "/api/x").status == 401


def test_sign_out_ends_the_session(site):
    site.sign_in()
    assert site.get("/").status == 200
    signed_out = site.get("/oauth2/sign_out?rd=%2Fbye")
    assert (signed_out.status, one(signed_out, "Location")) == (302, "/bye")
    assert site.redirect(site.get("/")) == "/oauth2/start?rd=%2F"


def until(condition):
    """The first true value of the condition; it depends on another program, of which there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        threading.Event().wait(0.02)
    raise AssertionError("not in time")


def one(response, name):
    lines = response.all(name)
    assert len(lines) == 1, (response.status, name, lines, response.body[:200])
    return lines[0]


def cookies(response):
    return SimpleCookie("\n".join(response.all("Set-Cookie")))


def with_session(response, name=SESSION):
    return response if name in cookies(response) else None


def received(response):
    """What the application received."""
    assert response.status == 200, (response.status, response.body[:200])
    return json.loads(response.body)


def user_of_api(site):
    return received(site.get("/api/orders?q=1", headers=FORGED))["headers"]["x-auth-request-user"]


def received_by(site, name):
    return sum(request["backend"] == name for request in site.run.backends.received)
