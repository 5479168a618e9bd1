import asyncio
from collections.abc import Callable

import pytest

from devstack import Stack
from scenarios import SCENARIOS, Report

from .planting import Planted, plant


@pytest.fixture(scope="session")
def planted(stack: Stack, played: Callable[[str], Report]) -> Planted:
    """Every scenario has been played, and a day has passed on which values were planted."""
    for name in SCENARIOS:
        played(name)
    return asyncio.run(plant(stack))
