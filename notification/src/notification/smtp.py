"""Hands mails to the mail server, many over one connection.

SMTP has no idempotency: between the end of a mail's data and the server's reply the client cannot know
whether the server has it. So the sender commits the start of the mail first (`Start`), waits for the reply as
long as RFC 5321, 4.5.3.2.6 asks for, and takes a mail without a reply to be in doubt: it is not sent again
from here.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Literal

import structlog
from aiosmtplib import SMTP, SMTPDataError, SMTPRecipientRefused, SMTPResponseException
from aiosmtplib.errors import SMTPException
from pydantic import Field, SecretStr, model_validator

from chassis.runtime.settings import Environment, Seconds
from chassis.tls import CaFile, client_context, distrust
from notification.domain import Outcome

log = structlog.get_logger()

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")  # RFC 3463


class NotAccepted(Exception):
    """The server has not accepted the mail, and may accept it later. The message does not name the recipient,
    as the server's own text may."""


Start = Callable[[], Awaitable[Outcome | None]]
"""Awaited immediately before a mail's data: commits that it starts and returns None, or returns the outcome
that it has already."""


class SmtpSettings(Environment):
    """The mail server. With `smtp_tls` its certificate and host name are verified, by the CAs of
    `smtp_ca_file` or else of the platform, and a server that does not offer STARTTLS gets no mail. After
    `smtp_idle` a connection is not reused. `smtp_timeout` is for connecting and all commands before a mail's
    data, `smtp_data_timeout` for the data until the server's reply: as long as RFC 5321 asks for, since a
    mail without a reply is not sent again automatically."""

    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    smtp_ca_file: CaFile | None = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=32)] = 4
    smtp_idle: Seconds = 15
    smtp_timeout: Seconds = 30
    smtp_data_timeout: Seconds = 600

    @model_validator(mode="after")
    def _uses_its_ca_file(self) -> "SmtpSettings":
        if self.smtp_ca_file and self.smtp_tls == "none":
            raise ValueError("SMTP_CA_FILE is given, and SMTP_TLS is none")
        return self


class SmtpClient:
    """Keeps at most `smtp_connections` open; waiting for one has no time limit. Once `stopping` is set no
    mail is started, and started ones are finished."""

    def __init__(self, settings: SmtpSettings, sender: str, stopping: asyncio.Event) -> None:
        self._settings = settings
        self._sender = sender
        self._free = asyncio.Semaphore(settings.smtp_connections)
        self._stopping = stopping
        self._idle: list[tuple[float, SMTP]] = []
        self._tls = None if settings.smtp_tls == "none" else client_context(settings.smtp_ca_file)

    async def send(self, recipient: str, message: bytes, start: Start) -> Outcome:
        """Raises NotAccepted, and whatever `start` raises, when the server has not accepted the mail."""
        async with self._connection() as connection:
            try:
                async with asyncio.timeout(self._settings.smtp_timeout):
                    await self._prepare(connection, recipient)
            except SMTPRecipientRefused as refused:
                return await self._reset(connection, self._refused(refused))
            except SMTPResponseException as error:
                raise NotAccepted(f"{type(error).__name__} {_code(error)}") from None
            except (SMTPException, OSError, TimeoutError) as error:
                if reason := distrust(error):
                    raise NotAccepted(f"the mail server's certificate: {reason}; see SMTP_CA_FILE") from None
                raise NotAccepted(type(error).__name__) from None
            if (known := await start()) is not None:
                return await self._reset(connection, known)
            return await self._hand_over(connection, message)

    async def aclose(self) -> None:
        """Close idle connections, without QUIT."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _prepare(self, connection: SMTP, recipient: str) -> None:
        if not connection.is_connected:
            await connection.connect()
        await connection.mail(self._sender)
        await connection.rcpt(recipient)

    async def _hand_over(self, connection: SMTP, message: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._settings.smtp_data_timeout):
                await connection.data(message)
        except SMTPDataError as refused:
            return await self._reset(connection, self._refused(refused))
        except (SMTPException, OSError, TimeoutError) as error:
            connection.close()
            log.error("mail in doubt: no reply from the mail server", error=type(error).__name__)
            return Outcome("in_doubt", f"no reply from the mail server: {type(error).__name__}")
        return Outcome("sent")

    async def _reset(self, connection: SMTP, outcome: Outcome) -> Outcome:
        """Returns the outcome, and keeps the connection if it can be reset for another mail."""
        with suppress(SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(self._settings.smtp_timeout):
                await connection.rset()
                return outcome
        connection.close()
        return outcome

    def _refused(self, refused: SMTPResponseException) -> Outcome:
        if refused.code < 500:
            raise NotAccepted(f"refused with {_code(refused)}")
        log.warning("mail rejected", code=refused.code)
        return Outcome("rejected", f"refused with {_code(refused)}")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        async with self._free:
            if self._stopping.is_set():
                raise NotAccepted("the service is stopping: not started")
            connection = self._reusable() or self._new()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            finally:
                if connection.is_connected:
                    self._idle.append((asyncio.get_running_loop().time(), connection))

    def _reusable(self) -> SMTP | None:
        oldest = asyncio.get_running_loop().time() - self._settings.smtp_idle
        while self._idle:
            used, connection = self._idle.pop()
            if used > oldest and connection.is_connected:
                return connection
            connection.close()
        return None

    def _new(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            use_tls=settings.smtp_tls == "implicit",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=self._tls,
            timeout=None,  # `send` has its own; aiosmtplib's loses cancellations before Python 3.12
        )


def _code(refused: SMTPResponseException) -> str:
    """The server's reply codes, without its text, which may name the recipient."""
    enhanced = _ENHANCED.match(refused.message)
    return f"{refused.code} {enhanced[0]}" if enhanced else str(refused.code)
