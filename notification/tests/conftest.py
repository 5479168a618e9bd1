"""A mail server as a fixture."""

from collections.abc import AsyncIterator

import pytest

from .mailserver import MailServer, serving


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    """A mail server with an empty mailbox."""
    async with serving() as server:
        yield server
