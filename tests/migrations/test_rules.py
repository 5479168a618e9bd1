"""A migration blocks nobody for long: each revision is linted by Squawk, as it is rendered for PostgreSQL."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from chassis.schema import create_index

ROOT = Path(__file__).parents[2]

# The runner sets a timeout for locks, and a revision's transaction makes it safe to repeat. The shop's types
# are chosen by what they hold.
_NO_DANGER = (
    "require-lock-timeout",
    "require-statement-timeout",
    "prefer-robust-stmts",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamptz",
    "require-table-schema",
    "require-enum-value-ordering",
    "ban-drop-constraint",  # a check is dropped for a wider one
    "ban-drop-not-null",  # takes no time; the previous release's own tests run on today's schema
)

_INDEX = "require-concurrent-index-creation"
_NO_INDEX = "require-concurrent-index-deletion"
_INDEXES_OF_THE_CHASSIS = {_INDEX: 3, _NO_INDEX: 1}
BEFORE_THE_RULE = {
    "auth 0002": _INDEXES_OF_THE_CHASSIS,
    "cart 0002": _INDEXES_OF_THE_CHASSIS,
    "cart 0004": {_INDEX: 1},
    "notification 0002": _INDEXES_OF_THE_CHASSIS,
    "notification 0003": {_INDEX: 1},
    "order 0002": {_INDEX: 1},
    "order 0003": _INDEXES_OF_THE_CHASSIS,
    "order 0004": {_INDEX: 1, "adding-field-with-default": 1},
    "order 0005": {_INDEX: 1},
    "order 0006": {_INDEX: 1},
    "order 0009": {_INDEX: 1},
    "order 0012": {_INDEX: 1, "constraint-missing-not-valid": 1},
    "order 0014": {_INDEX: 2},
    "payment 0002": _INDEXES_OF_THE_CHASSIS,
    "payment 0003": {_INDEX: 1, _NO_INDEX: 1},
    "payment 0005": {_INDEX: 1},
    "payment 0007": {_INDEX: 1},
    "payment 0008": {_INDEX: 1},
    "product 0002": {_INDEX: 1},
    "product 0003": _INDEXES_OF_THE_CHASSIS,
    "product 0005": {_INDEX: 2},
}
"""Revisions that were there before this test: on a large table they block writers while they run."""


def directories() -> dict[str, ScriptDirectory]:
    found = sorted(ROOT.glob("*/src/*/migrations"))
    return {path.parent.name: ScriptDirectory(str(path)) for path in found}


def revisions() -> Iterator[Any]:
    for service, directory in directories().items():
        for script in directory.walk_revisions():
            name = f"{service} {script.revision}"
            yield pytest.param(name, script, id=name)


def rendered(upgrade: Callable[[], None]) -> str:
    buffer = StringIO()
    options = {"as_sql": True, "output_buffer": buffer, "transaction_per_migration": True}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context), context.begin_transaction(_per_migration=True):
        upgrade()
    return buffer.getvalue()


def dangers(sql: str) -> Counter[str]:
    """How often Squawk names each rule."""
    squawk = Path(sys.executable).with_name("squawk")
    options = ["--reporter=json", "--pg-version=17"]
    command = [str(squawk), *options, f"--exclude={','.join(_NO_DANGER)}", "--stdin-filepath=revision.sql"]
    run = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60)
    assert run.returncode in (0, 1), run.stderr
    return Counter(one["rule_name"] for one in json.loads(run.stdout))


@pytest.mark.parametrize(("name", "script"), list(revisions()))
def test_a_revision_blocks_nobody_for_long(name: str, script: Script) -> None:
    assert dangers(rendered(script.module.upgrade)) == BEFORE_THE_RULE.get(name, {})


def test_an_index_on_a_table_in_use_is_found() -> None:
    assert dangers("CREATE INDEX late ON orders (total);") == {"require-concurrent-index-creation": 1}


def test_an_index_is_created_concurrently_outside_a_transaction() -> None:
    sql = rendered(lambda: create_index("late", "orders (total)"))
    assert dangers(sql) == {}
    before, after = sql.split("CREATE INDEX CONCURRENTLY IF NOT EXISTS late ON orders (total);")
    assert before.count("BEGIN;") == before.count("COMMIT;")
    assert "BEGIN;" in after
