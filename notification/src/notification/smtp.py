"""Handing letters to the mail server, many over one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import structlog
from aiosmtplib import SMTP, SMTPRecipientsRefused, SMTPResponseException
from aiosmtplib.errors import SMTPDataError, SMTPException

log = structlog.get_logger()


class NotAccepted(Exception):
    """The letter may be taken another time. Says why without naming the recipient, as servers do."""


@dataclass(frozen=True)
class Server:
    """Where mail is handed over. Seconds: `idle` before a connection is not trusted any more, `timeout`
    for one letter in all."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"] = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    idle: float = 15
    timeout: float = 25


class Postman:
    """Keeps at most `connections` open. Whoever has the letter twice sees the same Message-ID: SMTP knows no
    idempotency, so a connection that breaks between the last byte and the answer leaves it open."""

    def __init__(self, server: Server, sender: str, *, connections: int) -> None:
        self._server = server
        self._sender = sender
        self._free = asyncio.Semaphore(connections)
        self._idle: list[tuple[float, SMTP]] = []

    async def send(self, recipient: str, message: bytes) -> Literal["sent", "rejected"]:
        """`rejected` when the server will never take it. Raises NotAccepted when it may yet, and so it does
        for what is wrong between us and the server rather than with the letter."""
        try:
            async with asyncio.timeout(self._server.timeout), self._connection() as connection:
                await connection.sendmail(self._sender, [recipient], message)
        except SMTPRecipientsRefused as refused:
            return self._refused(refused.recipients[0].code)
        except SMTPDataError as refused:
            return self._refused(refused.code)
        except SMTPResponseException as error:
            raise NotAccepted(f"{type(error).__name__} {error.code}") from None
        except (SMTPException, OSError, TimeoutError) as error:
            raise NotAccepted(type(error).__name__) from None
        return "sent"

    async def aclose(self) -> None:
        """Close what is open, without waiting for goodbyes."""
        while self._idle:
            self._idle.pop()[1].close()

    def _refused(self, code: int) -> Literal["rejected"]:
        if code < 500:
            raise NotAccepted(f"refused with {code}")
        log.warning("letter rejected", code=code)
        return "rejected"

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        async with self._free:
            connection = self._reusable() or await self._connect()
            try:
                yield connection
            except BaseException as error:
                if not isinstance(error, SMTPRecipientsRefused | SMTPDataError):
                    connection.close()
                raise
            finally:
                if connection.is_connected:
                    self._idle.append((asyncio.get_running_loop().time(), connection))

    def _reusable(self) -> SMTP | None:
        trusted_since = asyncio.get_running_loop().time() - self._server.idle
        while self._idle:
            used, connection = self._idle.pop()
            if used > trusted_since and connection.is_connected:
                return connection
            connection.close()
        return None

    async def _connect(self) -> SMTP:
        server = self._server
        connection = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            timeout=None,  # `send` has one for all; aiosmtplib's own loses cancellations before Python 3.12
        )
        await connection.connect()
        return connection
