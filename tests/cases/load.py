"""A load that checks every response.

Groups of connections send requests at a common rate, or as fast as they can: HTTP/1 on kept and on new connections, and HTTP/2, each
also over TLS. A request says what its response must be. Streams are held meanwhile: WebSockets, and downloads.
"""

import asyncio
import math
import random
import re
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Callable

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

import http2_client
from http2_client import pseudo
from test_cases import PATIENCE

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
# A kept connection of HTTP/2 has this many requests at once.
STREAMS = 8


@dataclass(frozen=True)
class Request:
    """A request, and a function that tells what is wrong with its response, or None. `fields` are further ones, of HTTP/1."""

    host: str
    path: str
    check: Callable
    fields: str = ""


@dataclass(frozen=True)
class Response:
    """A response. `fields` is the head of HTTP/1, or the fields of HTTP/2."""

    status: int
    fields: bytes | list
    body: bytes

    def field(self, name):
        if isinstance(self.fields, list):
            return next((value for known, value in self.fields if known == name), None)
        found = re.search(rf"\r\n{name}: *([^\r]*)".encode(), self.fields, re.IGNORECASE)
        return found and found[1].decode("latin1")


# === connections ===


class Http1(asyncio.Protocol):
    """A connection of HTTP/1.1 with one request at a time. The body of a response without length stays in its chunks."""

    width = 1
    alpn = ["http/1.1"]

    def __init__(self):
        self.buffer, self.waiter, self.usable, self.transport = bytearray(), None, False, None

    def connection_made(self, transport):
        self.transport, self.usable = transport, True

    def data_received(self, read):
        self.buffer += read
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or not self.waiter or self.waiter.done():
            return
        head = bytes(self.buffer[:end])
        length = LENGTH.search(head)
        total = end + 4 + int(length[1]) if length else len(self.buffer)
        if len(self.buffer) < total or not length and not self.buffer.endswith(LAST_CHUNK):
            return
        body = bytes(self.buffer[end + 4:total])
        del self.buffer[:total]
        self.usable = self.usable and not CLOSE.search(head)
        self.waiter.set_result(Response(int(head[9:12]), head, body))

    def connection_lost(self, error):
        self.usable = False
        if self.waiter and not self.waiter.done():
            part = "in the middle of the response" if self.buffer else "before the response"
            self.waiter.set_exception(ConnectionError(f"closed {part}{f', {error}' if error else ''}"))

    async def exchange(self, request):
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {request.path} HTTP/1.1\r\nHost: {request.host}\r\n{request.fields}\r\n".encode())
        return await self.waiter


class Http2(asyncio.Protocol, http2_client.Connection):
    """A connection of HTTP/2 with several requests at once. A GOAWAY ends its use."""

    width = STREAMS
    alpn = ["h2"]

    def __init__(self):
        http2_client.Connection.__init__(self)
        self.waiters, self.transport = {}, None

    @property
    def usable(self):
        return not self.goaways and not self.closed

    def write(self, content):
        self.transport.write(content)

    def connection_made(self, transport):
        self.transport = transport
        self.preface()

    def data_received(self, read):
        self.received(read)
        for stream in [stream for stream in self.waiters if self.streams[stream].over]:
            waiter, response = self.waiters.pop(stream), self.streams.pop(stream)
            if waiter.done():
                continue
            if response.reset is not None:
                waiter.set_exception(ConnectionError(f"the stream was reset with {response.reset}"))
            else:
                waiter.set_result(Response(response.status, response.fields, bytes(response.body)))

    def connection_lost(self, error):
        self.closed = True
        for waiter in self.waiters.values():
            if not waiter.done():
                waiter.set_exception(ConnectionError(f"closed with open streams after GOAWAY {self.goaways}, {error}"))

    async def exchange(self, request):
        head = self.head(pseudo(request.path, host=request.host))
        waiter = self.waiters[head.stream_id] = asyncio.get_running_loop().create_future()
        self.send(head)
        return await waiter


# === the load ===


@dataclass(frozen=True)
class Group:
    """Connections of one kind. With `once` each sends one request."""

    protocol: type
    connections: int
    requests: Callable
    tls: bool = False
    once: bool = False

    @property
    def name(self):
        version = "HTTP/2" if self.protocol is Http2 else "HTTP/1"
        return f"{version}{' TLS' if self.tls else ''}{' new' if self.once else ''}"


@dataclass
class Tally:
    """What a load received. `lag` is how late the load itself was at worst, in seconds, for lack of CPU."""

    good: int = 0
    lag: float = 0.0
    failures: Counter = field(default_factory=Counter)
    latencies: Counter = field(default_factory=Counter)
    since: float = field(default_factory=time.monotonic)
    until: float = None

    @property
    def failed(self):
        return self.failures.total()

    @property
    def rate(self):
        return self.good / max((self.until or time.monotonic()) - self.since, 1e-9)

    def record(self, seconds):
        self.good += 1
        self.latencies[int(math.log(max(seconds, 1e-6)) * 50)] += 1

    def quantile(self, share):
        """Milliseconds, to 2 %."""
        rest = share * self.latencies.total()
        for key in sorted(self.latencies):
            rest -= self.latencies[key]
            if rest <= 0:
                return math.exp((key + 0.5) / 50) * 1000
        return math.nan


class Load:
    """Runs from entering to leaving. `targets` are pairs of the plain and the TLS port, from which each new connection takes one."""

    def __init__(self, targets, groups, rate=math.inf, handshake=None, address="127.0.0.1"):
        self.targets, self.groups, self.rate, self.handshake, self.address = targets, groups, rate, handshake, address
        self.tally, self.stopping, self.tasks = Tally(), False, []
        self.next = 0.0
        self.contexts = {protocol: context_of(protocol) for protocol in (Http1, Http2)}

    async def __aenter__(self):
        self.next = time.monotonic()
        self.tasks = [asyncio.create_task(self.client(group)) for group in self.groups for _ in range(group.connections)]
        return self

    async def __aexit__(self, *_):
        self.stopping = True
        await asyncio.gather(*self.tasks)

    def reset(self):
        """Begins a new tally, and returns the last."""
        last, self.tally = self.tally, Tally()
        last.until = self.tally.since
        return last

    async def responses(self, count):
        """Waits for this many further good responses."""
        goal = self.tally.good + count
        deadline = time.monotonic() + PATIENCE
        while self.tally.good < goal:
            assert time.monotonic() < deadline, f"no responses: {self.tally.failures}"
            await asyncio.sleep(0.01)

    async def client(self, group):
        while not self.stopping:
            connection = await self.opened(group)
            if connection:
                await asyncio.gather(*(self.repeat(group, connection) for _ in range(1 if group.once else group.protocol.width)))
                connection.transport.close()

    async def opened(self, group):
        await self.turn(0)
        started = time.monotonic()
        port = random.choice(self.targets)[int(group.tls)]
        context = self.contexts[group.protocol] if group.tls else None
        name = group.requests().host if group.tls else None
        try:
            async with asyncio.timeout(PATIENCE):
                transport, connection = await asyncio.get_running_loop().create_connection(
                    group.protocol, self.address, port, ssl=context, server_hostname=name)
        except (OSError, TimeoutError) as error:
            self.failed(group, f"no connection: {error!r:.100}")
            return None
        if group.tls and self.handshake:
            reason = self.handshake(transport.get_extra_info("ssl_object").getpeercert(True), started)
            if reason:
                self.failed(group, reason)
        return connection

    async def repeat(self, group, connection):
        while not self.stopping and connection.usable:
            await self.turn(1)
            if not connection.usable:
                return
            request, started = group.requests(), time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    response = await connection.exchange(request)
            except (OSError, TimeoutError) as error:
                self.failed(group, str(error) or repr(error))
                return
            reason = request.check(response)
            if reason:
                self.failed(group, reason)
            else:
                self.tally.record(time.monotonic() - started)
            if group.once:
                return

    async def turn(self, requests):
        """Waits until the rate allows these requests."""
        now = time.monotonic()
        # What could not be sent in time is not sent later at once.
        self.next = max(self.next, now - 0.1) + requests / self.rate
        pause = max(self.next - now, 0)
        await asyncio.sleep(pause)
        self.tally.lag = max(self.tally.lag, time.monotonic() - now - pause)

    def failed(self, group, reason):
        self.tally.failures[f"{group.name}: {reason}"] += 1


def context_of(protocol):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(protocol.alpn)
    return context


# === held streams ===


class Held:
    """WebSockets and slow downloads that stay open from entering to leaving. `cut` says which did not."""

    def __init__(self, target, host, websockets, downloads):
        self.target, self.host = target, host
        self.counts = {self.websocket: websockets, self.download: downloads}
        self.stopping, self.cut, self.messages, self.bytes, self.opened, self.tasks = asyncio.Event(), Counter(), 0, 0, 0, []

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.watched(hold)) for hold, count in self.counts.items() for _ in range(count)]
        deadline = time.monotonic() + PATIENCE
        while self.opened < len(self.tasks):
            assert time.monotonic() < deadline and not self.cut, f"{self.opened} of {len(self.tasks)} streams, {self.cut}"
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_):
        self.stopping.set()
        await asyncio.gather(*self.tasks)

    async def watched(self, hold):
        try:
            await hold()
        except (OSError, EOFError, AssertionError, TimeoutError, WebSocketException) as error:
            self.cut[f"{hold.__name__}: {error!r:.100}"] += 1

    async def pause(self, seconds):
        """Whether to go on."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return True
        return False

    async def websocket(self):
        url = f"ws://{self.host}/held"
        async with connect(url, host="127.0.0.1", port=self.target[0], open_timeout=PATIENCE, ping_interval=None, proxy=None) as socket:
            self.opened += 1
            while await self.pause(0.2):
                text = f"message {self.messages}"
                await socket.send(text)
                async with asyncio.timeout(PATIENCE):
                    assert await socket.recv() == text
                self.messages += 1

    async def download(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target[0], limit=1 << 16)
        writer.write(f"GET /held?bytes={1 << 30} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        self.opened += 1
        while await self.pause(0.05):
            async with asyncio.timeout(PATIENCE):
                read = await reader.readexactly(1 << 14)
            assert read == b"x" * len(read)
            self.bytes += len(read)
        writer.close()
