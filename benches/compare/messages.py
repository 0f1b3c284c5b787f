"""WebSocket messages of 100 bytes: `echo` sends them back, `load` exchanges them on many connections, one at a time on each.

    messages.py echo PORT COUNTER-FILE
    messages.py load PORT CONNECTIONS SECONDS [RATE LOG-FILE]

With RATE, so many a second are sent in all, whenever they are due, and the log has a line for each: when it was due, in
microseconds, 101, and the microseconds until the echo. Frames are of constant bytes, so that little time is spent here.
"""

import base64
import collections
import hashlib
import mmap
import select
import signal
import socket
import sys
import time

PAYLOAD = b"m" * 100
# A final text frame; the client's is masked, with zeros.
FROM_CLIENT = b"\x81\xe4\0\0\0\0" + PAYLOAD
FROM_SERVER = b"\x81\x64" + PAYLOAD
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
REQUEST = (f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()
RESPONSE = (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n").encode()


def echo(port, counter_file):
    """Accepts upgrades and sends every message back, until it is stopped. The number of messages is kept in the file."""
    with open(counter_file, "r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    streams, heads, pending, count = {}, {}, {}, 0
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                stream = opened(listener.accept()[0])
                streams[stream.fileno()], heads[stream.fileno()] = stream, b""
                poll.register(stream, select.EPOLLIN)
                continue
            stream = streams[number]
            received = receive(stream)
            if not received:
                del streams[number]
                heads.pop(number, None), pending.pop(number, None)
                stream.close()
            elif number in heads:
                heads[number] += received
                if heads[number].endswith(b"\r\n\r\n"):
                    del heads[number]
                    pending[number] = 0
                    stream.sendall(RESPONSE)
            else:
                whole, pending[number] = divmod(pending[number] + len(received), len(FROM_CLIENT))
                if whole:
                    stream.sendall(FROM_SERVER * whole)
                    count += whole
                    counter[:] = count.to_bytes(8, "little")


def load(port, connections, seconds, rate=0, log_file=None):
    """Exchanges messages for so many seconds or until SIGINT; prints the number of failures."""
    streams = {stream.fileno(): stream for stream in (upgraded(port) for _ in range(connections))}
    poll = select.epoll()
    for stream in streams.values():
        poll.register(stream, select.EPOLLIN)
    stopped, failures, log = [], 0, []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    received, due = dict.fromkeys(streams, 0), {}
    # Without a rate a message is due at once.
    idle, begin, sent = collections.deque(streams), time.time(), 0
    end = begin + seconds
    while not stopped and (now := time.time()) < end and streams:
        while idle and (not rate or begin + sent / rate <= now):
            number = idle.popleft()
            due[number] = begin + sent / rate if rate else now
            sent += 1
            streams[number].sendall(FROM_CLIENT)
        wait = min(end - now, max(begin + sent / rate - now, 0) if rate and idle else 1)
        for number, _ in poll.poll(wait):
            data = receive(streams[number])
            received[number] += len(data)
            if not data:
                failures += 1
                poll.unregister(number)
                streams.pop(number).close()
            elif received[number] >= len(FROM_SERVER):
                received[number] = 0
                idle.append(number)
                if rate:
                    log.append((due[number], time.time() - due[number]))
    if log_file:
        with open(log_file, "w") as file:
            file.writelines(f"{int(at * 1e6)}\t101\t{int(took * 1e6)}\n" for at, took in log)
    print(f"failed: {failures}")


def upgraded(port):
    """A connection on which messages can be sent."""
    stream = opened(socket.create_connection(("127.0.0.1", port), timeout=10))
    stream.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = stream.recv(4096)
        if not received:
            sys.exit(f"the upgrade ended: {head!r}")
        head += received
    if not head.startswith(b"HTTP/1.1 101 "):
        sys.exit(f"no upgrade: {head!r}")
    return stream


def opened(stream):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def receive(stream):
    try:
        return stream.recv(65536)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]), sys.argv[3])
    else:
        port, connections, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
        load(port, connections, seconds, *((float(sys.argv[5]), sys.argv[6]) if len(sys.argv) > 5 else ()))
