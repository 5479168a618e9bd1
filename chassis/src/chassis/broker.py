"""RabbitMQ: one connection to consume and one to publish, since an alarm blocks those that publish."""

import asyncio
from collections.abc import Sequence

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection, AbstractRobustExchange
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10


async def connect(url: str, name: str, *, timeout: float) -> AbstractRobustConnection:
    """A connection that comes back by itself. `timeout` in seconds bounds the first attempt."""
    separator = "&" if "?" in url else "?"
    return await aio_pika.connect_robust(
        f"{url}{separator}heartbeat={HEARTBEAT_SECONDS}",
        timeout=timeout,
        client_properties={"connection_name": name},
        reconnect_interval=1,
    )


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
