"""rate-limiting: so many requests of one address in each clock second, minute or hour."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, model_validator

from standins.gateway.exchange import Answer, Exchange, Headers, Milliseconds, Plugin, Strict

log = logging.getLogger(__name__)


class CannotCount(Exception):
    """The counts could not be had in time."""


@dataclass(frozen=True, slots=True)
class Window:
    """One clock second, minute or hour."""

    name: str
    seconds: int
    limit: int

    def started(self, now: int) -> int:
        return now - now % self.seconds


class RedisConfig(Strict):
    """The record `redis` of the plugin; `timeout` in milliseconds. TLS is verified, or not used."""

    host: str = Field(min_length=1)
    port: Annotated[int, Field(gt=0, lt=65536)]
    timeout: Milliseconds
    database: Literal[0]
    ssl: bool
    ssl_verify: bool = False
    server_name: str | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _verified(self) -> Self:
        if (self.ssl, self.ssl) != (self.ssl_verify, self.server_name == self.host):
            raise ValueError("with ssl give ssl_verify and the host as server_name, without it neither")
        return self


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
    def _fits_together(self) -> Self:
        limits = [limit for limit in (self.second, self.minute, self.hour) if limit is not None]
        if not limits or limits != sorted(limits):
            raise ValueError("give a limit, and none lower than that of a shorter window")
        if (self.policy == "redis") != (self.redis is not None):
            raise ValueError("policy redis needs its record, and no other policy has one")
        return self

    def windows(self) -> list[Window]:
        named = (("second", 1, self.second), ("minute", 60, self.minute), ("hour", 3600, self.hour))
        return [Window(name, seconds, limit) for name, seconds, limit in named if limit is not None]


class Counters(Protocol):
    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        """How many came from `client` before this request, in each window. Raises CannotCount."""
        ...

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        """The request that was just asked about goes through."""


class LocalCounters:
    """Counts what was admitted, in this process; a window's counts go when the next one starts."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, dict[str, int]]] = {}

    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        return [self._running(window, now).get(client, 0) for window in windows]

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        for window in windows:
            counts = self._running(window, now)
            counts[client] = counts.get(client, 0) + 1

    def _running(self, window: Window, now: int) -> dict[str, int]:
        started, counts = self._counts.get(window.name, (-1, {}))
        if started != window.started(now):
            counts = {}
            self._counts[window.name] = window.started(now), counts
        return counts


class RateLimiting(Plugin):
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
            return exchange.message(500, "An unexpected error occurred")
        reached = (number for number, window in enumerate(self._windows) if used[number] >= window.limit)
        full = next(reached, None)
        headers = _headers(self._windows, used, full, now)
        exchange.notes[self] = headers
        if full is not None:
            headers[b"retry-after"] = headers[b"ratelimit-reset"]
            return exchange.message(429, "API rate limit exceeded")
        self._counters.admitted(exchange.client, self._windows, now)
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        headers.update(exchange.notes.get(self, {}))


def _headers(windows: Sequence[Window], used: Sequence[int], full: int | None, now: int) -> Headers:
    """What each window has left, and in general the scarcest; of two that are, the longer."""
    headers: Headers = {}
    scarcest: tuple[int, int] | None = None
    for number, window in enumerate(windows):
        spent = 1 if full in (None, number) else 0
        left = max(0, window.limit - used[number] - spent)
        headers[b"x-ratelimit-limit-" + window.name.encode()] = b"%d" % window.limit
        headers[b"x-ratelimit-remaining-" + window.name.encode()] = b"%d" % left
        if scarcest is None or (left, -window.seconds) < scarcest:
            scarcest = (left, -window.seconds)
            headers[b"ratelimit-limit"] = b"%d" % window.limit
            headers[b"ratelimit-remaining"] = b"%d" % left
            headers[b"ratelimit-reset"] = b"%d" % max(1, window.started(now) + window.seconds - now)
    return headers
