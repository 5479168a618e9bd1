"""A circuit breaker for coroutines: pybreaker counts, concurrent calls and cancelling are seen to here."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import pybreaker

T = TypeVar("T")


class CircuitOpen(Exception):
    """Too many calls failed lately; `retry_after` seconds from now it will be tried again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"not tried again for {retry_after:.1f} s")
        self.retry_after = retry_after


class _Failed(Exception):
    pass


class Circuit:
    """Opens after `failures` calls in a row have raised `counts`; after `reset` seconds one call probes.

    Unlike pybreaker alone: while half-open a single call goes through and the others are refused, a call
    that is cancelled says nothing either way, and a call that was in flight when the circuit opened keeps
    its own outcome, which then counts no more.
    """

    def __init__(
        self, name: str, *, failures: int, reset: float, counts: tuple[type[Exception], ...]
    ) -> None:
        self._counts = counts
        self._reset = reset
        self._probing = False
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures, reset_timeout=reset, state_storage=self._storage, name=name
        )

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return str(self._storage.state)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work and note how it went. Raises CircuitOpen instead while the circuit is open."""
        if self._storage.state == pybreaker.STATE_CLOSED:
            return await self._watch(work, pybreaker.STATE_CLOSED)
        self._admit_probe()
        self._probing = True
        try:
            return await self._watch(work, pybreaker.STATE_HALF_OPEN)
        finally:
            self._probing = False

    def _admit_probe(self) -> None:
        if self._probing:
            raise CircuitOpen(1)
        if self._storage.state == pybreaker.STATE_OPEN:
            since = datetime.now(UTC) - (self._storage.opened_at or datetime.min.replace(tzinfo=UTC))
            if since.total_seconds() < self._reset:
                raise CircuitOpen(self._reset - since.total_seconds())
            self._breaker.half_open()

    async def _watch(self, work: Callable[[], Awaitable[T]], state: str) -> T:
        try:
            result = await work()
        except self._counts:
            if self._storage.state == state:
                self._note_failure()
            raise
        if self._storage.state == state and (state != pybreaker.STATE_CLOSED or self._storage.counter):
            self._breaker.call(bool)
        return result

    def _note_failure(self) -> None:
        def fail() -> None:
            raise _Failed

        with suppress(_Failed, pybreaker.CircuitBreakerError):
            self._breaker.call(fail)
