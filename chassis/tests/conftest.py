"""What tests of several kinds need."""

from collections.abc import Iterator, MutableMapping
from typing import Any
from uuid import uuid4

import pytest
import structlog
from structlog.testing import LogCapture

from .things import ThingMade

LogLine = MutableMapping[str, Any]


@pytest.fixture
def made() -> ThingMade:
    return ThingMade(id=uuid4())


@pytest.fixture
def logged() -> Iterator[list[LogLine]]:
    """The logged events, with the bound ids."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, capture], cache_logger_on_first_use=False
    )
    yield capture.entries
    structlog.configure(**before)


@pytest.fixture
def on_credit(made: ThingMade) -> ThingMade:
    """Its sale intends a call."""
    return type(made)(id=made.id, note="on credit")
