"""Several gateways and one redis: they count together, and while it is away nobody slips through."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from shop.provision import certificates
from shop.provision.kong import render
from tests.edge import fake_redis
from tests.edge.asking import Reply, ask
from tests.edge.fake import Fake
from tests.edge.running import free_port, standin
from tests.edge.test_behaviour import within_one_minute
from tests.edge.tokens import KEY_SET

_LAB = (Path(__file__).parent / "lab.yml").read_text()
_ASK: dict[str, Any] = {"path": "/shared-limit"}


def _rendered(redis: str, password: str = fake_redis.PASSWORD, *, tls: bool = False) -> str:
    return render(_LAB, keys=KEY_SET, redis=redis, redis_password=password, redis_tls=tls)


def _cannot_count(reply: Reply) -> bool:
    """As Kong answers when a plugin breaks."""
    return reply.status == 500 and reply.json() == {
        "message": "An unexpected error occurred",
        "request_id": reply.headers["x-kong-request-id"],
    }


def _folders(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    return folders


def test_two_gateways_count_together(fake: Fake, tmp_path: Path) -> None:
    one, two = _folders(tmp_path)
    with (
        fake_redis.running() as redis,
        standin(_rendered(redis), one, fake.addresses) as first,
        standin(_rendered(redis), two, fake.addresses) as second,
    ):
        within_one_minute()
        replies = [ask(base, _ASK) for base in (first, second, first, second, first)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == ["2", "1", "0", "0", "0"]


def test_limits_hold_while_redis_is_unavailable_and_afterwards(fake: Fake, tmp_path: Path) -> None:
    port = free_port()
    with standin(_rendered(f"127.0.0.1:{port}"), tmp_path, fake.addresses) as edge:
        assert _cannot_count(ask(edge, _ASK))
        assert ask(edge, {"path": "/open"}).status == 200
        with fake_redis.running(port):
            within_one_minute()
            assert [ask(edge, _ASK).status for _ in range(4)] == [200, 200, 200, 429]
        assert _cannot_count(ask(edge, _ASK))
        with fake_redis.running(port):
            assert ask(edge, _ASK).status == 200


def test_a_redis_that_never_answers_does_not_block_requests(fake: Fake, tmp_path: Path) -> None:
    with fake_redis.silent() as redis, standin(_rendered(redis), tmp_path, fake.addresses) as edge:
        assert _cannot_count(ask(edge, _ASK))


def test_a_redis_that_refuses_the_password_counts_nothing(redis: str, fake: Fake, tmp_path: Path) -> None:
    with standin(_rendered(redis, "wrong"), tmp_path, fake.addresses) as edge:
        assert _cannot_count(ask(edge, _ASK))


@pytest.mark.parametrize(
    ("ca", "host", "statuses"),
    [
        pytest.param("ours", "localhost", [200, 200, 200, 429], id="trusted"),
        pytest.param("theirs", "localhost", [500], id="of another CA"),
        pytest.param("ours", "elsewhere", [500], id="for another host"),
    ],
)
def test_redis_is_counted_in_through_tls_if_its_certificate_is_trusted(
    fake: Fake, tmp_path: Path, ca: str, host: str, statuses: list[int]
) -> None:
    for shop in ("ours", "theirs"):
        certificates.provide(tmp_path / shop, "redis", [host])
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(tmp_path / "ours" / "redis.pem", tmp_path / "ours" / "redis-key.pem")
    trusted = str(tmp_path / ca / "ca.pem")
    with fake_redis.running(certificate=certificate) as redis:
        file = _rendered(redis.replace("127.0.0.1", "localhost"), tls=True)
        with standin(file, tmp_path, fake.addresses, SSL_CERT_FILE=trusted) as edge:
            within_one_minute()
            assert [ask(edge, _ASK).status for _ in statuses] == statuses
