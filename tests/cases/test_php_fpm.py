"""FastCGI with php-fpm itself, as Debian packages it."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

from test_cases import PATIENCE, Run, endpoint_slice, free_ports

HOST = "php.example.com"
SCRIPTS = {
    "index.php": "<?php header('X-Powered-By: test'); echo json_encode($_SERVER);",
    "form.php": "<?php echo json_encode(['post' => $_POST, 'file' => hash_file('sha256', $_FILES['f']['tmp_name'])]);",
    "upload.php": "<?php echo hash('sha256', file_get_contents('php://input')), ' ', $_SERVER['CONTENT_LENGTH'];",
    "large.php": "<?php for ($i = 0; $i < 20000; $i++) echo str_repeat(chr(97 + $i % 26), 1000);",
    "stream.php": "<?php echo 'first'; flush(); while (!file_exists($_GET['until'])) { usleep(1000); clearstatcache(); } echo ' last';",
    "status.php": "<?php http_response_code(418); header('Set-Cookie: a=1'); header('Set-Cookie: b=2', false); echo 'teapot';",
    "redirect.php": "<?php header('Location: https://other.example/');",
    "error.php": "<?php error_log('something \"odd\"'); echo 'fine';",
    "fatal.php": "<?php no_such_function();",
    "length.php": "<?php header('Content-Length: 4'); echo 'four';",
    "auth.php": "<?php echo $_SERVER['PHP_AUTH_USER'] ?? 'nobody';",
    "slow.php": "<?php sleep(30);",
}


def executable():
    """php-fpm of any version, or None."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    names = (file.name for place in path.split(":") for file in Path(place or ".").glob("php-fpm*"))
    return next((found for found in (shutil.which(name, path=path) for name in sorted(names)) if found), None)


def objects(root, port):
    metadata = {"name": "php", "namespace": "default"}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "10.96.0.12", "ports": [{"name": "fcgi", "port": 9000}]}}
    yield endpoint_slice(metadata, "fcgi", 1, port)
    data = {"DOCUMENT_ROOT": str(root), "SCRIPT_FILENAME": f"{root}$fastcgi_script_name", "APP_ENV": "test"}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "params", "namespace": "default"}, "data": data}
    annotations = {
        "backend-protocol": "FCGI", "fastcgi-index": "index.php", "fastcgi-params-configmap": "params", "proxy-body-size": "0",
    }
    hosts = (
        ("php", HOST, {}), ("stream", f"stream.{HOST}", {"proxy-request-buffering": "off"}),
        ("slow", f"slow.{HOST}", {"proxy-read-timeout": "1"}),
    )
    for name, host, further in hosts:
        named = {f"nginx.ingress.kubernetes.io/{key}": value for key, value in {**annotations, **further}.items()}
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "php", "port": {"number": 9000}}}}
        yield {
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": named},
            "spec": {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": [path]}}]},
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not (command := executable()):
        pytest.skip("needs php-fpm (Debian: apt-get install php-fpm)")
    directory = tmp_path_factory.mktemp("php")
    root = directory / "www"
    root.mkdir()
    for name, text in SCRIPTS.items():
        (root / name).write_text(text)
    run = Run({}, directory)
    port = next(port for port in free_ports(4) if port not in run.ports)
    run.case["objects"] = yaml.safe_dump_all(objects(root, port))
    configuration = directory / "fpm.conf"
    configuration.write_text(
        f"[global]\nerror_log = {directory}/fpm.log\n"
        f"[www]\nlisten = 127.0.0.1:{port}\npm = static\npm.max_children = 4\nclear_env = no\n"
        "php_admin_value[post_max_size] = 100M\nphp_admin_value[upload_max_filesize] = 100M\nphp_admin_value[output_buffering] = 0\n"
    )
    flags = ["--nodaemonize", "--fpm-config", str(configuration)] + (["--allow-to-run-as-root"] if os.geteuid() == 0 else [])
    process = subprocess.Popen([command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is None and listens(port), lambda: (directory / "fpm.log").read_text())
        run.start()
        yield run
    finally:
        run.stop()
        process.terminate()
        process.wait()
        print(*run.log()[-20:], sep="\n")


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def until(check, why):
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, why()
        threading.Event().wait(0.02)


def get(site, path, host=HOST, **request):
    return site.send({"path": path, "host": host, **request})


def test_variables(site):
    response = get(site, "/?a=%20b", headers={"X-Foo": "bar", "Cookie": "c=1"})
    assert response.status == 200
    server = json.loads(response.body)
    expected = {
        "SCRIPT_NAME": "/index.php", "REQUEST_URI": "/?a=%20b", "QUERY_STRING": "a=%20b", "REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_X_FOO": "bar", "HTTP_COOKIE": "c=1", "HTTP_HOST": HOST, "APP_ENV": "test", "SERVER_NAME": HOST, "PHP_SELF": "/index.php",
        "SERVER_PROTOCOL": "HTTP/1.1", "REDIRECT_STATUS": "200", "FCGI_ROLE": "RESPONDER",
    }
    assert {key: server.get(key) for key in expected} == expected
    assert "HTTPS" not in server
    over_tls = json.loads(get(site, "/index.php", tls=True).body)
    assert over_tls["HTTPS"] == "on" and over_tls["REQUEST_SCHEME"] == "https"


def test_responses(site):
    teapot = get(site, "/status.php")
    assert (teapot.status, teapot.body) == (418, b"teapot")
    assert teapot.all("Set-Cookie") == ["a=1", "b=2"]
    redirect = get(site, "/redirect.php")
    assert redirect.status == 302 and redirect.all("Location") == ["https://other.example/"]
    assert get(site, "/length.php").body == b"four"
    assert get(site, "/none.php").status == 404
    head = get(site, "/large.php", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    large = get(site, "/large.php")
    assert (large.status, len(large.body)) == (200, 20_000_000)
    assert get(site, "/auth.php", headers={"Authorization": "Basic YTpi"}).body == b"a"


def test_uploads(site):
    body = os.urandom(1 << 20) * 24
    expected = f"{hashlib.sha256(body).hexdigest()} {len(body)}".encode()
    for host in (HOST, f"stream.{HOST}"):
        assert post(site, host, {"Content-Length": len(body)}, body) == expected
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[at:at + 99_999] for at in range(0, len(body), 99_999)))
        assert post(site, host, {"Transfer-Encoding": "chunked"}, chunked + b"0\r\n\r\n") == expected


def post(site, host, fields, body):
    with socket.create_connection(("127.0.0.1", site.ports[0]), 30) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, "Connection": "close", **fields}.items())
        connection.sendall(f"POST /upload.php HTTP/1.1\r\n{head}\r\n".encode() + body)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    head, content = response.split(b"\r\n\r\n", 1)
    assert b" 200 " in head.splitlines()[0], response[:500]
    return content.splitlines()[1] if b"chunked" in head.lower() else content


def test_forms(site):
    boundary, content = "b0undary", "file content"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n{content}\r\n--{boundary}--\r\n'
    )
    response = get(site, "/form.php", method="POST", body=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert json.loads(response.body) == {"post": {"x": "1"}, "file": hashlib.sha256(content.encode()).hexdigest()}


def test_output_is_passed_on_while_the_script_runs(site, tmp_path):
    marker = tmp_path / "go"
    with socket.create_connection(("127.0.0.1", site.ports[0]), PATIENCE) as connection:
        connection.sendall(f"GET /stream.php?until={marker} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while b"first" not in received:
            received += connection.recv(4096)
        assert b"last" not in received
        marker.touch()
        received += b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"last" in received and received.endswith(b"0\r\n\r\n")


def test_the_error_stream_is_logged(site):
    assert get(site, "/error.php").body == b"fine"
    until(lambda: any("FastCGI sent in stderr" in line and "odd" in line for line in site.log()), lambda: "\n".join(site.log()))
    assert get(site, "/fatal.php").status == 500
    until(lambda: any("no_such_function" in line for line in site.log()), lambda: "\n".join(site.log()))


def test_a_script_that_is_silent_for_too_long(site):
    assert get(site, "/slow.php", f"slow.{HOST}").status == 504
