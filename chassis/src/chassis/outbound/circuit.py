"""A circuit breaker for coroutines: pybreaker counts, and this module handles concurrent and cancelled
calls."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pybreaker
import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CircuitOpen(Exception):
    """Too many calls failed; no call is made for `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"no call is made for {retry_after:.1f} s")
        self.retry_after = retry_after


class _Failed(Exception):
    pass


class Circuit:
    """Makes calls, and refuses them for a while after too many have failed.

    Unlike pybreaker alone: while the circuit is half-open, a single call is made and the others are refused;
    a cancelled call counts neither as a failure nor as a success; a call that was in flight when the circuit
    opened returns its own outcome, which is not counted any more.

    `name`: what is called, for the logs.
    `failures`: the circuit opens after so many failures in a row.
    `reset`: seconds until an open circuit is half-open.
    `counts`: the errors that count as failures.
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
        """Do the work and count its outcome. While the circuit is open, raises CircuitOpen instead."""
        if self._breaker.current_state == pybreaker.STATE_CLOSED:
            return await self._watch(work, pybreaker.STATE_CLOSED)
        self._admit_probe()
        try:
            result = await self._watch(work, pybreaker.STATE_HALF_OPEN)
            log.info("circuit closed", called=self._name)
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
            log.warning("circuit opened", called=self._name, seconds=self._reset)
