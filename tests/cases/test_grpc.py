"""gRPC with a client and a server of another project, `grpcio`. Messages are bytes: nothing here depends on their schema."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from sites import HOST, serving
from test_cases import PATIENCE

SERVICE = "test.Service"
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
MIB = 1 << 20


class Service(grpc.GenericRpcHandler):
    """Each method shows one kind of call. `stopped` is set when a call is cancelled or its deadline passes."""

    def __init__(self):
        self.stopped, self.go_on = threading.Event(), threading.Event()
        self.methods = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Split": grpc.unary_stream_rpc_method_handler(self.split),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Status": grpc.unary_unary_rpc_method_handler(self.status),
            "Partial": grpc.unary_stream_rpc_method_handler(self.partial),
            "Wait": grpc.unary_stream_rpc_method_handler(self.wait),
            "Hold": grpc.unary_stream_rpc_method_handler(self.hold),
        }

    def service(self, handler_call_details):
        return self.methods.get(handler_call_details.method.rpartition("/")[2])

    def echo(self, request, context):
        received = {name: value for name, value in context.invocation_metadata() if name.startswith("x-")}
        context.send_initial_metadata((*sorted(received.items()), ("x-initial", "1")))
        context.set_trailing_metadata((("x-trailing", "2"), ("x-trailing-bin", b"\0\xff")))
        return request

    def split(self, request, context):
        for index in range(len(request)):
            yield request[index:index + 1]

    def join(self, requests, context):
        return b"".join(requests)

    def chat(self, requests, context):
        for request in requests:
            yield request.upper()

    def status(self, request, context):
        code = next(code for code in grpc.StatusCode if code.value[0] == int(request))
        context.set_trailing_metadata((("x-trailing", "2"),))
        if code is grpc.StatusCode.OK:
            return b"fine"
        return context.abort(code, f"details: \N{EURO SIGN} % of {code.name}")

    def partial(self, request, context):
        yield b"first"
        context.abort(grpc.StatusCode.DATA_LOSS, "after a message")

    def wait(self, request, context):
        """Sends the time that is left, and nothing more until the call ends."""
        context.add_callback(self.stopped.set)
        left = context.time_remaining()
        yield b"none" if left is None else f"{left}".encode()
        self.stopped.wait(PATIENCE)

    def hold(self, request, context):
        yield b"first"
        self.go_on.wait(PATIENCE)
        for _ in range(10):
            yield b"x" * 50_000


@pytest.fixture(scope="module")
def service():
    service = Service()
    server = grpc.server(ThreadPoolExecutor(16), handlers=[service], options=UNBOUNDED)
    service.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait(PATIENCE)


@pytest.fixture(scope="module")
def site(service, tmp_path_factory):
    with started(tmp_path_factory.mktemp("grpc"), service) as run:
        yield run


def started(directory, service, **case):
    return serving(directory, port=service.port, tls=True, annotations={"backend-protocol": "GRPC", "proxy-body-size": "0"}, **case)


@contextmanager
def channel(site, kind, service=None):
    """A channel to the program, or to the server itself."""
    options = [*UNBOUNDED, ("grpc.default_authority", HOST), ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
    if kind == "direct":
        opened = grpc.insecure_channel(f"127.0.0.1:{service.port}", options)
    elif kind == "clear":
        opened = grpc.insecure_channel(f"127.0.0.1:{site.ports[0]}", options)
    else:
        trusted = site.certificates.leaf("site", [HOST]).texts()[0]
        options.append(("grpc.ssl_target_name_override", HOST))
        opened = grpc.secure_channel(f"127.0.0.1:{site.ports[1]}", grpc.ssl_channel_credentials(trusted), options)
    with opened:
        yield opened


@pytest.fixture(params=["clear", "tls"])
def client(request, site):
    with channel(site, request.param) as opened:
        yield opened


@pytest.fixture
def direct(site, service):
    with channel(site, "direct", service) as opened:
        yield opened


def method(client, kind, name):
    """A callable of a method, by its kind such as `unary_stream`."""
    return getattr(client, kind)(f"/{SERVICE}/{name}")


def outcome(call):
    """What a client sees of the end of a call, without the fields that the program adds to the head of any response: without
    a message, the head is also the end."""
    metadata = [item for item in call.trailing_metadata() if item[0] not in ("date", "strict-transport-security")]
    return call.code(), call.details(), sorted(metadata)


def failed(client, kind, name, request):
    """Calls a method that fails; the messages that arrived, and the end."""
    messages = []
    with pytest.raises(grpc.RpcError) as error:
        if kind == "unary_unary":
            method(client, kind, name)(request, timeout=PATIENCE)
        for message in method(client, kind, name)(request, timeout=PATIENCE):
            messages.append(message)
    return messages, outcome(error.value)


def test_unary(client, direct):
    ends = []
    for one in (client, direct):
        metadata = (("x-text", "a b"), ("x-bytes-bin", b"\0\1\xff"))
        response, call = method(one, "unary_unary", "Echo").with_call(b"hello", metadata=metadata, timeout=PATIENCE)
        assert response == b"hello"
        initial = [item for item in call.initial_metadata() if item[0].startswith("x-")]
        ends.append(([item for item in initial if item[0] in ("x-text", "x-bytes-bin", "x-initial")], outcome(call)))
    assert ends[0] == ends[1]
    assert len(ends[0][0]) == 3


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_536, 4 * MIB, 16 * MIB])
def test_messages_of_any_size(client, size):
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert method(client, "unary_unary", "Echo")(message, timeout=PATIENCE) == message


def test_server_streaming(client):
    assert b"".join(method(client, "unary_stream", "Split")(b"0123456789" * 100, timeout=PATIENCE)) == b"0123456789" * 100


def test_client_streaming(client):
    messages = [bytes([index]) * 10_000 for index in range(100)]
    assert method(client, "stream_unary", "Join")(iter(messages), timeout=PATIENCE) == b"".join(messages)


def test_bidirectional_streaming(client):
    """Each message is sent after the response to the one before, so none is held back."""
    answered = threading.Semaphore(1)

    def requests():
        for index in range(100):
            assert answered.acquire(timeout=PATIENCE)
            yield f"message {index}".encode()

    received = []
    for response in method(client, "stream_stream", "Chat")(requests(), timeout=2 * PATIENCE):
        received.append(response)
        answered.release()
    assert received == [f"MESSAGE {index}".encode() for index in range(100)]


def test_many_calls_at_once(client):
    calls = [method(client, "unary_unary", "Echo").future(f"{index}".encode() * 1000, timeout=PATIENCE) for index in range(300)]
    assert [call.result() for call in calls] == [f"{index}".encode() * 1000 for index in range(300)]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_every_status_is_that_of_the_server(client, direct, code):
    request = f"{code.value[0]}".encode()
    through, without = (failed(one, "unary_unary", "Status", request) for one in (client, direct))
    assert through == without
    assert through[1][0] is code


def test_status_after_a_message_and_of_an_unknown_method(client, direct):
    for kind, name in (("unary_stream", "Partial"), ("unary_unary", "Missing")):
        through, without = (failed(one, kind, name, b"") for one in (client, direct))
        assert through == without


def test_deadline_reaches_the_server(client, service):
    service.stopped.clear()
    call = method(client, "unary_stream", "Wait")(b"", timeout=2)
    assert 0 < float(next(call)) <= 2
    with pytest.raises(grpc.RpcError) as error:
        next(call)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.stopped.wait(PATIENCE)


def test_cancellation_reaches_the_server(client, service):
    service.stopped.clear()
    call = method(client, "unary_stream", "Wait")(b"")
    next(call)
    call.cancel()
    assert service.stopped.wait(PATIENCE)
    assert call.code() is grpc.StatusCode.CANCELLED


def test_unavailable_server(tmp_path):
    case = {"port": 1, "tls": True, "annotations": {"backend-protocol": "GRPC"}}
    with serving(tmp_path, **case) as run, channel(run, "clear") as client:
        _, (code, _, _) = failed(client, "unary_unary", "Echo", b"")
        assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("kind", ["clear", "tls"])
def test_stream_in_flight_ends_after_sigterm(tmp_path, service, kind):
    service.go_on.clear()
    with started(tmp_path, service, flags=["--shutdown-grace-period=0"]) as run, channel(run, kind) as client:
        call = method(client, "unary_stream", "Hold")(b"")
        assert next(call) == b"first"
        run.program.send_signal(signal.SIGTERM)
        refused_at_last(client)
        service.go_on.set()
        assert [len(message) for message in call] == [50_000] * 10
        assert call.code() is grpc.StatusCode.OK
        assert run.program.wait(PATIENCE) == 0


def refused_at_last(client):
    """Waits until the channel has noticed the GOAWAY: its new connections are refused."""
    noticed = threading.Event()
    client.subscribe(lambda state: state is not grpc.ChannelConnectivity.READY and noticed.set(), try_to_connect=False)
    assert noticed.wait(PATIENCE)
