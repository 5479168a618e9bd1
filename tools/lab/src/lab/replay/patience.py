"""A client that takes "not now" for an answer: the gateway limits rates, and services are restarted."""

import asyncio
import random
from dataclasses import dataclass

import httpx

_NOT_NOW = {429, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How often a request is made in all, and the seconds it may wait: `longest` bounds what an answer
    demands, `first` is the least and doubles. As it is, a service may be away for half a minute."""

    tries: int = 7
    first: float = 0.5
    longest: float = 61


class Patient(httpx.AsyncBaseTransport):
    """Repeats what may be repeated; `limited` counts the answers that a rate was too high.

    An adjustment of stock may not be repeated: two are not the same as one.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience
        self.limited = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        once = request.method == "POST" and request.url.path.endswith("/stock")
        for attempt in range(1, self._patience.tries):
            try:
                response = await self._inner.handle_async_request(request)
            except httpx.TransportError:
                if once:
                    raise
                await self._pause(attempt, None)
                continue
            if not _again(response, once):
                return response
            self.limited += response.status_code == 429
            await response.aclose()
            await self._pause(attempt, response.headers.get("retry-after"))
        return await self._inner.handle_async_request(request)

    async def _pause(self, attempt: int, demanded: str | None) -> None:
        said = float(demanded) if demanded and demanded.isdecimal() else 0
        seconds = max(said, self._patience.first * 2 ** (attempt - 1))
        await asyncio.sleep(min(seconds, self._patience.longest) + random.random() * self._patience.first)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _again(response: httpx.Response, once: bool) -> bool:
    if response.status_code == 429:
        return True  # the gateway has not let it through
    return not once and (response.status_code in _NOT_NOW or "retry-after" in response.headers)
