import time
from dataclasses import dataclass

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from standins.gateway.plugins.jwt import Credential, Jwt, Mistake, parse, public_key
from tools.standins.tests.unit.gateway.exchanges import exchange

KEY = ECKey.generate_key("P-256", {"kid": "k1"})


@dataclass
class Clock:
    now: float = time.time()

    def __call__(self) -> float:
        return self.now


def _token(exp: float) -> str:
    return jwt.encode({"alg": "ES256", "kid": "k1"}, {"sub": "1", "exp": exp}, KEY)


def _plugin(clock: Clock) -> Jwt:
    credential = Credential(public_key(KEY.as_pem(private=False).decode()), {b"x-consumer-username": b"us"})
    return Jwt({"k1": credential}, clock)


async def _refusal(plugin: Jwt, token: str) -> object:
    answer = await plugin.access(exchange(authorization=f"Bearer {token}"))
    return answer and orjson.loads(answer.body)


async def test_a_token_that_was_good_is_refused_from_the_second_it_expires() -> None:
    clock = Clock()
    plugin, token = _plugin(clock), _token(int(clock.now) + 10)
    assert await _refusal(plugin, token) is None
    clock.now += 9
    assert await _refusal(plugin, token) is None
    clock.now += 1
    assert await _refusal(plugin, token) == {"exp": "token expired"}


async def test_a_token_like_one_that_was_good_is_checked_itself() -> None:
    clock = Clock()
    plugin, token = _plugin(clock), _token(clock.now + 10)
    assert await _refusal(plugin, token) is None
    head, _, signature = token.split(".")
    _, claims, _ = _token(clock.now + 1000).split(".")
    assert await _refusal(plugin, f"{head}.{claims}.{signature}") == {"message": "Invalid signature"}


async def test_the_cache_of_verified_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standins.gateway.plugins.jwt._REMEMBERED", 2)
    clock = Clock()
    plugin = _plugin(clock)
    for seconds in range(5):
        assert await _refusal(plugin, _token(clock.now + 100 + seconds)) is None
    assert len(plugin._verified) == 2


async def test_the_upstream_gets_the_consumer_headers_and_not_those_of_the_client() -> None:
    clock = Clock()
    request = exchange(authorization=f"Bearer {_token(clock.now + 10)}", x_consumer_username="admin")
    assert await _plugin(clock).access(request) is None
    assert request.upstream == {b"x-consumer-username": b"us"}
    assert b"x-consumer-username" in request.removed


@pytest.mark.parametrize("raw", [b"", b".", b"..", b"a.b.c", b"bnVsbA.bnVsbA.", b"\xff.\xff.\xff", b"e30"])
def test_garbage_is_a_mistake_and_not_a_crash(raw: bytes) -> None:
    with pytest.raises(Mistake):
        parse(raw)
