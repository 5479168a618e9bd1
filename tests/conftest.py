"""What tests of the whole shop share: each scenario is played once, for the first test that needs it."""

import asyncio
from collections.abc import Callable

import pytest

from devstack import Stack
from lab.services import scenario_shop
from scenarios import SCENARIOS, Report, run

Played = Callable[[str], Report]


@pytest.fixture(scope="session")
def played(stack: Stack) -> Played:
    """`played("out-of-stock")`: how that scenario went."""
    reports: dict[str, Report] = {}

    def play(name: str) -> Report:
        if name not in reports:
            reports[name] = asyncio.run(run(SCENARIOS[name], scenario_shop(stack)))
        return reports[name]

    return play
