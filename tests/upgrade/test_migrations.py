"""Expand and contract: the previous release's code passes its own tests on today's schema."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrade.released import ROOT, migrations, python, unpacked

SECONDS = 400
SCHEMA = "chassis/src/chassis/schema.py"  # a part of the migrations: it has the statements that all share


@pytest.fixture
def tree() -> Iterator[Path]:
    with unpacked() as folder:
        yield folder


def test_a_migration_that_was_released_is_not_edited(tree: Path) -> None:
    today = migrations(ROOT)
    assert [path for path, text in migrations(tree).items() if today.get(path) != text] == []


@pytest.mark.timeout(SECONDS + 30)
def test_the_previous_release_works_on_todays_schema(tree: Path) -> None:
    """Today's migrations in place of its own, as when the databases are migrated and the old processes go on.
    Services whose schema is the same have nothing to show."""
    added = {path: text for path, text in migrations(ROOT).items() if path not in migrations(tree)}
    for path, text in added.items():
        (tree / path).write_text(text)
    shutil.copy(ROOT / SCHEMA, tree / SCHEMA)
    services = sorted({path.parts[0] for path in added})
    if services:
        plugins = ("-p", "tests.upgrade.only_databases", "-p", "no:schemathesis")
        tests = [f"{service}/tests" for service in services]
        run = python(tree, ["-m", "pytest", "-q", *plugins, *tests], seconds=SECONDS)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
        passed = re.search(r"(\d+) passed", run.stdout)
        assert passed
        assert int(passed[1]) > 5 * len(services), run.stdout
