"""One attempt at a broker, each on a channel of its own: a refusal closes the channel."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelClosed

T = TypeVar("T")
Attempt = Callable[[AbstractChannel], Awaitable[Any]]


@asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[AbstractConnection]:
    connection = await aiormq.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def is_allowed(
    connection: AbstractConnection,
    attempt: Attempt,
    refusal: type[ChannelClosed] = ChannelAccessRefused,
) -> bool:
    """False when the broker refuses; access (403), unless another `refusal` is expected."""
    channel = await connection.channel()
    try:
        await attempt(channel)
    except refusal:
        return False
    await channel.close()
    return True


async def allowed(
    connection: AbstractConnection,
    things: Iterable[T],
    attempt: Callable[[AbstractChannel, T], Awaitable[Any]],
    refusal: type[ChannelClosed] = ChannelAccessRefused,
) -> set[T]:
    """Those of the things with which the attempt is not refused."""

    def with_(thing: T) -> Attempt:
        return lambda channel: attempt(channel, thing)

    return {thing for thing in things if await is_allowed(connection, with_(thing), refusal)}
