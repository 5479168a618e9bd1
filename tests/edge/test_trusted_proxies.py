"""An edge behind a trusted proxy, which plays this test: limits count the real client, and a client is nobody
but whom the proxy says.

The stand-in alone: a Kong has its `trusted_ips` from its start, and table.yml asks one that has none. The
expectations are what Kong's source and nginx's realip module say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shop.provision.kong import render
from tests.edge import fake_redis
from tests.edge.asking import Reply, ask
from tests.edge.fake import Fake
from tests.edge.running import standin
from tests.edge.test_behaviour import within_one_minute
from tests.edge.tokens import KEY_SET

LAB = (Path(__file__).parent / "lab.yml").read_text()


@pytest.fixture(scope="module")
def behind(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an edge that trusts every peer on this machine, and a network further out."""
    text = render(LAB, keys=KEY_SET, redis=redis, redis_password=fake_redis.PASSWORD)
    with (
        Fake("lab") as fake,
        standin(
            text,
            tmp_path_factory.mktemp("behind"),
            fake.addresses,
            TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8",
        ) as url,
    ):
        yield url


def seen(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return reply.json()["headers"]


def test_forwarding_headers_of_a_trusted_proxy_are_passed_on(behind: str) -> None:
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443"}
    headers = seen(ask(behind, {"path": "/open", "headers": said | {"X-Forwarded-For": "203.0.113.9"}}))
    assert {name.lower(): value for name, value in said.items()}.items() <= headers.items()
    assert headers["x-real-ip"] == "203.0.113.9"
    assert headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"


def test_a_trusted_proxys_https_counts_as_https(behind: str) -> None:
    assert ask(behind, {"path": "/secure"}).status == 426
    assert ask(behind, {"path": "/secure", "headers": {"X-Forwarded-Proto": "https"}}).status == 200


def test_behind_a_proxy_that_ends_tls_only_plain_requests_are_redirected(behind: str) -> None:
    path, host = "/redirected/x", {"X-Forwarded-Host": "shop.example:8443"}
    plain = ask(behind, {"path": path, "headers": host | {"X-Forwarded-Proto": "http"}})
    assert (plain.status, plain.headers["location"]) == (308, "https://shop.example:8443/redirected/x")
    assert "strict-transport-security" not in plain.headers
    secure = ask(behind, {"path": path, "headers": host | {"X-Forwarded-Proto": "https"}, "token": {}})
    assert (secure.status, secure.headers["strict-transport-security"]) == (200, "max-age=300")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("9.9.9.9, 203.0.113.9", "203.0.113.9"),
        ("9.9.9.9, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("9.9.9.9, nonsense", "127.0.0.1"),
    ],
)
def test_forwarding_headers_of_an_untrusted_client_are_ignored(
    behind: str, forwarded: str, client: str
) -> None:
    headers = seen(ask(behind, {"path": "/open", "headers": {"X-Forwarded-For": forwarded}}))
    assert headers["x-real-ip"] == client


@pytest.mark.parametrize(("path", "limit"), [("/limited", 3), ("/shared-limit", 3)])
def test_limits_count_each_client_behind_a_trusted_proxy_separately(
    behind: str, path: str, limit: int
) -> None:
    within_one_minute()

    def status(n: int, client: str) -> int:
        headers = {"X-Forwarded-For": f"198.51.100.{n}, {client}"}
        return ask(behind, {"path": path, "token": {}, "headers": headers}).status

    assert [status(n, "203.0.113.7") for n in range(limit + 1)] == [200] * limit + [429]
    assert status(0, "203.0.113.8") == 200
