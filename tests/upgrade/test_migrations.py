"""Expand and contract: the previous release's code passes its own tests on today's schema."""

import re
from pathlib import Path

import pytest

from tests.upgrade.released import lay_todays_migrations_over, python, unpacked

SERVICES = ("auth", "product", "cart", "order", "payment", "notification")
SECONDS = 300


@pytest.mark.timeout(SECONDS + 30)
def test_the_previous_release_works_on_todays_schema(tmp_path: Path) -> None:
    tree = unpacked(tmp_path)
    lay_todays_migrations_over(tree)
    arguments = [
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "tests.upgrade.only_databases",
        "-p",
        "no:schemathesis",
    ]
    run = python(tree, [*arguments, *(f"{service}/tests" for service in SERVICES)], seconds=SECONDS)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed
    assert int(passed[1]) > 100, run.stdout[-500:]
