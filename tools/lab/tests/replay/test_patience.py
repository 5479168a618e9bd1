"""What the shop cannot do now is asked again, unless asking twice would do it twice."""

from collections.abc import Iterator

import httpx
import pytest

from lab.replay.patience import Patience, Patient

QUICK = Patience(tries=3, first=0.001, longest=0.002)


class Script:
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.asked = 0
        self._answers: Iterator[httpx.Response | Exception] = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def ask(script: Script, path: str = "/v1/orders") -> httpx.Response:
    transport = Patient(httpx.MockTransport(script), QUICK)
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
async def test_not_now_is_asked_again(first: httpx.Response | Exception) -> None:
    assert (await ask(Script(first, httpx.Response(202)))).status_code == 202


@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500])
async def test_an_answer_is_taken(status: int) -> None:
    script = Script(httpx.Response(status))

    assert (await ask(script)).status_code == status


async def test_patience_ends() -> None:
    script = Script(*(httpx.Response(503) for _ in range(9)))

    assert (await ask(script)).status_code == 503
    assert script.asked == QUICK.tries


async def test_stock_that_may_have_been_adjusted_is_not_adjusted_again() -> None:
    unclear, broken = Script(httpx.Response(503)), Script(httpx.ReadTimeout("too slow"))

    assert (await ask(unclear, path="/v1/products/85123A/stock")).status_code == 503
    with pytest.raises(httpx.ReadTimeout):
        await ask(broken, path="/v1/products/85123A/stock")


async def test_an_adjustment_that_the_gateway_held_back_is_made_later() -> None:
    script = Script(httpx.Response(429), httpx.Response(200))

    assert (await ask(script, path="/v1/products/85123A/stock")).status_code == 200
