"""rate-limiting with policy `local`: so many requests of one address in each clock second, minute or hour."""

import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from standins.gateway.answers import message
from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.strict import Strict

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class Config(Strict):
    second: int | None = Field(default=None, gt=0)
    minute: int | None = Field(default=None, gt=0)
    hour: int | None = Field(default=None, gt=0)
    limit_by: Literal["ip"]
    policy: Literal["local"]
    fault_tolerant: bool
    hide_client_headers: Literal[False]

    @model_validator(mode="after")
    def _windows_grow(self) -> "Config":
        limits = [limit for limit in (self.second, self.minute, self.hour) if limit is not None]
        if not limits or limits != sorted(limits):
            raise ValueError("give a limit, and none lower than that of a shorter window")
        return self


class Entry(Strict):
    name: Literal["rate-limiting"]
    config: Config


class RateLimiting:
    priority = 910

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        named = {"second": config.second, "minute": config.minute, "hour": config.hour}
        self._windows = [_Window(name, limit) for name, limit in named.items() if limit is not None]
        self._clock = clock

    async def access(self, exchange: Exchange) -> Answer | None:
        now = int(self._clock())
        used = [(window.used(exchange.client, now), window) for window in self._windows]
        full = next((window for count, window in used if count >= window.limit), None)
        headers: Headers = {}
        scarcest: tuple[int, int] | None = None
        for count, window in used:
            spent = 1 if full is None or full is window else 0
            left = max(0, window.limit - count - spent)
            headers |= window.headers(left)
            if scarcest is None or (left, -window.seconds) < scarcest:
                scarcest = (left, -window.seconds)
                general = window.general(left, now)
        headers |= general
        exchange.notes[self] = headers
        if full is not None:
            headers[b"retry-after"] = headers[b"ratelimit-reset"]
            return message(exchange, 429, "API rate limit exceeded")
        for window in self._windows:
            window.count(exchange.client)
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        headers.update(exchange.notes.get(self, {}))


class _Window:
    """The counts of the running window; the next one starts empty."""

    def __init__(self, name: str, limit: int) -> None:
        self.limit = limit
        self.seconds = _SECONDS[name]
        self._limit_header = f"x-ratelimit-limit-{name}".encode()
        self._left_header = f"x-ratelimit-remaining-{name}".encode()
        self._started = -1
        self._counts: dict[str, int] = {}

    def used(self, client: str, now: int) -> int:
        started = now - now % self.seconds
        if started != self._started:
            self._started, self._counts = started, {}
        return self._counts.get(client, 0)

    def count(self, client: str) -> None:
        self._counts[client] = self._counts.get(client, 0) + 1

    def headers(self, left: int) -> Headers:
        return {self._limit_header: b"%d" % self.limit, self._left_header: b"%d" % left}

    def general(self, left: int, now: int) -> Headers:
        reset = max(1, self._started + self.seconds - now)
        return {
            b"ratelimit-limit": b"%d" % self.limit,
            b"ratelimit-remaining": b"%d" % left,
            b"ratelimit-reset": b"%d" % reset,
        }
