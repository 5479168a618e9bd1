"""Turns cancellations by client libraries into errors.

When a connection breaks, a client library may cancel the tasks that wait for it. A task that ends this way
ends silently: neither an exception handler nor a task group treats a cancellation as a failure.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


def was_requested() -> bool:
    """Whether the current task was cancelled through `Task.cancel`, which timeouts use, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def as_broken_connection() -> Iterator[None]:
    """Raise a cancellation by a client library as ConnectionError."""
    try:
        yield
    except asyncio.CancelledError as error:
        if was_requested():
            raise
        raise ConnectionError("the connection broke") from error


async def as_failure(work: Coroutine[Any, Any, None]) -> None:
    """Run a task's work. If a client library cancels it, raises RuntimeError, so that the task fails."""
    try:
        await work
    except asyncio.CancelledError as error:
        if was_requested():
            raise
        name = getattr(work, "__qualname__", "a task")
        raise RuntimeError(f"{name} was cancelled, but not by Task.cancel") from error
