"""RabbitMQ: one connection to consume and one to publish, since an alarm blocks those that publish."""

import asyncio
import random
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection, AbstractRobustExchange
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AuthenticationError, ProbableAuthenticationError
from yarl import URL

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10
_REFUSED = (AuthenticationError, ProbableAuthenticationError)


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
            log.warning("broker away, waiting", connection=name, error=repr(error))
            await asyncio.sleep(pause)
            delay = min(delay * 2, 5.0)
        else:
            return connection


class Publisher:
    """Publishes persistent, mandatory messages in windows of confirms.

    `window` is how many may be unconfirmed at once; `timeout` in seconds bounds one window, waiting for
    a reconnect included.
    """

    def __init__(self, connection: AbstractRobustConnection, *, window: int, timeout: float) -> None:
        self._connection = connection
        self._window = window
        self._timeout = timeout
        self._channel: AbstractRobustChannel | None = None
        self._exchanges: dict[str, AbstractRobustExchange] = {}
        self._one_at_a_time = asyncio.Lock()

    async def send(
        self, exchange: str, messages: Sequence[tuple[str, aio_pika.Message]]
    ) -> list[BaseException | None]:
        """Publish pairs of routing key and message. For each: `None` when confirmed, otherwise why not."""
        outcomes: list[BaseException | None] = []
        async with self._one_at_a_time:
            for start in range(0, len(messages), self._window):
                outcomes += await self._send_window(exchange, messages[start : start + self._window])
        return outcomes

    async def check(self, exchange: str) -> None:
        """Raises when the exchange is not there: a topology that was not imported shows at start."""
        async with asyncio.timeout(self._timeout):
            async with self._connection.channel() as channel:
                await channel.declare_exchange(exchange, passive=True)

    async def _send_window(
        self, exchange: str, window: Sequence[tuple[str, aio_pika.Message]]
    ) -> list[BaseException | None]:
        try:
            async with asyncio.timeout(self._timeout):
                target = await self._exchange(exchange)
                sent = (target.publish(message, key, mandatory=True) for key, message in window)
                results = await asyncio.gather(*sent, return_exceptions=True)
        except (TimeoutError, *CONNECTION_EXCEPTIONS, aio_pika.exceptions.AMQPException) as error:
            await self._start_over()
            return [error] * len(window)
        outcomes = [result if isinstance(result, BaseException) else None for result in results]
        if any(outcomes):
            await self._start_over()
        return outcomes

    async def _exchange(self, name: str) -> AbstractRobustExchange:
        if self._channel is None:
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._exchanges = {}
        assert self._channel is not None
        if name not in self._exchanges:
            exchange = await self._channel.get_exchange(name, ensure=False)
            self._exchanges[name] = exchange  # type: ignore[assignment]
        return self._exchanges[name]

    async def _start_over(self) -> None:
        """A refused publish closes its channel: open a fresh one for the next window."""
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            try:
                async with asyncio.timeout(self._timeout):
                    await channel.close()
            except (TimeoutError, *CONNECTION_EXCEPTIONS, aio_pika.exceptions.AMQPException) as error:
                log.warning("channel did not close", error=repr(error))
