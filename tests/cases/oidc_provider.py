"""A provider of OpenID Connect: what oauth2-proxy needs of one, with a user who consents at once."""

import base64
import json
import secrets
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT = "headgate-test"


class Provider:
    """Listens on loopback and signs with a key of its own, which `openssl` makes in the directory."""

    def __init__(self, directory):
        self.key = directory / "provider.pem"
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, capture_output=True)
        self.granted = set()
        self.access_token_size = 32
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.provider = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def consent(self, location):
        """What the user's browser gets for the page at the location: the URL that it is sent back to."""
        assert location.startswith(f"{self.url}/authorize?"), location
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code", asked
        code = secrets.token_urlsafe(16)
        self.granted.add(code)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def configuration(self):
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys", "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def keys(self):
        command = ["openssl", "rsa", "-in", self.key, "-noout", "-modulus"]
        modulus = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().removeprefix("Modulus=")
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}]}

    def tokens(self, form):
        """The tokens for a code, or for a refresh token, which is the code again; nothing for another one."""
        code = form.get("code") or form.get("refresh_token")
        if code not in self.granted:
            return None
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "alice", "email": "alice@example.com", "email_verified": True,
            "iat": now, "exp": now + 3600,
        }
        return {
            "access_token": secrets.token_urlsafe(self.access_token_size), "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": code, "id_token": self.signed(claims),
        }

    def signed(self, claims):
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims))
        command = ["openssl", "dgst", "-sha256", "-sign", self.key]
        signature = subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout
        return f"{text}.{base64url(signature)}"


class Handler(BaseHTTPRequestHandler):
    """One connection of oauth2-proxy."""

    def do_GET(self):
        provider = self.server.provider
        pages = {"/.well-known/openid-configuration": provider.configuration, "/keys": provider.keys}
        page = pages.get(self.path)
        self.respond(page and page())

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.respond(self.path == "/token" and self.server.provider.tokens({name: values[0] for name, values in form.items()}))

    def respond(self, content):
        body = json.dumps(content or {"error": "invalid_grant"}).encode()
        self.send_response(200 if content else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: the log of oauth2-proxy has each request that fails."""


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
