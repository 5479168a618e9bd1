"""A circuit breaker for coroutines: pybreaker counts, concurrent calls and cancelling are seen to here."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pybreaker
import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CircuitOpen(Exception):
    """Too many calls failed lately; it is not tried again before `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"not tried again for {retry_after:.1f} s")
        self.retry_after = retry_after


class _Failed(Exception):
    pass


class Circuit:
    """Opens after `failures` calls in a row have raised `counts`; `reset` seconds later one call probes.

    Unlike pybreaker alone: while half-open a single call goes through and the others are refused, a call
    that is cancelled says nothing either way, and a call that was in flight when the circuit opened keeps
    its own outcome, which then counts no more.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int,
        reset: float,
        counts: tuple[type[Exception], ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._reset = reset
        self._counts = counts
        self._clock = clock
        self._opened = 0.0
        self._probing = False
        self._breaker = pybreaker.CircuitBreaker(fail_max=failures)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return str(self._breaker.current_state)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work and note how it went. Raises CircuitOpen instead while the circuit is open."""
        if self._breaker.current_state == pybreaker.STATE_CLOSED:
            return await self._watch(work, pybreaker.STATE_CLOSED)
        self._admit_probe()
        try:
            result = await self._watch(work, pybreaker.STATE_HALF_OPEN)
            log.info("circuit closed", neighbour=self._name)
            return result
        finally:
            self._probing = False

    def _admit_probe(self) -> None:
        waited = self._clock() - self._opened
        if self._probing:
            raise CircuitOpen(1)
        if self._breaker.current_state == pybreaker.STATE_OPEN:
            if waited < self._reset:
                raise CircuitOpen(self._reset - waited)
            self._breaker.half_open()
        self._probing = True

    async def _watch(self, work: Callable[[], Awaitable[T]], began: str) -> T:
        try:
            result = await work()
        except self._counts:
            if self._breaker.current_state == began:
                self._note_failure()
            raise
        if self._breaker.current_state == began:
            self._note_success()
        return result

    def _note_success(self) -> None:
        if self._breaker.fail_counter or self._breaker.current_state != pybreaker.STATE_CLOSED:
            self._breaker.call(bool)

    def _note_failure(self) -> None:
        def fail() -> None:
            raise _Failed

        with suppress(_Failed, pybreaker.CircuitBreakerError):
            self._breaker.call(fail)
        if self._breaker.current_state == pybreaker.STATE_OPEN:
            self._opened = self._clock()
            log.warning("circuit opened", neighbour=self._name, seconds=self._reset)
