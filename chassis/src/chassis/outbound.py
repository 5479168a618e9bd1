"""Calls to other services over HTTP, with time limits, retries and a circuit breaker.

A service that does not answer is unavailable. A service that answers and rejects the request is not: then the
request is wrong, which is a bug here.

The client uses aiohttp, because a read with httpx costs ten times the CPU, and one request may need several.
In the breaker, pybreaker counts, and this module handles concurrent and cancelled calls.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import orjson
import pybreaker
import stamina
import structlog

from chassis.errors import TokenRejected, Unavailable
from chassis.telemetry.logs import current_traceparent

log = structlog.get_logger(__name__)

T = TypeVar("T")
Params = Mapping[str, str | int | Sequence[str]]

_TEMPORARY_STATUSES = frozenset({429, 502, 503, 504})
_HEADERS = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with a 2xx status; `content` is its body."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.content)


class RequestRejected(Exception):
    """The service rejected the request, which is a bug here: it is logged, and the caller gets a 500."""

    def __init__(self, name: str, status: int, content: bytes) -> None:
        super().__init__(f"{name} answered {status}: {content[:300].decode(errors='replace')}")


class ServerFailed(Unavailable):
    """The service answered this request with a 5xx status."""


REQUEST_ERRORS = (RequestRejected, ServerFailed)
"""Errors that concern a single request: they do not open the circuit, and other requests may succeed."""


class _Temporary(Exception):
    """The service answered with a temporary error; a retry may help."""


_WORTH_RETRYING = (_Temporary, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
_FAILURES = (_Temporary, aiohttp.ClientError, TimeoutError)


class ServiceClient:
    """Reads from one other service, through a pool of connections.

    `name`: the service, for logs and errors.
    `timeout`: seconds for one attempt.
    `attempts`: the maximum number of attempts.
    `total`: seconds for all attempts together, including the pauses between them.
    `breaker_failures`: after so many failed calls in a row the circuit opens, and no call is made.
    `breaker_reset`: seconds until a call is tried again.
    `connections`: the maximum number of open connections.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout: float = 2,
        attempts: int = 3,
        total: float = 5,
        breaker_failures: int = 5,
        breaker_reset: float = 5,
        connections: int = 50,
    ) -> None:
        self.name = name
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._total = total
        self._connections = connections
        self._circuit = Circuit(name, failures=breaker_failures, reset=breaker_reset, counts=_FAILURES)
        self._retrying = stamina.AsyncRetryingCaller(
            attempts=attempts, timeout=total, wait_initial=0.05, wait_max=1, wait_jitter=0.1
        ).on(_WORTH_RETRYING)
        self._session: aiohttp.ClientSession | None = None

    async def get_json(self, path: str, *, params: Params | None = None, token: str | None = None) -> Answer:
        """GET `path`, with the caller's access token if there is one.

        Raises Unavailable when the service does not answer, ServerFailed when it answers with a 5xx status,
        TokenRejected when it does not accept the token, and RequestRejected when it rejects the request.
        """
        bearer = None if token is None else f"Bearer {token}"
        sent = {"authorization": bearer, "traceparent": current_traceparent()}
        headers = {name: value for name, value in sent.items() if value is not None}
        try:
            answer = await self._circuit.call(
                lambda: self._get_with_retries(self._base + path, params, headers)
            )
        except CircuitOpen as error:
            raise self._unavailable(error.retry_after) from error
        except _FAILURES as error:
            raise self._unavailable(1) from error
        if answer.status_code == 401 and token is not None:
            raise TokenRejected("The token is not accepted any more.")
        if answer.status_code >= 500:
            raise ServerFailed(f"{self.name} does not answer as expected.")
        if not 200 <= answer.status_code < 300:
            raise RequestRejected(self.name, answer.status_code, answer.content)
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _unavailable(self, retry_after: float) -> Unavailable:
        return Unavailable(f"{self.name} does not answer.", retry_after=retry_after)

    async def _get_with_retries(self, url: str, params: Params | None, headers: dict[str, str]) -> Answer:
        async with asyncio.timeout(self._total):
            try:
                return await self._get_once(url, params, headers)
            except _WORTH_RETRYING as error:
                failed: Exception | None = error

            async def attempt() -> Answer:
                nonlocal failed
                if failed is not None:  # stamina costs as much CPU as the call, so it sees only failed calls
                    first, failed = failed, None
                    raise first
                return await self._get_once(url, params, headers)

            return await self._retrying(attempt)

    async def _get_once(self, url: str, params: Params | None, headers: dict[str, str]) -> Answer:
        async with self._open().get(url, params=params, headers=headers, allow_redirects=False) as response:
            content = await response.read()
        if response.status in _TEMPORARY_STATUSES:
            raise _Temporary(response.status)
        return Answer(response.status, content)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # made late, because a session belongs to the event loop that runs then
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                timeout=self._timeout,
            )
        return self._session


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
