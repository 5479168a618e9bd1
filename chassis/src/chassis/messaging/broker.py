"""Connections to RabbitMQ, and a publisher with confirms. A service consumes and publishes on two
connections, because during an alarm RabbitMQ blocks connections that publish."""

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

from chassis.messaging.tasks import as_broken_connection, pauses
from chassis.secret_files import PasswordFile
from chassis.tls import UntrustedServer, distrust

log = structlog.get_logger()

# aiormq closes a silent connection after three heartbeats, each a second longer than this: 12 s.
HEARTBEAT_SECONDS = 3
_CLOSE_SECONDS = 1
_POLL_SECONDS = 0.05
_REFUSED = (AuthenticationError, ProbableAuthenticationError)

Publishing = tuple[str, aio_pika.Message]
Outcome = BaseException | None  # `None`: confirmed


class MultiNodeConnection(aio_pika.RobustConnection):
    """A robust connection to one of a broker's nodes. Each attempt to connect goes to the next node, with the
    password that the file has then; after a refused one, with the other one if the file has two.

    aio_pika reads `url` once per attempt, so that property chooses node and password.
    """

    def __init__(self, urls: Sequence[str], password_file: PasswordFile | None, **options: Any) -> None:
        nodes = [URL(url).update_query(heartbeat=HEARTBEAT_SECONDS) for url in urls]
        random.shuffle(nodes)  # processes that start together spread over the nodes
        self._next = cycle(nodes)
        self._password_file = password_file
        self._password = ""
        super().__init__(nodes[0], **options)

    @property
    def url(self) -> URL:
        node = next(self._next)
        if self._password_file is None:
            return node
        self._password = self._password_file.choose()
        return node.with_password(self._password)

    @url.setter
    def url(self, _: URL) -> None:
        """aio_pika assigns the URL that it was constructed with, which is not needed here."""

    async def _on_connection_close(self, closing: asyncio.Future[Any]) -> None:
        """aio_pika calls this also when an attempt to connect has failed."""
        refused = not closing.cancelled() and isinstance(closing.exception(), _REFUSED)
        if refused and self._password_file is not None:
            self._password_file.note_refused(self._password)
        await super()._on_connection_close(closing)

    def __str__(self) -> str:
        return "RabbitMQ"


async def connect(
    urls: str,
    name: str,
    *,
    timeout: float,
    startup_timeout: float = 0,
    password_file: PasswordFile | None = None,
) -> AbstractRobustConnection:
    """A connection that reconnects by itself.

    `urls`: the URLs of the broker's nodes, comma-separated.
    `name`: what the management UI shows.
    `timeout`: seconds for one attempt to connect.
    `startup_timeout`: seconds for which the first connection is attempted again while the broker is
        unavailable.
    `password_file`: has the password if the URLs have none; it is read for each attempt.

    Raises the last attempt's error, and at once if the broker refuses the credentials, or `UntrustedServer`
    if its certificate is not trusted.
    """

    async def attempt(_: str = "") -> AbstractRobustConnection:
        """The connection chooses the password itself, as it does when it reconnects."""
        connection = MultiNodeConnection(
            urls.split(","),
            password_file,
            client_properties={"connection_name": name},
            reconnect_interval=random.uniform(0.5, 1.5),
        )
        try:
            await connection.connect(timeout=timeout)
        except BaseException:
            await connection.close()
            raise
        return connection

    loop = asyncio.get_running_loop()
    deadline = loop.time() + startup_timeout
    for pause in pauses(0.25, 5):
        try:
            return await (password_file.connect(attempt, _REFUSED) if password_file else attempt())
        except (TimeoutError, *CONNECTION_EXCEPTIONS) as error:
            if reason := distrust(error):
                raise UntrustedServer(f"RabbitMQ's certificate: {reason}; see AMQP_CA_FILE") from error
            if isinstance(error, _REFUSED) or loop.time() + pause > deadline:
                raise
            log.warning("broker unavailable, retrying", connection=name, error=repr(error))
            await asyncio.sleep(pause)
    raise AssertionError("there are pauses without end")


def login(urls: str) -> str:
    """The user name in the URLs, which is the same for every node."""
    return URL(urls.split(",")[0]).user or "guest"


class Publisher:
    """Publishes messages as mandatory, and waits for the broker's confirms.

    When the broker refuses a message by closing the channel, the other messages of the window are
    unconfirmed, too. They are then published one by one to find the refused one. Messages with its routing
    key are published separately from then on, until one of them is confirmed.

    `window`: the maximum number of unconfirmed messages.
    `timeout`: seconds for one window, including the time for a reconnect.
    """

    def __init__(self, connection: AbstractRobustConnection, *, window: int, timeout: float) -> None:
        self._connection = connection
        self._window = window
        self._timeout = timeout
        self._channel: AbstractChannel | None = None
        self._one_at_a_time = asyncio.Lock()
        self._suspects: set[tuple[str, str]] = set()

    async def send(self, exchange: str, messages: Sequence[Publishing]) -> list[Outcome]:
        """Publish pairs of routing key and message. Returns for each `None` if it was confirmed, and the
        error otherwise; `is_refused` decides whether the message itself is the cause."""
        outcomes: list[Outcome] = [None] * len(messages)
        together = [i for i, (key, _) in enumerate(messages) if (exchange, key) not in self._suspects]
        one_by_one = [i for i, (key, _) in enumerate(messages) if (exchange, key) in self._suspects]
        async with self._one_at_a_time:
            for start in range(0, len(together), self._window):
                chosen = together[start : start + self._window]
                errors = await self._send_window(exchange, [messages[i] for i in chosen])
                for i, error in zip(chosen, errors, strict=True):
                    outcomes[i] = error
                if not any(_closed_the_channel(error) for error in errors):
                    continue
                if len(chosen) == 1:  # it is the refused one
                    self._suspects.add((exchange, messages[chosen[0]][0]))
                else:
                    one_by_one += [i for i in chosen if outcomes[i] and not _leaves_channel_open(outcomes[i])]
            await self._send_one_by_one(exchange, messages, one_by_one, outcomes)
        return outcomes

    async def check(self, exchange: str) -> None:
        """Raises when the exchange does not exist, so that a missing topology is noticed at start."""
        async with asyncio.timeout(self._timeout):
            async with self._connection.channel() as channel:
                await channel.declare_exchange(exchange, passive=True)

    async def _send_one_by_one(
        self,
        exchange: str,
        messages: Sequence[Publishing],
        chosen: Sequence[int],
        outcomes: list[Outcome],
    ) -> None:
        unreachable: Outcome = None
        for i in chosen:
            if unreachable is None:
                [outcomes[i]] = await self._send_window(exchange, [messages[i]])
                if isinstance(outcomes[i], ConnectionChannelError):
                    # The broker's reply to a frame that was still sent on the previous, closed channel.
                    [outcomes[i]] = await self._send_window(exchange, [messages[i]])
            else:
                outcomes[i] = unreachable
            error, suspect = outcomes[i], (exchange, messages[i][0])
            if error is None:
                self._suspects.discard(suspect)
            elif _closed_the_channel(error):
                self._suspects.add(suspect)
            elif not is_refused(error):
                unreachable = error

    async def _send_window(self, exchange: str, window: Sequence[Publishing]) -> list[Outcome]:
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
                publishing.cancel()  # no effect on those that are done
        results = await asyncio.gather(*sent, return_exceptions=True)
        outcomes = [result if isinstance(result, BaseException) else None for result in results]
        if all(error is None or _leaves_channel_open(error) for error in outcomes):
            return outcomes
        await self._start_over()
        some = any(error is None or _leaves_channel_open(error) for error in outcomes)
        late = Unanswered("confirmed others and not this one") if some else TimeoutError("no confirm")
        return [late if isinstance(error, asyncio.CancelledError) else error for error in outcomes]

    async def _open_channel(self) -> AbstractChannel:
        """An aiormq channel, because aio_pika would reopen a channel of its own while it is being closed, and
        the broker would then close the connection."""
        if self._channel is None or self._channel.is_closed:
            transport = await self._transport()
            self._channel = await transport.connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._channel

    async def _transport(self) -> UnderlayConnection:
        """The transport of an open connection. `ready` may be true for a moment after the broker closed
        it."""
        while True:
            await self._connection.ready()
            transport = self._connection.transport
            if transport is not None and not transport.connection.is_closed:
                return transport
            await asyncio.sleep(_POLL_SECONDS)

    async def _start_over(self) -> None:
        """Close the channel; the next window opens a new one. The broker may have closed it because of a
        refused message, or may still reply to a message on it that has timed out."""
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
    """The broker confirmed other messages of the window in time, but not this one: a quorum queue that it is
    routed to has no majority."""


def is_refused(error: BaseException) -> bool:
    """Whether the message itself is the reason why it was not confirmed: the broker refused or returned it,
    or it cannot be encoded. Any other error is temporary."""
    if _leaves_channel_open(error) or _closed_the_channel(error):
        return True
    return not isinstance(error, (TimeoutError, asyncio.CancelledError, *CONNECTION_EXCEPTIONS))


def _leaves_channel_open(error: Outcome) -> bool:
    """The message was returned or negatively confirmed, which does not affect the others on its channel."""
    return isinstance(error, DeliveryError)


def _closed_the_channel(error: Outcome) -> bool:
    """The broker closed the channel or the connection because of a message. If it closes the connection for
    another reason (the node stops, an operator closes it), the error is a plain `ConnectionClosed`."""
    if isinstance(error, ConnectionClosed):
        return type(error) is not ConnectionClosed
    return isinstance(error, ChannelClosed)
