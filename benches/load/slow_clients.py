"""Clients that take their time, of several kinds."""

import asyncio
import contextlib
import socket
import time
from http.client import HTTPConnection

from common import MIB, resident

import http2_client
from http2_client import pseudo
from lifecycle import STEADY
from test_cases import PATIENCE

HEAD = f"GET /slow HTTP/1.1\r\nHost: {STEADY}\r\nX-Slow: ".encode()
BODY = f"POST /slow HTTP/1.1\r\nHost: {STEADY}\r\nContent-Length: 100000\r\n\r\n".encode()
LARGE = f"GET /slow?bytes={1 << 30} HTTP/1.1\r\nHost: {STEADY}\r\n\r\n".encode()
HELLO = bytes.fromhex("16030102000100")


def streams():
    """Ten requests on one connection, whose windows stay shut."""
    connection, sent = http2_client.Connection(updates=False), []
    connection.write = sent.append
    connection.preface(window=0)
    for _ in range(10):
        connection.send(connection.head(pseudo(f"/slow?bytes={1 << 20}", host=STEADY)))
    return b"".join(sent)


# First bytes, then a byte a second, or nothing; TLS; whether responses are read.
KINDS = {
    "heads": (HEAD, b"x", False), "bodies": (BODY, b"x", False), "readers": (LARGE, b"", False), "handshakes": (HELLO, b"", True),
    "idle": (b"", b"", False), "streams": (streams(), b"", False),
}


# Each of their responses fills the buffers of the kernel, megabytes of the few gigabytes that all connections of a machine have.
LARGE_ONES = {"readers": 200, "streams": 1000}


def count_of(kind, most):
    return min(most, LARGE_ONES.get(kind, most))


class Slow:
    """Connections of one kind, from entering to leaving. `closed` is how many the program has closed."""

    def __init__(self, target, kind, count):
        self.first, self.drip, tls = KINDS[kind]
        self.port, self.count = target[int(tls)], count
        self.sockets, self.closed, self.refused, self.task = [], 0, 0, None

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        for _ in range(self.count):
            one = socket.socket()
            one.setblocking(False)
            # So that a response that is not read stays with the program.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                async with asyncio.timeout(5):
                    await loop.sock_connect(one, ("127.0.0.1", self.port))
                    await loop.sock_sendall(one, self.first)
                self.sockets.append(one)
            except (OSError, TimeoutError):
                self.refused += 1
                one.close()
        self.task = asyncio.create_task(self.drips())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        self.closed = sum(self.is_closed(one) for one in self.sockets)
        for one in self.sockets:
            one.close()

    async def drips(self):
        while True:
            start = time.monotonic()
            for one in self.sockets if self.drip else ():
                try:
                    one.send(self.drip)
                except OSError:
                    pass
                # The ordinary client goes on meanwhile.
                await asyncio.sleep(0)
            await asyncio.sleep(max(start + 1 - time.monotonic(), 0))

    @staticmethod
    def is_closed(one):
        try:
            while True:
                if not one.recv(1 << 16):
                    return True
        except BlockingIOError:
            return False
        except OSError:
            return True


async def left(program, before):
    """The growth that remains: the allocator gives memory back while there are requests."""
    for _ in range(20):
        for _ in range(30):
            await asyncio.to_thread(get, program)
        if resident(program.pid) - before < 4 * MIB:
            break
        await asyncio.sleep(0.5)
    return resident(program.pid) - before


def get(program):
    with contextlib.closing(HTTPConnection("127.0.0.1", program.ports[0], timeout=PATIENCE)) as connection:
        connection.request("GET", "/", headers={"Host": STEADY})
        connection.getresponse().read()
