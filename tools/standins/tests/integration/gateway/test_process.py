"""The gateway as an operator starts it: one line and a code when it cannot, SIGHUP to read the file again."""

import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml

from shop.provision import certificates
from tools.standins.tests.unit.gateway.files import SHOP, changed, plugin, smallest

COMMAND = [sys.executable, "-m", "standins.gateway"]


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=30
    )


def _assert_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 78
    assert done.stderr.startswith("gateway: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [("plugins", [{"name": "ip-restriction"}]), ("services.0.routes.0.hosts", ["a.example"])],
)
def test_it_does_not_start_on_what_it_does_not_know(tmp_path: Path, path: str, value: object) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(changed(smallest(), path, value))
    done = _run(PORT="0", KONG_FILE=str(file))
    _assert_one_line(done)
    assert str(file) in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"KONG_FILE": "/nowhere/kong.yml"},
        {"UPSTREAMS": "order"},
        {"UPSTREAMS": "order=18004"},
        {"PORT": "http"},
        {"HOST": "nowhere.invalid"},
        {"STATUS_PORT": "status"},
        {"TLS_PORT": "0"},
        {"TLS_PORT": "0", "TLS_CERT": "/nowhere/cert.pem", "TLS_KEY": "/nowhere/key.pem"},
    ],
)
def test_it_does_not_start_with_settings_that_make_no_sense(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(SHOP)
    _assert_one_line(_run(**{"PORT": "0", "KONG_FILE": str(file)} | environment))


def test_it_does_not_start_when_the_port_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(SHOP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run(PORT=str(taken.getsockname()[1]), KONG_FILE=str(file))
    _assert_one_line(done)


class Running:
    """A gateway of which a test reads the log and the answers."""

    def __init__(self, file: Path, port: int, status_port: int, **more: str) -> None:
        ports = {"PORT": str(port), "STATUS_PORT": str(status_port)}
        self.process = subprocess.Popen(
            COMMAND,
            env=os.environ | ports | {"KONG_FILE": str(file)} | more,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._url = f"http://127.0.0.1:{port}"
        self._status_url = f"http://127.0.0.1:{status_port}"

    def wait_for(self, words: str) -> None:
        assert self.process.stderr is not None
        while True:
            ready, _, _ = select.select([self.process.stderr], [], [], 20)
            assert ready, f"never logged: {words}"
            line = self.process.stderr.readline()
            assert line, f"ended before saying: {words}"
            if words in line.decode():
                return

    def status(self, path: str = "/") -> int:
        return _ask(self._url + path)[0]

    def ready(self) -> int:
        return _ask(f"{self._status_url}/status/ready")[0]

    def figures(self) -> list[str]:
        return _ask(f"{self._status_url}/metrics")[1].splitlines()


def _ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kong.yml"
    path.write_text(yaml.safe_dump(smallest()))
    return path


@pytest.fixture
def running(file: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [listener.getsockname()[1] for listener in (one, other)]
    gateway = Running(file, *ports)
    try:
        gateway.wait_for("on http://127.0.0.1")
        yield gateway
    finally:
        gateway.process.terminate()
        gateway.process.communicate(timeout=20)


def test_it_reads_the_file_again_on_sighup(file: Path, running: Running) -> None:
    assert running.status() == 503
    file.write_text(changed(smallest(), "services.0.routes.0.paths", ["/elsewhere"]))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("as it is now")
    assert running.status() == 404


def test_it_goes_on_with_the_old_file_when_the_new_one_is_wrong(file: Path, running: Running) -> None:
    file.write_text("services: wrong")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("still serving")
    assert running.status() == 503


def test_it_is_not_ready_from_a_reload_that_was_refused_until_one_that_is_not(
    file: Path, running: Running
) -> None:
    assert running.ready() == 200
    good = file.read_text()
    file.write_text("services: wrong")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("still serving")
    assert running.ready() == 503
    file.write_text(good)
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("as it is now")
    assert running.ready() == 200


def test_it_counts_requests_by_service_and_route_where_the_file_says_so(file: Path, running: Running) -> None:
    assert running.status() == 503
    assert not [line for line in running.figures() if not line.startswith("#")]
    file.write_text(changed(smallest(), "plugins", [plugin("prometheus")]))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("as it is now")
    for _ in range(2):
        assert running.status() == 503
    labels = 'service="shop",route="all"'
    figures = running.figures()
    counted = f'{labels},code="503",source="kong",workspace="default",consumer=""'
    assert f"kong_http_requests_total{{{counted}}} 2" in figures
    labels += ',workspace="default"'
    assert f'kong_request_latency_ms_bucket{{{labels},le="+Inf"}} 2' in figures
    assert f"kong_kong_latency_ms_count{{{labels}}} 2" in figures


def test_figures_and_readiness_are_not_where_the_shop_is(file: Path, running: Running) -> None:
    file.write_text(changed(smallest(), "services.0.routes.0.paths", ["/elsewhere"]))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("as it is now")
    assert [running.status(path) for path in ("/metrics", "/status/ready")] == [404, 404]


@dataclass
class Secure:
    """A gateway with TLS for localhost, and the folder of its certificate."""

    gateway: Running
    port: int
    folder: Path

    @contextmanager
    def connected(self, host: str) -> Iterator[HTTPConnection]:
        """Raises ssl.SSLError unless its certificate is for that host."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=host) as secure,
        ):
            http = HTTPConnection(host)
            http.sock = secure
            yield http


@pytest.fixture
def secure(file: Path, tmp_path: Path) -> Iterator[Secure]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    port, *others = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    certificates.provide(tmp_path, "gateway", ["localhost"])
    certificate, key = (str(tmp_path / name) for name in ("gateway.pem", "gateway-key.pem"))
    gateway = Running(file, *others, TLS_PORT=str(port), TLS_CERT=certificate, TLS_KEY=key)
    try:
        gateway.wait_for("on http://127.0.0.1")
        yield Secure(gateway, port, tmp_path)
    finally:
        gateway.process.terminate()
        gateway.process.communicate(timeout=20)


def _status_over(connection: HTTPConnection) -> int:
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_reload_takes_a_new_certificate_and_open_connections_go_on(secure: Secure) -> None:
    with secure.connected("localhost") as before:
        assert _status_over(before) == 503
        certificates.provide(secure.folder, "gateway", ["shop.example"])
        secure.gateway.process.send_signal(signal.SIGHUP)
        secure.gateway.wait_for("as it is now")
        with secure.connected("shop.example") as after:
            assert _status_over(after) == 503
        assert _status_over(before) == 503
    with pytest.raises(ssl.SSLCertVerificationError), secure.connected("localhost"):
        pass


def test_a_certificate_that_is_none_is_not_taken(secure: Secure) -> None:
    (secure.folder / "gateway.pem").write_text("nonsense")
    secure.gateway.process.send_signal(signal.SIGHUP)
    secure.gateway.wait_for(f"still serving the configuration from before: {secure.folder}/gateway.pem")
    assert secure.gateway.ready() == 503
    with secure.connected("localhost") as connection:
        assert _status_over(connection) == 503
