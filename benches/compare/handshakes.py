"""TLS handshakes, each on a new connection and with one request, one after the other.

    handshakes.py HOST PORT full|resumed SECONDS [RATE LOG-FILE]

With RATE, so many a second begin, whenever they are due, and the log has a line for each: when it was due, in microseconds, the
status, and the microseconds until the end of the response. A handshake that is full where it should be resumed has failed, and
the other way round. `openssl s_time` sends neither a server name nor a Host.
"""

import signal
import socket
import ssl
import sys
import time


def main(host, port, kind, seconds, rate=0, log_file=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    request = f"GET /small HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    stopped, failures, log = [], 0, []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    # The first one is full in any case, and not counted among the failures.
    session = exchange(context, host, port, request, None)[2] if kind == "resumed" else None
    begin, sent = time.time(), 0
    while not stopped and (now := time.time()) < begin + seconds:
        due = begin + sent / rate if rate else now
        if due > now:
            time.sleep(min(due - now, seconds))
        sent += 1
        try:
            status, resumed, next_session = exchange(context, host, port, request, session)
        except OSError:
            status, resumed, next_session = 0, False, session
        failures += status != 200 or resumed != (kind == "resumed")
        if kind == "resumed":
            session = next_session
        log.append((due, status, time.time() - due))
    if log_file:
        with open(log_file, "w") as file:
            file.writelines(f"{int(at * 1e6)}\t{status}\t{int(took * 1e6)}\n" for at, status, took in log)
    print(f"failed: {failures}")


def exchange(context, host, port, request, session):
    """The status, whether the session was resumed, and the session for the next handshake."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=host, session=session) as stream:
            stream.sendall(request)
            response = b""
            while received := stream.recv(65536):
                response += received
            # Tickets of TLS 1.3 follow the handshake: they are known once something was read.
            return int(response[9:12] or 0), stream.session_reused, stream.session


if __name__ == "__main__":
    host, port, kind, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    main(host, port, kind, seconds, *((float(sys.argv[5]), sys.argv[6]) if len(sys.argv) > 5 else ()))
