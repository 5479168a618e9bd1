"""Reads from another service over HTTP: bounded in time, retried, and left alone while it is down.

A neighbour that is away is unavailable. One that is there and refuses what we ask is not: that is a mistake
of ours, and is never taken for its absence.

aiohttp and not httpx: a read costs a tenth of the CPU, and a request that matters makes several.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import stamina

from chassis.errors import TokenRejected, Unavailable
from chassis.outbound.circuit import Circuit, CircuitOpen
from chassis.telemetry.logs import current_traceparent

Params = Mapping[str, str | int | Sequence[str]]

_PASSING = frozenset({429, 502, 503, 504})
_HEADERS = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the neighbour answered with a status of 2xx. `content` is the body as it came."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.content)


class RequestRejected(Exception):
    """The neighbour is there and refuses this request: a mistake of ours, which becomes a logged 500."""

    def __init__(self, name: str, status: int, content: bytes) -> None:
        super().__init__(f"{name} answered {status}: {content[:300].decode(errors='replace')}")


class ServerFailed(Unavailable):
    """The neighbour is there and broke over this request."""


REQUEST_ERRORS = (RequestRejected, ServerFailed)
"""What one request alone may be guilty of: it opens no circuit, and another request may well be answered."""


class _Passing(Exception):
    """The neighbour answered that it cannot answer now; asking again may help."""


_WORTH_RETRYING = (_Passing, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
_FAILURES = (_Passing, aiohttp.ClientError, TimeoutError)


class ServiceClient:
    """A service that is read from here; one pool of connections each.

    Seconds: `timeout` for one attempt, `total` for all `attempts` with the pauses between them. After
    `breaker_failures` calls in a row that came to nothing, none is made for `breaker_reset`.
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
        """Read `path` on behalf of `token`.

        Raises Unavailable when the neighbour can't be had, ServerFailed when it breaks over this request,
        TokenRejected when it does not accept the token, and RequestRejected for whatever else it refuses.
        """
        headers: dict[str, str] = {}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        traceparent = current_traceparent()
        if traceparent is not None:
            headers["traceparent"] = traceparent
        try:
            answer = await self._circuit.call(lambda: self._persist(self._base + path, params, headers))
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

    async def _persist(self, url: str, params: Params | None, headers: dict[str, str]) -> Answer:
        async with asyncio.timeout(self._total):
            try:
                return await self._once(url, params, headers)
            except _WORTH_RETRYING as error:
                failed: Exception | None = error

            async def attempt() -> Answer:
                nonlocal failed
                if failed is not None:  # what stamina, as dear as the call itself, was spared so far
                    first, failed = failed, None
                    raise first
                return await self._once(url, params, headers)

            return await self._retrying(attempt)

    async def _once(self, url: str, params: Params | None, headers: dict[str, str]) -> Answer:
        async with self._open().get(url, params=params, headers=headers, allow_redirects=False) as response:
            content = await response.read()
        if response.status in _PASSING:
            raise _Passing(response.status)
        return Answer(response.status, content)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # a session belongs to the loop that runs when it is made
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                timeout=self._timeout,
            )
        return self._session
