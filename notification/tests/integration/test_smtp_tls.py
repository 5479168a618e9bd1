"""Mails by TLS: a server that cannot be trusted gets none, and not the shop's password either."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from notification.domain import Outcome
from notification.smtp import NotAccepted, SmtpClient, SmtpSettings
from shop.provision import certificates

from ..mailserver import MailServer, serving

MAIL = b"Subject: x\r\n\r\nhello\r\n"
HOW = ["starttls", "implicit"]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mail server's certificate is for 127.0.0.1, and not for localhost."""
    folder = tmp_path_factory.mktemp("vault")
    certificates.provide(folder, "mail", ["127.0.0.1"])
    return folder


@pytest.fixture(scope="module")
def certificate(vault: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(vault / "mail.pem", vault / "mail-key.pem")
    return context


async def send(server: MailServer, how: str, ca_file: Path | None, host: str = "127.0.0.1") -> Outcome:
    given: dict[str, Any] = {"smtp_tls": how, "smtp_ca_file": ca_file and str(ca_file), "smtp_timeout": 10}
    settings = SmtpSettings(smtp_host=host, smtp_port=server.port, **given)
    client = SmtpClient(settings, "shop@example.com", asyncio.Event())

    async def start() -> None:
        """A mail that may be sent."""

    try:
        return await client.send("ada@example.com", MAIL, start)
    finally:
        await client.aclose()


@pytest.mark.parametrize("how", HOW)
async def test_a_mail_arrives_by_tls(certificate: ssl.SSLContext, vault: Path, how: str) -> None:
    async with serving(**{how: certificate}) as server:
        assert await send(server, how, vault / "ca.pem") == Outcome("sent")
        assert len(server.mailbox) == 1


@pytest.mark.parametrize("how", HOW)
async def test_a_server_of_another_ca_gets_no_mail(
    certificate: ssl.SSLContext, tmp_path: Path, how: str
) -> None:
    certificates.provide(tmp_path, "other", ["127.0.0.1"])
    async with serving(**{how: certificate}) as server:
        with pytest.raises(NotAccepted, match="local issuer certificate; see SMTP_CA_FILE"):
            await send(server, how, tmp_path / "ca.pem")
        assert not server.mailbox


@pytest.mark.parametrize("how", HOW)
async def test_a_server_that_the_platform_does_not_know_gets_no_mail(
    certificate: ssl.SSLContext, how: str
) -> None:
    async with serving(**{how: certificate}) as server:
        with pytest.raises(NotAccepted, match="local issuer certificate; see SMTP_CA_FILE"):
            await send(server, how, None)


@pytest.mark.parametrize("how", HOW)
async def test_a_server_under_another_host_name_gets_no_mail(
    certificate: ssl.SSLContext, vault: Path, how: str
) -> None:
    async with serving(**{how: certificate}) as server:
        with pytest.raises(NotAccepted, match="Hostname mismatch"):
            await send(server, how, vault / "ca.pem", host="localhost")


async def test_a_server_that_does_not_offer_starttls_gets_no_mail(vault: Path) -> None:
    async with serving() as server:
        with pytest.raises(NotAccepted):
            await send(server, "starttls", vault / "ca.pem")
        assert not server.mailbox
        assert not server.recipients


def test_a_ca_file_that_would_verify_nothing_is_refused(vault: Path) -> None:
    with pytest.raises(ValidationError, match="SMTP_CA_FILE is given, and SMTP_TLS is none"):
        SmtpSettings(smtp_host="mail", smtp_ca_file=str(vault / "ca.pem"))
