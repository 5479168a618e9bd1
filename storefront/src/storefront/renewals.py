"""Renews access tokens: once for each refresh token, however many requests need it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

from storefront.session import Tokens

_KEPT_SECONDS = 60  # longer than a page takes
MOST = 10_000

Renew = Callable[[str], Awaitable[Tokens]]


class Renewals:
    """The renewals of this process.

    Auth takes a refresh token once, and for some seconds more gives the same next one again. Two tabs that
    ask at once, or a browser that lost a page and loads it a little later, get here what the first request
    got, without a call: for a minute, and as long as there are not too many others. What has failed is not
    kept.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Tokens]] = {}

    async def once(self, refresh_token: str, renew: Renew) -> Tokens:
        """What `renew` returns or raises for this refresh token."""
        task = self._tasks.get(refresh_token)
        if task is None:
            while len(self._tasks) >= MOST:
                del self._tasks[next(iter(self._tasks))]
            task = asyncio.ensure_future(renew(refresh_token))
            self._tasks[refresh_token] = task
            task.add_done_callback(lambda done: self._done(refresh_token, done))
        return await asyncio.shield(task)  # one request that ends must not end the others'

    def _done(self, refresh_token: str, task: "asyncio.Task[Tokens]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._tasks.pop(refresh_token, None)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(_KEPT_SECONDS, self._tasks.pop, refresh_token, None)
