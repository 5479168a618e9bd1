"""One statement made of parts, each of which knows its own table alone: a transaction in one round trip.

Four statements in a transaction of their own cost five times the CPU, most of it in round trips.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")


@dataclass(frozen=True)
class Part:
    """A query of the statement, `WITH name AS (sql)`; it sees the parts before it by their names.

    `values` has its parameters, which the SQL calls `:parameter`. `done` is called after the commit if the
    part returned a row.
    """

    name: str
    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)
    done: Callable[[], None] | None = None


async def run(engine: AsyncEngine, parts: Sequence[Part], select: str) -> Mapping[str, Any]:
    """Commit the statement. Returns the one row of `select`, which names columns and what they are `FROM`.

    Raises asyncpg's errors as they are, and Unavailable while there is no database.
    """
    watched = tuple(part.name for part in parts if part.done)
    sql, names = compose(tuple((part.name, part.sql) for part in parts), select, watched)
    [row] = await fetch(engine, sql, *(parts[n].values[name] for n, name in names))
    for part in parts:
        if part.done and row[f"did_{part.name}"]:
            part.done()
    found: Mapping[str, Any] = row
    return found


@lru_cache(maxsize=64)
def compose(
    parts: tuple[tuple[str, str], ...], select: str, watched: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, str], ...]]:
    """The statement with numbered parameters, and which part's which parameter each of them is."""
    names: list[tuple[int, str]] = []

    def numbered(n: int, sql: str) -> str:
        def number(found: re.Match[str]) -> str:
            if (n, found[1]) not in names:
                names.append((n, found[1]))
            return f"${names.index((n, found[1])) + 1}"

        return _PARAMETER.sub(number, sql)

    queries = ", ".join(f"{name} AS ({numbered(n, sql)})" for n, (name, sql) in enumerate(parts))
    columns, _, source = select.partition(" FROM ")
    columns += "".join(f", EXISTS (SELECT FROM {name}) AS did_{name}" for name in watched)
    return f"WITH {queries} SELECT {columns} FROM {source}", tuple(names)  # noqa: S608
