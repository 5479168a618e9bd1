"""table.yml against the edge.

`send`: method, path, headers, `token` (see tokens.py) and `token_in`, `body` (its length), `chunked`,
`withhold` (announce the body, do not send it), `long_path` (characters on top of the path), `long_headers`
(a `count` of headers with values of a `length`), `times` (the last answer counts), `tls` (over TLS). Or
`raw`: the bytes as they are.

`expect`: status, `message` of a JSON body, `id` (a request id beside it), `json` or `text` of the body, or
what its `page` has,
`headers` (regular expressions) and `without`, `server: kong` (the gateway answered itself, without asking a
service), `upstream` (what the service saw) and `tries` (how often it was asked).
"""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.asking import Reply
from tests.edge.conftest import Edge
from tests.edge.fake import Fake

CASES = yaml.safe_load((Path(__file__).parent / "table.yml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["it"] for case in CASES])
def test_a_row_of_the_table_holds_at_the_edge(case: dict[str, Any], lab_edge: Edge, fake: Fake) -> None:
    send, expect = case["send"], case["expect"]
    times = send.get("times", 1)
    if times > 1:
        within_one_minute()
    for _ in range(times):
        reply = lab_edge.ask(send)
    assert reply.status == expect["status"], reply
    _check_body(reply, expect)
    _check_headers(reply.headers, expect)
    if "upstream" in expect:
        _check_upstream(reply.json(), expect["upstream"])
    for key, tries in expect.get("tries", {}).items():
        assert fake.tries[key] == tries


def within_one_minute() -> None:
    """Limits count by the minute of the clock, so requests that belong together must not straddle two."""
    left = 60 - time.time() % 60
    if left < 5:
        time.sleep(left)


def _check_body(reply: Reply, expect: dict[str, Any]) -> None:
    if "message" in expect:
        assert reply.json()["message"] == expect["message"]
    if expect.get("id"):
        assert re.fullmatch("[0-9a-f]{32}", reply.json()["request_id"])
        assert reply.body.startswith(b'{\n  "message":')
    if "json" in expect:
        assert reply.json() == expect["json"]
    if "page" in expect:
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert re.search(expect["page"], reply.body.decode())
    if "text" in expect:
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.body.decode().startswith(expect["text"])


def _check_headers(headers: dict[str, str], expect: dict[str, Any]) -> None:
    for name, pattern in expect.get("headers", {}).items():
        assert re.fullmatch(pattern, headers[name.lower()]), f"{name}: {headers[name.lower()]}"
    for name in expect.get("without", []):
        assert name.lower() not in headers
    if expect.get("server") == "kong":
        assert headers["server"].startswith("kong/")
        assert headers.keys() >= {"x-kong-response-latency", "x-kong-request-id"}
        assert "via" not in headers


def _check_upstream(seen: dict[str, Any], expect: dict[str, Any]) -> None:
    for name, pattern in expect.get("headers", {}).items():
        assert re.fullmatch(pattern, seen["headers"][name]), f"{name}: {seen['headers'][name]}"
    for name in expect.get("without", []):
        assert name not in seen["headers"]
    for member in expect.keys() & {"path", "body", "method"}:
        assert seen[member] == expect[member]
