from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from standins.gateway.exchange import Answer, Headers
from standins.gateway.plugins.rate_limiting import (
    CannotCount,
    Config,
    Counters,
    LocalCounters,
    RateLimiting,
    Window,
)
from tools.standins.tests.unit.gateway.exchanges import exchange


@dataclass
class Clock:
    now: float = 6000.0

    def __call__(self) -> float:
        return self.now


class Nowhere:
    """Counters that cannot be reached."""

    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        raise CannotCount

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        raise AssertionError("nothing was counted")


def _limits(
    clock: Clock, counters: Counters | None = None, *, fault_tolerant: bool = False, **windows: int
) -> RateLimiting:
    settings = {
        "limit_by": "ip",
        "policy": "local",
        "sync_rate": -1,
        "fault_tolerant": fault_tolerant,
        "hide_client_headers": False,
    }
    return RateLimiting(Config.model_validate(settings | windows), counters or LocalCounters(), clock)


async def _ask(limits: RateLimiting, client: str = "10.0.0.1") -> tuple[Answer | None, Headers]:
    request, headers = exchange(client), Headers()
    answer = await limits.access(request)
    limits.decorate(request, headers)
    return answer, headers


async def test_a_window_lets_its_limit_through_and_no_more() -> None:
    limits = _limits(Clock(), minute=2)
    assert [(await _ask(limits))[0] is None for _ in range(4)] == [True, True, False, False]


async def test_the_answer_at_the_limit_has_a_retry_after() -> None:
    clock = Clock(6000 + 45.5)
    limits = _limits(clock, minute=1)
    await _ask(limits)
    answer, headers = await _ask(limits)
    assert answer is not None
    assert answer.status == 429
    assert orjson.loads(answer.body)["message"] == "API rate limit exceeded"
    assert headers[b"retry-after"] == headers[b"ratelimit-reset"] == b"15"


async def test_a_window_starts_with_the_clocks_minute_not_with_the_first_request() -> None:
    clock = Clock(6059)
    limits = _limits(clock, minute=1)
    await _ask(limits)
    clock.now = 6060
    assert (await _ask(limits))[0] is None


async def test_each_client_has_a_count_of_its_own() -> None:
    limits = _limits(Clock(), minute=1)
    await _ask(limits, "10.0.0.1")
    assert (await _ask(limits, "10.0.0.2"))[0] is None
    assert (await _ask(limits, "10.0.0.1"))[0] is not None


async def test_the_general_headers_are_those_of_the_scarcest_window() -> None:
    limits = _limits(Clock(), minute=5, hour=7)
    _, headers = await _ask(limits)
    assert (headers[b"ratelimit-limit"], headers[b"ratelimit-remaining"]) == (b"5", b"4")
    assert headers[b"x-ratelimit-remaining-hour"] == b"6"


async def test_a_refused_request_does_not_use_up_the_longer_window() -> None:
    clock = Clock()
    limits = _limits(clock, minute=1, hour=3)
    for _ in range(5):
        await _ask(limits)
    clock.now += 60
    _, headers = await _ask(limits)
    assert headers[b"x-ratelimit-remaining-hour"] == b"1"


async def test_without_fault_tolerance_no_request_passes_uncounted() -> None:
    answer, headers = await _ask(_limits(Clock(), Nowhere(), minute=1))
    assert answer is not None
    body = {"message": "An unexpected error occurred", "request_id": "0" * 32}
    assert (answer.status, orjson.loads(answer.body)) == (500, body)
    assert headers == {}


async def test_with_fault_tolerance_requests_pass_uncounted_and_without_limit_headers() -> None:
    assert await _ask(_limits(Clock(), Nowhere(), fault_tolerant=True, minute=1)) == (None, {})
