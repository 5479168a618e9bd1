"""Who is asked whether a key is good, and what the answers mean."""

from pathlib import Path

import httpx
import pytest

from devstack.operated import OperatedStack
from shop.errors import ShopError
from shop.keys.ring import SigningKey
from shop.keys.verifiers import Verifiers

KEY = SigningKey.made(1_800_000_000)


def answering(*statuses: int, timeout: float = 45) -> Verifiers:
    """One verifier for each status; 0 does not answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("Bearer ey")
        status = int(request.url.host)
        if not status:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Verifiers({f"answers {status}": f"http://{status}/" for status in statuses}, http, timeout)


async def test_only_a_401_says_that_a_key_is_not_taken() -> None:
    answers = await answering(200, 403, 401, 503, 0).who_accepts(KEY)
    assert [*answers.values()] == [True, True, False, None, None]


async def test_who_does_not_answer_has_not_agreed() -> None:
    with pytest.raises(ShopError, match="not accepted yet by answers 401, answers 503"):
        await answering(200, 401, 503, timeout=-1).until_all_accept(KEY)
    with pytest.raises(ShopError, match="still accepted by answers 200, answers 0"):
        await answering(200, 401, 0, timeout=-1).until_none_accepts(KEY)
    await answering(200, 403).until_all_accept(KEY)
    await answering(401).until_none_accepts(KEY)


async def test_every_copy_of_a_service_is_asked_by_itself(tmp_path: Path) -> None:
    stack = OperatedStack.create(tmp_path, 24000, replicas=2)
    async with httpx.AsyncClient() as http:
        asked = Verifiers.of(stack, http).urls
    assert {"gateway", "auth", "auth-2", "product-2", "cart-2", "order", "order-2"} <= asked.keys()
    assert len({url.partition("/v1")[0] for url in asked.values()}) == len(asked)
