"""Loading a real Kong, with a fake one that follows a script: no test starts before the routes are there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.running import AGREED, load_kong

LAB = (Path(__file__).parent / "lab.yml").read_text()


class ScriptedKong:
    """Admin and proxy port in one. It keeps what it was given, and answers the proxy's requests with
    `statuses`, the last of them for ever."""

    def __init__(self, *statuses: int) -> None:
        self.loaded: list[Any] = []
        self.asked: list[str] = []
        self._statuses = statuses

    def load(self, body: bytes) -> None:
        self.loaded.append(yaml.safe_load(body))

    def ask(self, path: str) -> int:
        self.asked.append(path)
        return self._statuses[min(len(self.asked), len(self._statuses)) - 1]

    def names(self, load: int) -> set[str]:
        services = self.loaded[load]["services"]
        return {one["name"] for service in services for one in (service, *service["routes"])}


@contextmanager
def serving(kong: ScriptedKong) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kong.load(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(201)

        def do_GET(self) -> None:
            self._answer(kong.ask(self.path))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def test_loading_waits_until_every_worker_has_the_routes() -> None:
    kong = ScriptedKong(404, 200, 404, 200, 200, 404, 200)
    with serving(kong) as url:
        load_kong(url, url, LAB)
    assert len(kong.asked) == 6 + AGREED
    assert set(kong.asked) == {kong.loaded[0]["services"][-1]["routes"][0]["paths"][0]}


def test_routes_that_never_come_are_an_error() -> None:
    kong = ScriptedKong(404)
    with serving(kong) as url, pytest.raises(AssertionError, match=r"not there within 0\.2 s"):
        load_kong(url, url, LAB, seconds=0.2)


def test_no_two_loads_share_a_name_that_counters_go_by() -> None:
    kong = ScriptedKong(200)
    with serving(kong) as url:
        load_kong(url, url, LAB)
        load_kong(url, url, LAB)
    assert not kong.names(0) & kong.names(1)
    assert len(kong.names(0)) == len(kong.names(1))
