"""Noticing that the client has gone, so that no work is done for it any more."""

import asyncio
from types import TracebackType
from typing import Self

from standins.gateway.exchange import Receive

# Most answers are given by then; only for the slower ones is it worth a task to watch.
_PATIENCE_SECONDS = 0.05


class CancelledWhenGone:
    """Inside the block the running task is cancelled when the client closes; the block then ends quietly.

    The request's body must have been read, or not be wanted: `receive` is used here.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if not self._gone or self._task is None:
            return False
        self._task.uncancel()
        return kind is asyncio.CancelledError

    def _start(self) -> None:
        self._watch = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
