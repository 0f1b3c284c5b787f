"""WebSockets with a client and a server of another project, `websockets`."""

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from sites import HOST, add, ingress, serving, until
from test_cases import PATIENCE

LIMIT = 32 << 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Server:
    """A WebSocket server in a thread. The path of a connection decides what it does; how the last one of a path ended is
    recorded."""

    def __init__(self):
        self.loop, self.ended, self.port = asyncio.new_event_loop(), {}, None
        self.changed = threading.Condition()
        listening = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(listening,), daemon=True)
        self.thread.start()
        assert listening.wait(PATIENCE)

    def run(self, listening):
        async def main():
            self.stop = asyncio.Event()
            async with serve(self.handle, "127.0.0.1", 0, max_size=LIMIT, ping_interval=None, compression="deflate") as server:
                self.port = server.sockets[0].getsockname()[1]
                listening.set()
                await self.stop.wait()

        self.loop.run_until_complete(main())

    async def handle(self, connection):
        path = connection.request.path
        try:
            if path.startswith("/close/"):
                await connection.close(int(path.removeprefix("/close/")), "by the server")
            elif path == "/abort":
                connection.transport.abort()
            elif path == "/ping":
                await (await connection.ping(b"from the server"))
                await connection.send("pong received")
            elif path == "/fragments":
                await connection.send([fragment async for fragment in connection.recv_streaming()])
            async for message in connection:
                await connection.send(message)
        except ConnectionClosed:
            pass
        await connection.wait_closed()
        with self.changed:
            self.ended[path] = connection.close_code, connection.close_reason
            self.changed.notify_all()

    def end(self, path):
        with self.changed:
            assert self.changed.wait_for(lambda: path in self.ended, PATIENCE)
            return self.ended[path]

    def close(self):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()


@pytest.fixture(scope="module")
def server():
    server = Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def site(server, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("websocket"), port=server.port, tls=True) as run:
        yield run


def opened(site, path="/", tls=False, **options):
    """A client, which is to be entered."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        options["server_hostname"] = HOST
    return connect(
        f"ws{'s' if tls else ''}://{HOST}{path}", host="127.0.0.1", port=site.ports[int(tls)], ssl=context, max_size=LIMIT,
        open_timeout=PATIENCE, ping_interval=None, proxy=None, **options,
    )


def run(test):
    """Runs a coroutine within a bound."""
    asyncio.run(asyncio.wait_for(test, 3 * PATIENCE))


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20])
def test_messages_pass(site, size, compression, tls):
    async def test():
        async with opened(site, tls=tls, compression=compression) as client:
            assert bool(client.protocol.extensions) == bool(compression)
            text = "\N{EURO SIGN}" * (size // 3) + "a" * (size % 3)
            for message in (text, text.encode()):
                _, echoed = await asyncio.gather(client.send(message), client.recv())
                assert echoed == message

    run(test())


def test_fragments_stay_as_they_are(site):
    fragments = ["one", "", "two" * 1000, "three" * 20_000, "four"]

    async def test():
        async with opened(site, "/fragments", compression=None) as client:
            await client.send(fragments)
            received = [fragment async for fragment in client.recv_streaming()]
            # Both sides end a message with an empty fragment.
            assert received == [*fragments, "", ""]

    run(test())


def test_pings_of_both_sides(site):
    async def test():
        async with opened(site, "/ping") as client:
            assert await client.recv() == "pong received"
            for payload in (b"", b"from the client", b"x" * 125):
                await (await client.ping(payload))

    run(test())


@pytest.mark.parametrize("code, reason", [(1000, ""), (1001, "leaves"), (1009, "r" * 123), (3000, "r"), (4999, "\N{EURO SIGN}")])
def test_close_of_the_client_arrives(site, server, code, reason):
    async def test():
        async with opened(site, f"/client/{code}") as client:
            await client.close(code, reason)
            assert client.close_code == code

    run(test())
    assert server.end(f"/client/{code}") == (code, reason)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 1013, 4321])
def test_close_of_the_server_arrives(site, server, code):
    async def test():
        async with opened(site, f"/close/{code}") as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "by the server")

    run(test())
    assert server.end(f"/close/{code}") == (code, "by the server")


def test_connection_that_breaks_has_no_close_code(site, server):
    async def test():
        async with opened(site, "/abort") as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is None
        async with opened(site, "/leave") as client:
            client.transport.abort()

    run(test())
    assert [server.end(path)[0] for path in ("/abort", "/leave")] == [1006, 1006]


def test_refused_handshakes_are_those_of_the_server(site):
    with socket.create_connection(("127.0.0.1", site.ports[0]), PATIENCE) as client:
        client.sendall(head("Sec-WebSocket-Version: 99"))
        assert client.makefile("rb").readline().split()[1] == b"426"


def head(*lines):
    fields = [f"Host: {HOST}", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", *lines]
    return "\r\n".join(["GET / HTTP/1.1", *fields, "", ""]).encode()


def test_idle_connections_survive_a_change(site):
    async def test():
        clients = await asyncio.gather(*(opened(site, compression=None) for _ in range(200)))
        add(site, ingress("/new", {"permanent-redirect": "https://b.test/"}))
        changed = asyncio.to_thread(until, lambda: site.send({"host": HOST, "path": "/new"}).status == 301, "/new")
        await changed
        for number, client in enumerate(clients):
            await client.send(f"{number}")
        assert await asyncio.gather(*(client.recv() for client in clients)) == [f"{number}" for number in range(200)]
        await asyncio.gather(*(client.close() for client in clients))

    run(test())


@contextmanager
def listener():
    with socket.create_server(("127.0.0.1", 0)) as accepts:
        accepts.settimeout(PATIENCE)
        yield accepts


def test_half_close(tmp_path):
    """A client that sends no more still receives: the tunnel closes each direction by itself."""
    with listener() as accepts, serving(tmp_path, port=accepts.getsockname()[1]) as site:
        with socket.create_connection(("127.0.0.1", site.ports[0]), PATIENCE) as client:
            client.sendall(head("Sec-WebSocket-Version: 13"))
            upstream, _ = accepts.accept()
            with upstream:
                upstream.settimeout(PATIENCE)
                received, sent = upstream.makefile("rb"), client.makefile("rb")
                while received.readline() != b"\r\n":
                    pass
                upstream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                while sent.readline() != b"\r\n":
                    pass
                client.sendall(b"last of the client")
                client.shutdown(socket.SHUT_WR)
                assert received.read() == b"last of the client"
                upstream.sendall(b"x" * 100_000)
                upstream.shutdown(socket.SHUT_WR)
                assert sent.read() == b"x" * 100_000
