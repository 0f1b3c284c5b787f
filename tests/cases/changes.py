"""What was changed when, and what of it responses show."""

import asyncio
import datetime
import json
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from test_cases import PATIENCE

HOSTS = "steady.test", "versioned.test", "rolling.test"


class Changes:
    """Changes by number, with the time of each, and events for those that are seen."""

    def __init__(self, prompt):
        self.prompt = prompt
        self.times, self.seen, self.slowest, self.event = [], -1, 0.0, asyncio.Event()

    @property
    def latest(self):
        return len(self.times) - 1

    def now(self):
        self.times.append(time.monotonic())

    def see(self, number):
        """Something of this change was received."""
        if number > self.seen:
            self.slowest = max(self.slowest, time.monotonic() - self.times[number]) if number == self.latest else self.slowest
            self.seen = number
            self.event.set()

    def is_late(self, number, started):
        """Whether a request that started then should have met a later change."""
        return number < self.latest and started > self.times[number + 1] + self.prompt

    async def all_seen(self):
        async with asyncio.timeout(PATIENCE):
            while self.seen < self.latest:
                self.event.clear()
                await self.event.wait()


class Certificates(Changes):
    """Certificates, whose serial number is that of the change, plus one."""

    def issue(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTS[0])])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(name, name, key.public_key(), len(self.times) + 1, now - day, now + 90 * day)
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
        certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(serialization.Encoding.PEM, *form)

    def check(self, certificate, started):
        number = x509.load_der_x509_certificate(certificate).serial_number - 1
        if number > self.latest:
            return "an unknown certificate"
        self.see(number)
        return "an old certificate" if self.is_late(number, started) else None


class Versions(Changes):
    """Versions of the objects of a host."""

    def __init__(self, prompt):
        super().__init__(prompt)
        self.served = set()

    def check(self, response, path, started):
        if response.status != 200:
            return f"status {response.status}"
        echo, version = json.loads(response.body), response.field("x-version")
        number = int(version[1:])
        expected = f"{version}.test", f"/{version}{path}", [f"/{version}"], ("red", "blue")[number % 2]
        if (echo["host"], echo["uri"], echo["headers"].get("x-forwarded-prefix"), echo["name"]) != expected:
            return "a mix of two versions"
        self.served.add(number)
        self.see(number)
        return "an old version" if self.is_late(number, started) else None


class Endpoints(Changes):
    """Sets of endpoints."""

    def __init__(self, prompt):
        super().__init__(prompt)
        self.sets = []

    def now(self, echoes=()):
        self.sets.append({echo.name for echo in echoes})
        super().now()

    def check(self, name, started):
        if name in self.sets[-1]:
            newest = max(number for number, names in enumerate(self.sets) if name in names)
            if newest == self.latest and (not newest or name not in self.sets[newest - 1]):
                self.see(newest)
            return True
        return any(name in names and not self.is_late(number, started) for number, names in enumerate(self.sets))


def wrong(response, host, path, endpoint):
    """What is wrong with a response of an echo, or None."""
    if response.status != 200:
        return f"status {response.status}"
    echo = json.loads(response.body)
    if (echo["host"], echo["uri"]) != (host, path):
        return "the response to another request"
    return None if endpoint(echo["name"], echo) else f"served by the wrong endpoint {echo['name']}"
