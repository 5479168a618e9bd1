"""rate-limiting: so many requests of one address in each clock second, minute or hour."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from standins.gateway.answers import message, refusal
from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.plugins.counters import CannotCount, Counters, Window
from standins.gateway.strict import Strict

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}

log = logging.getLogger(__name__)


class RedisConfig(Strict):
    """The record `redis` of the plugin; `timeout` in milliseconds."""

    host: str = Field(min_length=1)
    port: Annotated[int, Field(gt=0, lt=65536)]
    timeout: Annotated[int, Field(gt=0, lt=2**31)]
    database: Literal[0]
    ssl: Literal[False]
    password: str | None = None


class Config(Strict):
    second: int | None = Field(default=None, gt=0)
    minute: int | None = Field(default=None, gt=0)
    hour: int | None = Field(default=None, gt=0)
    limit_by: Literal["ip"]
    policy: Literal["local", "redis"]
    fault_tolerant: bool
    hide_client_headers: Literal[False]
    sync_rate: Literal[-1]
    redis: RedisConfig | None = None

    @model_validator(mode="after")
    def _windows_grow(self) -> Self:
        limits = [limit for limit in (self.second, self.minute, self.hour) if limit is not None]
        if not limits or limits != sorted(limits):
            raise ValueError("give a limit, and none lower than that of a shorter window")
        return self

    @model_validator(mode="after")
    def _a_redis_for_the_policy_that_needs_one(self) -> Self:
        if (self.policy == "redis") != (self.redis is not None):
            raise ValueError("policy redis needs its record, and no other policy has one")
        return self

    def windows(self) -> list[Window]:
        named = {"second": self.second, "minute": self.minute, "hour": self.hour}
        return [Window(name, _SECONDS[name], limit) for name, limit in named.items() if limit is not None]


class Entry(Strict):
    name: Literal["rate-limiting"]
    config: Config


class RateLimiting:
    priority = 910

    def __init__(self, config: Config, counters: Counters, clock: Callable[[], float] = time.time) -> None:
        self._windows = config.windows()
        self._fault_tolerant = config.fault_tolerant
        self._counters = counters
        self._clock = clock

    async def access(self, exchange: Exchange) -> Answer | None:
        now = int(self._clock())
        try:
            used = await self._counters.used(exchange.client, self._windows, now)
        except CannotCount as failure:
            log.error("cannot count: %s", failure)
            if self._fault_tolerant:
                return None
            return refusal(500, {"message": "An unexpected error occurred"}, {})
        reached = (place for place, window in enumerate(self._windows) if used[place] >= window.limit)
        full = next(reached, None)
        headers = _headers(self._windows, used, full, now)
        exchange.notes[self] = headers
        if full is not None:
            headers[b"retry-after"] = headers[b"ratelimit-reset"]
            return message(exchange, 429, "API rate limit exceeded")
        self._counters.admitted(exchange.client, self._windows, now)
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        headers.update(exchange.notes.get(self, {}))


def _headers(windows: Sequence[Window], used: Sequence[int], full: int | None, now: int) -> Headers:
    """What each window has left, and in general the scarcest; of two that are, the longer."""
    headers: Headers = {}
    scarcest: tuple[int, int] | None = None
    for place, window in enumerate(windows):
        spent = 1 if full in (None, place) else 0
        left = max(0, window.limit - used[place] - spent)
        headers[b"x-ratelimit-limit-" + window.name.encode()] = b"%d" % window.limit
        headers[b"x-ratelimit-remaining-" + window.name.encode()] = b"%d" % left
        if scarcest is None or (left, -window.seconds) < scarcest:
            scarcest = (left, -window.seconds)
            headers[b"ratelimit-limit"] = b"%d" % window.limit
            headers[b"ratelimit-remaining"] = b"%d" % left
            headers[b"ratelimit-reset"] = b"%d" % max(1, window.started(now) + window.seconds - now)
    return headers
