"""Requests that the shop cannot serve now are repeated, unless a repeat would do it twice."""

from collections.abc import Iterator

import httpx
import pytest

from lab.load import RetryPolicy, RetryTransport

QUICK = RetryPolicy(attempts=3, first_pause=0.001, longest_pause=0.002)


class Script:
    """Gives these responses one after the other; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests = 0
        self._answers: Iterator[httpx.Response | Exception] = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def post(script: Script, path: str = "/v1/orders") -> httpx.Response:
    transport = RetryTransport(1, QUICK, httpx.MockTransport(script))
    async with httpx.AsyncClient(base_url="http://shop", transport=transport) as http:
        return await http.request("POST", path)


@pytest.mark.parametrize(
    "first",
    [
        httpx.Response(429, headers={"Retry-After": "60"}),
        httpx.Response(503),
        httpx.Response(409, headers={"Retry-After": "1"}),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("too slow"),
    ],
)
async def test_429_and_503_and_broken_connections_are_retried(first: httpx.Response | Exception) -> None:
    assert (await post(Script(first, httpx.Response(202)))).status_code == 202


@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500])
async def test_other_responses_are_final(status: int) -> None:
    script = Script(httpx.Response(status))

    assert (await post(script)).status_code == status


async def test_the_last_attempts_response_is_returned() -> None:
    script = Script(*(httpx.Response(503) for _ in range(9)))

    assert (await post(script)).status_code == 503
    assert script.requests == QUICK.attempts


async def test_a_stock_adjustment_that_may_have_been_made_is_not_repeated() -> None:
    unclear, broken = Script(httpx.Response(503)), Script(httpx.ReadTimeout("too slow"))

    assert (await post(unclear, path="/v1/products/85123A/stock")).status_code == 503
    with pytest.raises(httpx.ReadTimeout):
        await post(broken, path="/v1/products/85123A/stock")


async def test_a_stock_adjustment_that_the_gateway_limited_is_repeated() -> None:
    script = Script(httpx.Response(429), httpx.Response(200))

    assert (await post(script, path="/v1/products/85123A/stock")).status_code == 200
