"""An HTTP transport that repeats requests: the gateway limits rates, and services are restarted."""

import asyncio
import random
from dataclasses import dataclass

import httpx

_RETRYABLE = {429, 502, 503, 504}


@dataclass(frozen=True)
class RetryPolicy:
    """`attempts` is how often a request is made in all; pauses are in seconds. They double from `first_pause`
    on; Retry-After may demand a longer one, up to `longest_pause`. By default, a service may be away for half
    a minute."""

    attempts: int = 7
    first_pause: float = 0.5
    longest_pause: float = 61


class RetryTransport(httpx.AsyncBaseTransport):
    """Repeats what may be repeated; `limited` counts the responses 429.

    An adjustment of stock is not idempotent: it is only repeated where the gateway did not let it through.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, policy: RetryPolicy) -> None:
        self._inner = inner
        self._policy = policy
        self.limited = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        once = request.method == "POST" and request.url.path.endswith("/stock")
        for attempt in range(1, self._policy.attempts):
            retry_after = ""
            try:
                response = await self._inner.handle_async_request(request)
            except httpx.TransportError:
                if once:
                    raise
            else:
                if not _is_retryable(response, once):
                    return response
                self.limited += response.status_code == 429
                retry_after = response.headers.get("retry-after", "")
                await response.aclose()
            await self._pause(attempt, float(retry_after) if retry_after.isdecimal() else 0)
        return await self._inner.handle_async_request(request)

    async def _pause(self, attempt: int, retry_after: float) -> None:
        first, longest = self._policy.first_pause, self._policy.longest_pause
        seconds = min(max(retry_after, first * 2 ** (attempt - 1)), longest)
        await asyncio.sleep(seconds + random.random() * first)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_retryable(response: httpx.Response, once: bool) -> bool:
    if response.status_code == 429:
        return True  # the gateway has not let it through
    return not once and (response.status_code in _RETRYABLE or "retry-after" in response.headers)
