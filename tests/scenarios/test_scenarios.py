"""Every scenario is played on the whole shop and has its expected outcome; then the ledger finds nothing."""

from collections.abc import Callable

import pytest

from devstack import Stack
from scenarios import SCENARIOS, Report
from shop.ledger import CHECKS
from shop.ledger.gather import gather, until_quiet

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_has_its_expected_outcome(name: str, played: Callable[[str], Report]) -> None:
    report = played(name)
    assert report.error is None
    assert report.outcome == report.scenario.expected
    assert [claim for claim, holds in report.claims if not holds] == []


async def test_after_all_scenarios_the_ledger_finds_nothing(stack: Stack) -> None:
    await until_quiet(stack, 60)
    seen = await gather(stack)
    findings = {check.name: list(check.violations(seen)) for check in CHECKS}
    assert {name: found for name, found in findings.items() if found} == {}
