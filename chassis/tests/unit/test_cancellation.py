"""A client library cancels tasks that wait on a connection when it breaks: no task may end silently."""

import asyncio
from typing import Any

import aio_pika
import pytest

from chassis.messaging.broker import Publisher, is_refused
from chassis.messaging.tasks import as_broken_connection, as_failure


class Breaking:
    """A connection that breaks: a task that waits for it is cancelled."""

    async def ready(self) -> None:
        raise asyncio.CancelledError


async def test_a_publish_on_a_connection_that_breaks_is_unconfirmed_and_can_be_retried() -> None:
    connection: Any = Breaking()
    message = aio_pika.Message(b"")
    [error] = await Publisher(connection, window=10, timeout=5).send("events", [("thing.made", message)])
    assert isinstance(error, ConnectionError)
    assert not is_refused(error)


async def test_a_librarys_cancellation_fails_the_task() -> None:
    async def ends_without_a_word() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ExceptionGroup) as failed:
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(ends_without_a_word()))
    assert "ends_without_a_word" in str(failed.value.exceptions[0])


@pytest.mark.parametrize("guard", ["broken connection", "failure"])
async def test_a_requested_cancellation_remains_a_cancellation(guard: str) -> None:
    async def wait() -> None:
        if guard == "failure":
            await as_failure(asyncio.sleep(60))
        with as_broken_connection():
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_remains_a_timeout() -> None:
    with pytest.raises(TimeoutError), as_broken_connection():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
