"""A FastCGI application for the cases: it responds with what it received, or breaks the protocol on request."""

import json
import struct
import time
from urllib.parse import parse_qsl

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7


def record(kind, content, version=1, request=1):
    padding = -len(content) % 8
    return struct.pack(">BBHHBx", version, kind, request, len(content), padding) + content + bytes(padding)


def pairs(data):
    """Names and values of a stream of parameters."""
    found, at = [], 0

    def length():
        nonlocal at
        size = data[at] if data[at] < 128 else struct.unpack_from(">I", data, at)[0] & 0x7FFFFFFF
        at += 1 if data[at] < 128 else 4
        return size

    while at < len(data):
        sizes = length(), length()
        name, value = data[at:at + sizes[0]], data[at + sizes[0]:at + sum(sizes)]
        at += sum(sizes)
        found.append((name.decode("latin1"), value.decode("latin1")))
    return found


def read(stream):
    """A request: its parameters, its body, and the flags of its first record. None at the end of the connection."""
    parameters, body, flags = b"", b"", None
    while True:
        header = stream.read(8)
        if len(header) < 8:
            return None
        version, kind, request, length, padding, reserved = struct.unpack(">BBHHBB", header)
        assert (version, reserved) == (1, 0) and request != 0, header
        content = stream.read(length)
        stream.read(padding)
        if kind == BEGIN:
            role, flags = struct.unpack(">HB5x", content)
            assert role == 1, role
        elif kind == PARAMS:
            parameters += content
        elif kind == STDIN and content:
            body += content
        elif kind == STDIN:
            return pairs(parameters), body, flags
        elif kind == ABORT:
            return None


def request(name, parameters, body, flags):
    """The request as the cases compare it: header fields by name, and parameters as fcgi-NAME."""
    values = dict(parameters)
    fields = {key[5:].lower().replace("_", "-"): value for key, value in parameters if key.startswith("HTTP_")}
    fields |= {f"fcgi-{key.lower()}": value for key, value in parameters}
    fields["fcgi-flags"] = str(flags)
    fields["fcgi-names"] = " ".join(key for key, _ in parameters)
    fields["fcgi-body-length"] = str(len(body))
    return {
        "backend": name, "method": values.get("REQUEST_METHOD"), "path": values.get("REQUEST_URI"), "host": values.get("HTTP_HOST"),
        "headers": fields, "body": body[:65536].decode("latin1"),
    }


def respond(send, received):
    """The query controls the response: x-status, x-set, x-body, x-size, x-delay, x-stderr, x-head and x-fault."""
    query = parse_qsl(received["headers"].get("fcgi-query_string", ""), keep_blank_values=True)
    control = dict(query)
    fault = control.get("x-fault", "")
    time.sleep(int(control.get("x-delay", 0)) / 1000)
    content = json.dumps(received).encode()
    if "x-size" in control:
        content = b"x" * int(control["x-size"])
    elif "x-body" in control:
        content = control["x-body"].encode()
    head = f"X-Echo-Backend: {received['backend']}\r\n"
    if "x-status" in control:
        head += f"Status: {control['x-status']}\r\n"
    for key, value in query:
        if key == "x-set":
            head += value.replace(":", ": ", 1) + "\r\n"
        elif key == "x-head":
            head += value + "\r\n"
    if "content-type" not in head.lower():
        head += "Content-Type: application/json\r\n"
    if "x-lf" in control:
        head = head.replace("\r\n", "\n")
    out = head.encode("latin1") + (b"\n" if "x-lf" in control else b"\r\n") + content
    end = record(END, struct.pack(">IB3x", 0, 0))
    if fault == "close":
        return
    if "x-stderr" in control:
        send(record(STDERR, control["x-stderr"].encode()))
    if fault == "version":
        send(record(STDOUT, out, version=2) + end)
    elif fault == "type":
        send(record(99, out) + end)
    elif fault == "id":
        send(record(STDOUT, out, request=2) + end)
    elif fault == "no-head":
        send(record(STDERR, b"nothing to say") + end)
    elif fault == "overloaded":
        send(record(END, struct.pack(">IB3x", 0, 2)))
    elif fault == "half-head":
        send(record(STDOUT, head.encode("latin1")) + end)
    elif fault == "cut":
        send(record(STDOUT, out[:-10]))
    elif fault == "pieces":
        for at in range(0, len(out), 7):
            send(record(STDOUT, out[at:at + 7]) + record(STDERR, b"."))
        send(record(STDOUT, b"") + end)
    else:
        for at in range(0, len(out), 65535):
            send(record(STDOUT, out[at:at + 65535]))
        send(record(STDOUT, b"") + end)


def serve(connection, name, received):
    """Serves one connection; `received` is called with each request."""
    stream = connection.makefile("rb")
    while parsed := read(stream):
        one = request(name, *parsed)
        received(one)
        respond(connection.sendall, one)
        if not parsed[2] & 1:
            return
