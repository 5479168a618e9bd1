"""For load generators: an HTTP transport that retries and counts, and work with bounded concurrency."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import httpx

_RETRYABLE = {429, 502, 503, 504}
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """`attempts` is how often a request is made in all; pauses are in seconds. They double from `first_pause`
    on; Retry-After may demand a longer one, up to `longest_pause`. By default, a service may be away for half
    a minute."""

    attempts: int = 7
    first_pause: float = 0.5
    longest_pause: float = 61


class RetryTransport(httpx.AsyncBaseTransport):
    """Repeats what may be repeated while the gateway limits rates or a service is restarted.

    `counted` has every response by status and every error by name, retries included; `crashes` are the
    responses 500. An adjustment of stock is not idempotent: it is only repeated where the gateway did not let
    it through.
    """

    def __init__(self, connections: int, policy: RetryPolicy, inner: httpx.AsyncBaseTransport | None = None):
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._inner = inner or httpx.AsyncHTTPTransport(limits=limits)
        self.policy = policy
        self.counted: Counter[str] = Counter()
        self.crashes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        once = request.method == "POST" and request.url.path.endswith("/stock")
        for attempt in range(1, self.policy.attempts):
            retry_after = ""
            try:
                response = await self._attempt(request)
            except httpx.TransportError:
                if once:
                    raise
            else:
                if not _is_retryable(response, once):
                    return response
                retry_after = response.headers.get("retry-after", "")
                await response.aclose()
            first, demanded = self.policy.first_pause, float(retry_after) if retry_after.isdecimal() else 0
            pause = min(max(demanded, first * 2 ** (attempt - 1)), self.policy.longest_pause)
            await asyncio.sleep(pause + random.random() * first)
        return await self._attempt(request)

    async def _attempt(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            self.counted[type(error).__name__] += 1
            raise
        self.counted[str(response.status_code)] += 1
        if response.status_code == 500:
            crashed = f"{request.method} {request.url.path} at {time.strftime('%H:%M:%S')}"
            self.crashes.append(f"{crashed}: {response.headers.get('x-kong-request-id', '')}")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_retryable(response: httpx.Response, once: bool) -> bool:
    if response.status_code == 429:
        return True  # the gateway has not let it through
    return not once and (response.status_code in _RETRYABLE or "retry-after" in response.headers)


async def for_each(items: Iterable[T], act: Callable[[T], Awaitable[object]], concurrency: int) -> None:
    """Do it for every item, `concurrency` at a time. The first error cancels the rest and is raised."""
    limit = asyncio.Semaphore(concurrency)

    async def one(item: T) -> None:
        async with limit:
            await act(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
