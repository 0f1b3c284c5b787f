"""HTTP/2 on the wire, with the frames and the header compression of other projects."""

import json
import signal
import time

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from floods import FLOODS
from http2_client import MAX_WINDOW, Client, data, pseudo, raw
from sites import HOST, serving, until

SIZE = 300_000
LARGE = f"/?x-size={SIZE}"
MIB = 1 << 20


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("http2"), tls=True) as run:
        yield run


def complete(response):
    assert (response.status, response.reset, response.ended, len(response.body)) == (200, None, True, SIZE)


def terminate(run):
    run.program.send_signal(signal.SIGTERM)


# === requests ===


def test_h2_finds_no_fault_in_responses(site):
    """`h2` checks each frame against the state of the stream and each field against RFC 9113."""
    with Client(site.ports[1], tls=True) as client:
        connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        # The preface and settings are sent already; those of `h2` are the defaults as well.
        connection.initiate_connection()
        connection.data_to_send()
        seen, bodies = [], {}
        for stream, path in ((1, "/"), (3, LARGE), (5, "/?x-status=204"), (7, "/none?x-status=404")):
            head = [(name, "https" if name == ":scheme" else value) for name, value in pseudo(path)]
            connection.send_headers(stream, head, end_stream=True)
        client.socket.sendall(connection.data_to_send())
        while sum(isinstance(event, StreamEnded) for event in seen) < 4:
            events = connection.receive_data(client.socket.recv(4096))
            for event in events:
                if isinstance(event, DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, 0) + len(event.data)
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            seen += events
            client.socket.sendall(connection.data_to_send())
    statuses = {event.stream_id: dict(event.headers)[":status"] for event in seen if isinstance(event, ResponseReceived)}
    assert statuses == {1: "200", 3: "200", 5: "204", 7: "404"}
    assert bodies[3] == SIZE and 5 not in bodies


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_many_streams_at_once(site, tls):
    with Client(site.ports[int(tls)], tls=tls) as client:
        streams = [client.request(f"{LARGE}&n={number}") for number in range(20)]
        for stream in streams:
            complete(client.response(stream))


# === the end of a connection ===


def slow_reader(run, **options):
    client = Client(run.ports[0], receive_buffer=4096, **options)
    client.piece = 1000
    return client


def test_last_response_of_a_connection_is_whole(tmp_path):
    with serving(tmp_path, config={"keep-alive-requests": "3"}) as run, slow_reader(run) as client:
        streams = [client.request(LARGE) for _ in range(3)]
        for stream in streams:
            complete(client.response(stream))
        client.until_closed()
        assert client.goaways and set(client.goaways) == {0}
        assert client.pings, "the end of the last requests is found by a ping"


@pytest.mark.parametrize("grace", ["0", "2"])
def test_response_that_starts_after_sigterm_is_whole(tmp_path, grace):
    with serving(tmp_path, flags=[f"--shutdown-grace-period={grace}"]) as run, slow_reader(run) as client:
        stream = client.request(f"{LARGE}&x-gate=1")
        assert run.backends.of("web", 0, 1)
        terminate(run)
        client.until(lambda: client.goaways)
        run.backends.gate.set()
        complete(client.response(stream))
        client.until_closed()
        assert set(client.goaways) == {0}
        assert run.program.wait(20) == 0


def test_goaway_at_sigterm_while_connections_are_accepted(tmp_path):
    with serving(tmp_path, flags=["--shutdown-grace-period=5"]) as run, Client(run.ports[0]) as client:
        assert client.get().status == 200
        terminate(run)
        client.until(lambda: client.goaways)
        assert client.goaways == [0]
        with Client(run.ports[0]) as late:
            assert late.get().status == 200
            late.until_closed()
            assert late.goaways and set(late.goaways) == {0}
        client.until_closed()
        assert run.program.wait(20) == 0


@pytest.mark.parametrize("requests", [0, 1])
def test_client_that_ignores_pings_delays_the_exit_little(tmp_path, requests):
    with serving(tmp_path, flags=["--shutdown-grace-period=0"]) as run, Client(run.ports[0], pongs=False) as client:
        client.until(lambda: client.greeted)
        for _ in range(requests):
            assert client.get().status == 200
        start = time.monotonic()
        terminate(run)
        assert run.program.wait(15) == 0
        assert time.monotonic() - start < 12


# === bounds ===


def resident(run):
    status = open(f"/proc/{run.program.pid}/status", encoding="ascii").read()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_unread_responses_take_little_memory(tmp_path):
    with serving(tmp_path) as run:
        with Client(run.ports[0]) as client:
            assert client.get().status == 200
        before, clients, last = resident(run), [], []
        try:
            for _ in range(4):
                client = Client(run.ports[0], window=MAX_WINDOW, connection_window=MAX_WINDOW)
                clients.append(client)
                for _ in range(100):
                    client.request("/?x-endless=1&x-gate=1")
            # All wait for the gate: a connection whose client reads nothing takes no more requests once it is full.
            assert len(run.backends.of("web", 0, 401)) == 401
            run.backends.gate.set()

            def stands_still():
                last.append(resident(run))
                return len(last) > 50 and max(last[-50:]) - min(last[-50:]) < MIB

            until(stands_still, "the memory does not stand still")
            print(f"grew by {(max(last) - before) / MIB:.1f} MiB")
            assert max(last) - before < 64 * MIB
            with Client(run.ports[0]) as client:
                assert client.get().status == 200
        finally:
            for client in clients:
                client.socket.close()


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_end_the_connection_alone(site, flood):
    with Client(site.ports[0]) as other:
        assert other.get().status == 200
        with Client(site.ports[0]) as client:
            client.flood(FLOODS[flood](client), rounds=5000)
            client.until_closed()
            assert client.goaways, "no GOAWAY"
        assert other.get().status == 200
    with Client(site.ports[0]) as new:
        assert new.get().status == 200


# === rules ===

MALFORMED = {
    "name in upper case": [*pseudo(), ("X-Upper", "1")],
    "connection": [*pseudo(), ("connection", "close")],
    "keep-alive": [*pseudo(), ("keep-alive", "timeout=5")],
    "proxy-connection": [*pseudo(), ("proxy-connection", "close")],
    "transfer-encoding": [*pseudo(method="POST"), ("transfer-encoding", "chunked")],
    "upgrade": [*pseudo(), ("upgrade", "websocket")],
    "te other than trailers": [*pseudo(), ("te", "gzip")],
    "pseudo-header after a field": [*pseudo()[:3], ("x-a", "1"), pseudo()[3]],
    "path twice": [*pseudo(), (":path", "/other")],
    "authority twice": [*pseudo(), (":authority", "b.test")],
    "no path": [field for field in pseudo() if field[0] != ":path"],
    "no method": [field for field in pseudo() if field[0] != ":method"],
    "no scheme": [field for field in pseudo() if field[0] != ":scheme"],
    "empty path": pseudo(path=""),
    "path without slash": pseudo(path="x"),
    "unknown pseudo-header": [*pseudo(), (":other", "1")],
    "status in a request": [*pseudo(), (":status", "200")],
    "authority with user": [*pseudo()[:3], (":authority", f"u@{HOST}")],
    "authority and another host": [*pseudo(), ("host", "b.test")],
    "neither authority nor host": pseudo()[:3],
    "two hosts": [*pseudo()[:3], ("host", HOST), ("host", "b.test")],
    "blank before a value": [*pseudo(), ("x-a", " b")],
    "blank after a value": [*pseudo(), ("x-a", "b\t")],
    "NUL in a value": [*pseudo(), ("x-a", "b\0c")],
    "CR in a value": [*pseudo(), ("x-a", "b\rc")],
    "LF in a value": [*pseudo(), ("x-a", "b\nx-c: d")],
    "blank in a name": [*pseudo(), ("x a", "b")],
    "colon in a name": [*pseudo(), ("x:a", "b")],
    "empty name": [*pseudo(), ("", "b")],
    "LF in the path": pseudo(path="/a\nb"),
    "blank in the path": pseudo(path="/a b"),
    "two lengths": [*pseudo(method="POST"), ("content-length", "1"), ("content-length", "2")],
    "length that is not a number": [*pseudo(method="POST"), ("content-length", "+0")],
    "length without data": [*pseudo(method="POST"), ("content-length", "5")],
}


def refused(client, response):
    """A malformed request gets a reset or 400 (RFC 9113 section 8.1.1), or ends the connection."""
    return response.reset is not None or response.status == 400 or (client.closed and client.goaways)


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_heads_are_refused(site, case):
    since = len(site.backends.received)
    with Client(site.ports[0]) as client:
        head = client.head(MALFORMED[case])
        client.send(head)
        response = client.response(head.stream_id)
        assert refused(client, response), response
        if not client.closed:
            assert client.get("/after").status == 200
    assert [request["path"] for request in site.backends.received[since:] if request["path"] != "/after"] == []


@pytest.mark.parametrize("sent", [b"abc", b"abcdefg"], ids=["less", "more"])
def test_data_must_have_its_length(site, sent):
    since = len(site.backends.received)
    with Client(site.ports[0]) as client:
        head = client.head([*pseudo("/length", "POST"), ("content-length", "5")], flags=("END_HEADERS",))
        client.send(head, data(head.stream_id, sent, end=True))
        assert refused(client, client.response(head.stream_id))
    assert site.backends.received[since:] == []


def test_valid_heads_pass(site):
    with Client(site.ports[0]) as client:
        for further in (("te", "trailers"), ("host", HOST), ("x-empty", ""), ("cookie", "a=1")):
            response = client.get("/", further)
            assert response.status == 200, further
            assert json.loads(response.body)["host"] == HOST
        head = client.head([*pseudo()[:3], ("host", HOST)])
        client.send(head)
        assert json.loads(client.response(head.stream_id).body)["host"] == HOST


def with_trailers(client, trailers, flags=("END_HEADERS", "END_STREAM")):
    head = client.head(pseudo("/trailers", "POST"), flags=("END_HEADERS",))
    client.send(head, data(head.stream_id, b"abc"), client.head(trailers, flags, head.stream_id))
    return client.response(head.stream_id)


def test_trailers_pass(site):
    with Client(site.ports[0]) as client:
        response = with_trailers(client, [("x-checksum", "1")])
        assert response.status == 200 and json.loads(response.body)["body"] == "abc"


@pytest.mark.parametrize(
    "trailers",
    [
        [(":path", "/other")], [("x-a", "1"), (":path", "/other")],
        [("X-Upper", "1")], [("connection", "close")],
    ],
    ids=["pseudo-header", "pseudo-header after a field", "upper case", "connection"],
)
def test_malformed_trailers_are_refused(site, trailers):
    with Client(site.ports[0]) as client:
        assert refused(client, with_trailers(client, trailers))


def test_trailers_end_the_stream(site):
    with Client(site.ports[0]) as client:
        assert refused(client, with_trailers(client, [("x-a", "1")], flags=("END_HEADERS",)))


# RFC 9113 sections 4 to 6: each is an error of the connection.
BROKEN = {
    "DATA on stream 0": raw(0, 0, 0, b"abc"),
    "DATA on an idle stream": raw(0, 0, 5, b"abc"),
    "DATA with more padding than payload": raw(0, 8, 1, b"\xff"),
    "HEADERS on stream 0": raw(1, 5, 0, b"\x82"),
    "HEADERS on an even stream": raw(1, 5, 2, b"\x82\x86\x84"),
    "HEADERS that cannot be decoded": raw(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    "another frame within a head": raw(1, 1, 1, b"\x82") + raw(6, 0, 0, b"12345678"),
    "CONTINUATION without HEADERS": raw(9, 4, 1, b"\x82"),
    "PUSH_PROMISE of a client": raw(5, 4, 1, b"\0\0\0\x02\x82"),
    "RST_STREAM on an idle stream": raw(3, 0, 5, b"\0\0\0\x08"),
    "RST_STREAM on stream 0": raw(3, 0, 0, b"\0\0\0\x08"),
    "RST_STREAM of 3 bytes": raw(3, 0, 1, b"\0\0\x08"),
    "SETTINGS on a stream": raw(4, 0, 1, b""),
    "SETTINGS of 5 bytes": raw(4, 0, 0, b"\0\x03\0\0\0"),
    "SETTINGS that acknowledges with payload": raw(4, 1, 0, b"\0\x03\0\0\0\x01"),
    "ENABLE_PUSH of 2": raw(4, 0, 0, b"\0\x02\0\0\0\x02"),
    "INITIAL_WINDOW_SIZE above its maximum": raw(4, 0, 0, b"\0\x04\x80\0\0\0"),
    "MAX_FRAME_SIZE below its minimum": raw(4, 0, 0, b"\0\x05\0\0\0\x01"),
    "PING of 7 bytes": raw(6, 0, 0, b"1234567"),
    "PING on a stream": raw(6, 0, 1, b"12345678"),
    "GOAWAY on a stream": raw(7, 0, 1, b"\0" * 8),
    "WINDOW_UPDATE of 0": raw(8, 0, 0, b"\0\0\0\0"),
    "WINDOW_UPDATE over the maximum": raw(8, 0, 0, b"\x7f\xff\xff\xff"),
    "WINDOW_UPDATE of 3 bytes": raw(8, 0, 0, b"\0\0\x01"),
    "frame over the maximum": raw(0, 0, 1, b"", length=16385) + b"\0" * 16385,
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_frames_end_the_connection(site, case):
    with Client(site.ports[0]) as client:
        client.until(lambda: client.greeted)
        client.send(BROKEN[case])
        client.until_closed()
        assert client.goaways and any(code != 0 for code in client.goaways), client.goaways
    with Client(site.ports[0]) as new:
        assert new.get().status == 200
