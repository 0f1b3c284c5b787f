"""Connections that are open and do nothing, by what they did before: one function for each, which opens one connection."""

import socket
import ssl

import messages

REQUEST = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"

# HTTP/2 (RFC 9113): types and flags of frames.
DATA, HEADERS, SETTINGS = 0, 1, 4
ACK = END_STREAM = 1
END_HEADERS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# GET https://localhost/small, in fields of the static table (RFC 7541, appendix A).
FIELDS = b"\x82\x87\x04\x06/small\x01\x09localhost"


def silent(proxy):
    """Has sent nothing."""
    return connect(proxy.http)


def idle(proxy):
    """Has had one response."""
    return requested(connect(proxy.http))


def idle_tls(proxy):
    """The same over TLS."""
    return requested(secured(proxy, "http/1.1"))


def idle_http2(proxy):
    """The same over HTTP/2 and TLS."""
    stream = secured(proxy, "h2")
    stream.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0) + frame(HEADERS, END_HEADERS | END_STREAM, 1, FIELDS))
    data = b""
    while True:
        kind, flags, payload = received(stream)
        data += payload if kind == DATA else b""
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            break
    if not data.startswith(b"ok:"):
        raise RuntimeError(f"an idle connection of HTTP/2: {data[:100]!r}")
    return stream


def websocket(proxy):
    """Is a WebSocket, on which one message was exchanged."""
    stream = messages.upgraded(proxy.http)
    stream.setblocking(True)
    stream.sendall(messages.FROM_CLIENT)
    exact(stream, len(messages.FROM_SERVER))
    return stream


KINDS = {"silent": silent, "idle": idle, "idle_tls": idle_tls, "idle_http2": idle_http2, "websocket": websocket}


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def secured(proxy, protocol):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(connect(proxy.https), server_hostname="localhost")


def requested(stream):
    stream.sendall(REQUEST)
    response = stream.recv(65536)
    if not response.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"an idle connection: {response[:100]!r}")
    return stream


def frame(kind, flags, number, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


def received(stream):
    """The type, the flags and the payload of the next frame."""
    header = exact(stream, 9)
    return header[3], header[4], exact(stream, int.from_bytes(header[:3], "big"))


def exact(stream, count):
    received = b""
    while len(received) < count:
        part = stream.recv(count - len(received))
        if not part:
            raise RuntimeError("a connection was closed while it was opened")
        received += part
    return received
