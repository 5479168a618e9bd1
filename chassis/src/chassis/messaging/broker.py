"""RabbitMQ: one connection to consume and one to publish, since an alarm blocks those that publish."""

import asyncio
import random
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustConnection, UnderlayConnection
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelClosed,
    ConnectionClosed,
    DeliveryError,
    ProbableAuthenticationError,
)
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ConnectionChannelError
from yarl import URL

from chassis.messaging.cancellation import as_broken_connection

log = structlog.get_logger()

# aiormq gives a silent peer three times a beat and a second: 12 s.
HEARTBEAT_SECONDS = 3
_CLOSE_SECONDS = 1
_NOTICED_SECONDS = 0.05
_REFUSED = (AuthenticationError, ProbableAuthenticationError)

Publishing = tuple[str, aio_pika.Message]


class Roaming(aio_pika.RobustConnection):
    """A robust connection to one of several nodes of a broker: each attempt goes to the next of them.

    aio_pika reads `url` once for every attempt to connect; that is where the node is chosen.
    """

    def __init__(self, urls: Sequence[str], **options: Any) -> None:
        nodes = [URL(url).update_query(heartbeat=HEARTBEAT_SECONDS) for url in urls]
        random.shuffle(nodes)  # processes that start together spread over the nodes
        self._next = cycle(nodes)
        super().__init__(nodes[0], **options)

    @property
    def url(self) -> URL:
        return next(self._next)

    @url.setter
    def url(self, _: URL) -> None:
        """aio_pika sets the URL that it was given; here they are given at once."""

    def __str__(self) -> str:
        return "RabbitMQ"


async def connect(urls: str, name: str, *, timeout: float, patience: float = 0) -> AbstractRobustConnection:
    """A connection that comes back by itself, to any of the nodes whose URLs are given, comma-separated.

    `timeout` in seconds bounds one attempt; a broker that is away is waited for for `patience` seconds.
    Raises at once when it does not know us.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    delay = 0.25
    while True:
        connection = Roaming(
            urls.split(","),
            client_properties={"connection_name": name},
            reconnect_interval=random.uniform(0.5, 1.5),
        )
        try:
            await connection.connect(timeout=timeout)
        except (TimeoutError, *CONNECTION_EXCEPTIONS) as error:
            await connection.close()
            pause = delay * random.uniform(0.5, 1)
            if isinstance(error, _REFUSED) or loop.time() + pause > deadline:
                raise
            log.warning("broker unavailable, retrying", connection=name, error=repr(error))
            await asyncio.sleep(pause)
            delay = min(delay * 2, 5.0)
        else:
            return connection


def login(urls: str) -> str:
    """The user as whom `connect` signs in, which is the same at every node."""
    return URL(urls.split(",")[0]).user or "guest"


class Publisher:
    """Publishes persistent, mandatory messages in windows of confirms.

    `window` is how many may be unconfirmed at once; `timeout` in seconds bounds one window, waiting for
    a reconnect included. A publish that the broker refuses closes its channel and takes the window's others
    along: they are published again one by one, each refusal costing a channel, and keys that closed one go
    apart from the others until one of theirs is confirmed.
    """

    def __init__(self, connection: AbstractRobustConnection, *, window: int, timeout: float) -> None:
        self._connection = connection
        self._window = window
        self._timeout = timeout
        self._channel: AbstractChannel | None = None
        self._one_at_a_time = asyncio.Lock()
        self._suspects: set[tuple[str, str]] = set()

    async def send(self, exchange: str, messages: Sequence[Publishing]) -> list[BaseException | None]:
        """Publish pairs of routing key and message. For each: `None` when confirmed, otherwise why not:
        `is_refused` tells whether the reason is the message's own."""
        outcomes: list[BaseException | None] = [None] * len(messages)
        together = [i for i, (key, _) in enumerate(messages) if (exchange, key) not in self._suspects]
        apart = [i for i, (key, _) in enumerate(messages) if (exchange, key) in self._suspects]
        async with self._one_at_a_time:
            for start in range(0, len(together), self._window):
                chosen = together[start : start + self._window]
                errors = await self._send_window(exchange, [messages[i] for i in chosen])
                for i, error in zip(chosen, errors, strict=True):
                    outcomes[i] = error
                if any(_took_others_along(error) for error in errors):
                    apart += self._to_be_tried_apart(exchange, messages, chosen, errors)
            await self._send_apart(exchange, messages, apart, outcomes)
        return outcomes

    async def check(self, exchange: str) -> None:
        """Raises when the exchange is not there: a topology that was not imported shows at start."""
        async with asyncio.timeout(self._timeout):
            async with self._connection.channel() as channel:
                await channel.declare_exchange(exchange, passive=True)

    def _to_be_tried_apart(
        self,
        exchange: str,
        messages: Sequence[Publishing],
        chosen: Sequence[int],
        errors: Sequence[BaseException | None],
    ) -> list[int]:
        if len(chosen) > 1:
            return [i for i, error in zip(chosen, errors, strict=True) if error and not _is_told(error)]
        self._suspects.add((exchange, messages[chosen[0]][0]))  # found already
        return []

    async def _send_apart(
        self,
        exchange: str,
        messages: Sequence[Publishing],
        chosen: Sequence[int],
        outcomes: list[BaseException | None],
    ) -> None:
        away: BaseException | None = None
        for i in chosen:
            if away is None:
                [outcomes[i]] = await self._send_window(exchange, [messages[i]])
                if isinstance(outcomes[i], ConnectionChannelError):
                    # The broker's answer to a frame that was still sent on the channel before this one.
                    [outcomes[i]] = await self._send_window(exchange, [messages[i]])
            else:
                outcomes[i] = away
            error, suspect = outcomes[i], (exchange, messages[i][0])
            if error is None:
                self._suspects.discard(suspect)
            elif _took_others_along(error):
                self._suspects.add(suspect)
            elif not is_refused(error):
                away = error

    async def _send_window(self, exchange: str, window: Sequence[Publishing]) -> list[BaseException | None]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            with as_broken_connection():
                async with asyncio.timeout_at(deadline):
                    channel = await self._open_channel()
        except (TimeoutError, *CONNECTION_EXCEPTIONS) as error:
            await self._start_over()
            return [error] * len(window)
        sent = [asyncio.create_task(_publish(channel, exchange, key, message)) for key, message in window]
        try:
            await asyncio.wait(sent, timeout=deadline - asyncio.get_running_loop().time())
        finally:
            for publishing in sent:
                publishing.cancel()  # those that are done stay as they are
        results = await asyncio.gather(*sent, return_exceptions=True)
        outcomes = [result if isinstance(result, BaseException) else None for result in results]
        if all(error is None or _is_told(error) for error in outcomes):
            return outcomes
        await self._start_over()
        some = any(error is None or _is_told(error) for error in outcomes)
        late = Unanswered("confirmed others and not this one") if some else TimeoutError("no confirm")
        return [late if isinstance(error, asyncio.CancelledError) else error for error in outcomes]

    async def _open_channel(self) -> AbstractChannel:
        """Not one that aio_pika restores: it would be opened again while we close it, which a broker answers
        by closing the connection."""
        if self._channel is None or self._channel.is_closed:
            transport = await self._transport()
            self._channel = await transport.connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._channel

    async def _transport(self) -> UnderlayConnection:
        """That of an open connection. One that the broker has just closed is `ready` for a moment still."""
        while True:
            await self._connection.ready()
            transport = self._connection.transport
            if transport is not None and not transport.connection.is_closed:
                return transport
            await asyncio.sleep(_NOTICED_SECONDS)

    async def _start_over(self) -> None:
        """A refused publish closes its channel, and one without an answer may still get it: open a fresh one
        for the next window."""
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            try:
                with as_broken_connection():
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await channel.close()
            except (TimeoutError, *CONNECTION_EXCEPTIONS) as error:
                log.warning("channel did not close", error=repr(error))


async def _publish(channel: AbstractChannel, exchange: str, key: str, message: aio_pika.Message) -> None:
    await channel.basic_publish(
        message.body, exchange=exchange, routing_key=key, properties=message.properties, mandatory=True
    )


class Unanswered(Exception):
    """The broker confirmed other messages of the window in time, and not this one: the queue that it is for
    has no majority."""


def is_refused(error: BaseException) -> bool:
    """Whether the message itself is the reason why it was not confirmed: the broker refused or returned it,
    or it cannot be written. Everything else ends by waiting."""
    if _is_told(error) or _took_others_along(error):
        return True
    return not isinstance(error, (TimeoutError, asyncio.CancelledError, *CONNECTION_EXCEPTIONS))


def _is_told(error: BaseException) -> bool:
    """By a return or a negative confirm, which leave the channel as it is."""
    return isinstance(error, DeliveryError)


def _took_others_along(error: BaseException | None) -> bool:
    """The broker closed the channel, or the connection, because of what it was sent on it. A connection that
    is closed for another reason (the node stops, an operator closes it) is of the plain class."""
    if isinstance(error, ConnectionClosed):
        return type(error) is not ConnectionClosed
    return isinstance(error, ChannelClosed)
