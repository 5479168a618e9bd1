"""A mail server in the test's own event loop that can be made to refuse mails."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """`mailbox` has the accepted mails, `recipients` all that were named. `on_recipient` and `on_data` are
    replies to give in turn; while `busy` every mail is refused for now. Accepting a mail `takes` that many
    seconds, and while `silent` there is no reply."""

    port: int = 0
    mailbox: list[Envelope] = field(default_factory=list)
    on_recipient: list[str] = field(default_factory=list)
    on_data: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sessions: int = 0
    takes: float = 0
    silent: bool = False
    has_mail: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    open: list[asyncio.Transport] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.recipients.append(address)
        if self.busy:
            return "451 4.3.2 busy"
        if self.on_recipient:
            return self.on_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.has_mail.set()
        await asyncio.sleep(self.takes)
        if self.silent:
            await asyncio.Event().wait()
        if self.on_data:
            return self.on_data.pop(0)
        self.mailbox.append(envelope)
        return "250 OK"

    def hang_up(self) -> None:
        """Drop every connection."""
        for transport in self.open:
            transport.abort()


@asynccontextmanager
async def serving(
    *, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None
) -> AsyncIterator[MailServer]:
    """`starttls`: the certificate for those who ask for TLS, and nobody else may send. `implicit`: that of a
    server to which all connections are by TLS."""
    mail = MailServer()

    class Counted(SMTP):
        def connection_made(self, transport: Any) -> None:
            mail.sessions += 1
            mail.open.append(transport)
            super().connection_made(transport)

    loop = asyncio.get_running_loop()
    tls: dict[str, Any] = {"tls_context": starttls, "require_starttls": starttls is not None}
    server = await loop.create_server(lambda: Counted(mail, loop=loop, **tls), "127.0.0.1", 0, ssl=implicit)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        mail.hang_up()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
