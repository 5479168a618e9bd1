"""Cancellations that nobody asked for.

A client library may cancel whoever waits on a connection that breaks. A task that such a cancellation ends is
gone without a word: neither a handler of exceptions nor a task group takes it for a failure.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


def was_asked_for() -> bool:
    """Whether somebody has cancelled the task at hand, a time-out around it included."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def as_broken_connection() -> Iterator[None]:
    """A cancellation that nobody asked for is raised as the ConnectionError that it stands for."""
    try:
        yield
    except asyncio.CancelledError as error:
        if was_asked_for():
            raise
        raise ConnectionError("the connection broke") from error


async def as_failure(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of a task that must not end unnoticed: a cancellation that nobody asked for fails it.
    Raises RuntimeError then."""
    try:
        await work
    except asyncio.CancelledError as error:
        if was_asked_for():
            raise
        name = getattr(work, "__qualname__", "a task")
        raise RuntimeError(f"{name} was cancelled, and nobody has asked for that") from error
