"""The gateway as an operator starts it: one line and a code when it cannot, SIGHUP to read the file again."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from joserfc.jwk import ECKey

from standins.tests.gateway.files import SHOP, changed, smallest

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
    [("plugins", [{"name": "bot-detection"}]), ("services.0.routes.0.hosts", ["a.example"])],
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
    ],
)
def test_it_does_not_start_with_settings_that_make_no_sense(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(SHOP)
    _assert_one_line(_run(**{"PORT": "0", "KONG_FILE": str(file)} | environment))


def test_it_says_so_when_the_port_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "kong.yml"
    file.write_text(SHOP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run(PORT=str(taken.getsockname()[1]), KONG_FILE=str(file))
    _assert_one_line(done)


def test_render_prints_a_file_that_it_can_serve(tmp_path: Path) -> None:
    kong, keys = tmp_path / "kong.yml", tmp_path / "keys.json"
    kong.write_text(SHOP)
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    done = _run(
        "render", "--kong-file", str(kong), "--keys", str(keys), "--upstream", "order=127.0.0.1:18004"
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["consumers"][0]["jwt_secrets"][0]["key"] == "k1"


def test_render_refuses_a_set_without_keys(tmp_path: Path) -> None:
    kong, keys = tmp_path / "kong.yml", tmp_path / "keys.json"
    kong.write_text(SHOP)
    keys.write_text("{}")
    _assert_one_line(_run("render", "--kong-file", str(kong), "--keys", str(keys)))


class Running:
    """A gateway of which a test reads the log and the answers."""

    def __init__(self, file: Path, port: int) -> None:
        self.process = subprocess.Popen(
            COMMAND,
            env=os.environ | {"PORT": str(port), "KONG_FILE": str(file)},
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._url = f"http://127.0.0.1:{port}/"

    def wait_for(self, words: str) -> None:
        assert self.process.stderr is not None
        while True:
            ready, _, _ = select.select([self.process.stderr], [], [], 20)
            assert ready, f"never said: {words}"
            line = self.process.stderr.readline()
            assert line, f"ended before saying: {words}"
            if words in line.decode():
                return

    def status(self) -> int:
        try:
            with urllib.request.urlopen(self._url, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kong.yml"
    path.write_text(yaml.safe_dump(smallest()))
    return path


@pytest.fixture
def running(file: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gateway = Running(file, port)
    try:
        gateway.wait_for("on http://127.0.0.1")
        yield gateway
    finally:
        gateway.process.terminate()
        gateway.process.communicate(timeout=20)


def test_it_reads_the_file_again_when_told_to(file: Path, running: Running) -> None:
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
