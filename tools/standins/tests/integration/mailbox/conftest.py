"""A mailbox, really started."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from standins.mailbox.embedded import Embedded, embedded
from standins.mailbox.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "mail", port=0, smtp_port=0, largest=100_000, keep=50, recipients=3)


@pytest.fixture
async def mailbox(settings: Settings) -> AsyncIterator[Embedded]:
    async with embedded(settings) as running:
        yield running
