"""Clients of HTTP/2 that send any frames, valid or not, and record what they receive.

They frame with `hyperframe` and `hpack`. `h2` is no base for them: it refuses to send what is invalid, and ends at a GOAWAY, after
which responses are still to arrive.
"""

import select
import socket
import ssl
from dataclasses import dataclass, field

import hpack
from hyperframe import frame as frames

from sites import HOST
from test_cases import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
HEADER = 9


@dataclass
class Received:
    """What has arrived on a stream."""

    fields: list = field(default_factory=list)
    trailers: list = None
    body: bytearray = field(default_factory=bytearray)
    reset: int = None
    ended: bool = False

    @property
    def over(self):
        return self.ended or self.reset is not None

    @property
    def status(self):
        return int(dict(self.fields).get(":status", 0))


class Connection:
    """The state of a connection, which does no I/O: `write` sends, `received` takes what has arrived. With `pongs=False` it
    acknowledges no PING, with `updates=False` it opens no window after the first."""

    def __init__(self, *, pongs=True, updates=True):
        self.pongs, self.updates = pongs, updates
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.next, self.buffer, self.block = {}, 1, b"", None
        self.goaways, self.pings, self.greeted, self.closed = [], 0, False, False

    def write(self, content):
        raise NotImplementedError

    # === sending ===

    def preface(self, window=DEFAULT_WINDOW, connection_window=DEFAULT_WINDOW):
        settings = frames.SettingsFrame(0, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: window, frames.SettingsFrame.ENABLE_PUSH: 0})
        self.write(PREFACE + settings.serialize())
        if connection_window > DEFAULT_WINDOW:
            self.send(frames.WindowUpdateFrame(0, connection_window - DEFAULT_WINDOW))

    def send(self, *several):
        """Sends frames."""
        self.write(b"".join(one if isinstance(one, bytes) else one.serialize() for one in several))

    def head(self, fields, flags=("END_HEADERS", "END_STREAM"), stream=None):
        """A HEADERS frame, on a new stream unless one is given."""
        if stream is None:
            stream, self.next = self.next, self.next + 2
            self.streams[stream] = Received()
        return frames.HeadersFrame(stream, self.encoder.encode(fields), flags=list(flags))

    def request(self, path="/", *further, method="GET", body=None):
        """Sends a request and returns its stream."""
        head = self.head([*pseudo(path, method), *further], ("END_HEADERS",) if body is not None else ("END_HEADERS", "END_STREAM"))
        self.send(head, *([] if body is None else [data(head.stream_id, body, end=True)]))
        return head.stream_id

    # === receiving ===

    def received(self, read):
        """Processes the frames that are complete with what was read."""
        self.buffer += read
        while len(self.buffer) >= HEADER:
            one, length = frames.Frame.parse_frame_header(memoryview(self.buffer[:HEADER]))
            if len(self.buffer) < HEADER + length:
                return
            one.parse_body(memoryview(self.buffer[HEADER:HEADER + length]))
            self.buffer = self.buffer[HEADER + length:]
            self.process(one)

    def process(self, one):
        flags = one.flags
        if isinstance(one, frames.SettingsFrame) and "ACK" not in flags:
            self.greeted = True
            self.send(frames.SettingsFrame(0, flags=["ACK"]))
        elif isinstance(one, frames.PingFrame) and "ACK" not in flags:
            self.pings += 1
            if self.pongs:
                self.send(frames.PingFrame(0, one.opaque_data, flags=["ACK"]))
        elif isinstance(one, frames.GoAwayFrame):
            self.goaways.append(one.error_code)
        elif isinstance(one, frames.RstStreamFrame):
            self.streams[one.stream_id].reset = one.error_code
        elif isinstance(one, frames.DataFrame):
            self.process_data(one)
        elif isinstance(one, frames.HeadersFrame):
            self.block = one
        elif isinstance(one, frames.ContinuationFrame):
            self.block.data += one.data
        if self.block and "END_HEADERS" in flags:
            self.process_block()

    def process_data(self, one):
        stream = self.streams[one.stream_id]
        stream.body += one.data
        stream.ended |= "END_STREAM" in one.flags
        length = one.flow_controlled_length
        if self.updates and length:
            self.send(frames.WindowUpdateFrame(0, length))
            if not stream.ended:
                self.send(frames.WindowUpdateFrame(one.stream_id, length))

    def process_block(self):
        block, self.block = self.block, None
        stream = self.streams[block.stream_id]
        fields = self.decoder.decode(block.data)
        if stream.status // 100 in (0, 1):
            stream.fields = fields
        else:
            stream.trailers = fields
        stream.ended |= "END_STREAM" in block.flags


class Client(Connection):
    """A connection over a socket that blocks."""

    def __init__(self, port, *, window=DEFAULT_WINDOW, connection_window=DEFAULT_WINDOW, receive_buffer=None, tls=False, **options):
        super().__init__(**options)
        self.piece = 16 << 10
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=HOST)
        self.preface(window, connection_window)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def write(self, content):
        """Sends; what the server has closed is read to its end later."""
        try:
            self.socket.sendall(content)
        except OSError:
            self.closed = True

    def get(self, path="/", *further, **options):
        """Sends a request and returns its response."""
        return self.response(self.request(path, *further, **options))

    def flood(self, *unit, rounds):
        """Sends these bytes again and again, and reads meanwhile, until the server has closed or that many rounds are sent.
        A unit that is a function is called for each round."""
        self.socket.setblocking(False)
        left, sent = b"", 0
        while not self.closed and (left or sent < rounds):
            if not left:
                left = b"".join(one() if callable(one) else one for one in unit)
                sent += 1
            readable, writable, _ = select.select([self.socket], [self.socket], [], PATIENCE)
            assert readable or writable, "the connection stands still"
            if readable:
                self.receive()
            if writable and not self.closed:
                try:
                    left = left[self.socket.send(left):]
                except BlockingIOError:
                    continue
                except OSError:
                    break
        self.socket.settimeout(PATIENCE)

    def response(self, stream):
        self.until(lambda: self.streams[stream].over)
        return self.streams[stream]

    def until(self, condition):
        """Reads until the condition holds or the server has closed."""
        while not condition() and not self.closed:
            self.receive()

    def until_closed(self):
        self.closed = False
        self.until(lambda: False)

    def receive(self):
        """Reads once."""
        try:
            read = self.socket.recv(self.piece)
        except TimeoutError:
            raise
        except OSError:
            read = b""
        self.closed = not read
        self.received(read)


def pseudo(path="/", method="GET", host=HOST):
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", host)]


def data(stream, content, end=False):
    return frames.DataFrame(stream, content, flags=["END_STREAM"] if end else [])


def raw(kind, flags, stream, payload, length=None):
    """A frame of any type, with any length in its header."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
