"""The queries on orders, each a single statement that returns plain rows, and the parts of composed
statements that write orders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import orjson
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.database import Json
from chassis.storage.raw_sql import Part, fetch
from order.domain import Order
from order.tables import orders
from order.timeline import StaffAction

Row = Mapping[str, Any]

# The owner: the account that claimed the order, or that its guest was merged into, or who placed it.
_OWNER = """coalesce(
    claimed_by, (SELECT user_id FROM merged_guests WHERE guest_id = orders.shopper_id), orders.shopper_id)"""

_COLUMNS = f"""order_id, number, {_OWNER} AS shopper_id, status, reason, total, currency, lines::text,
    short::text, decline_reason, shipping::text, created_at, deadline, paid_at, fulfilled_at, cancelled_at,
    cancelled_by, stock_released_at, voided_at, refunded_at, returns::text, refunded_rest,
    late_refunds::text, disputes::text, action_url,
    action_expires_at"""

# `{key}` is the column that identifies the order: its id or its number.
_FIND = f"SELECT {_COLUMNS} FROM orders WHERE {{key}} = $1"  # noqa: S608

_FILTERS = {
    "status": "status = ${}",
    "ids": "order_id = ANY (${}::uuid[])",
    "number": "number = ${}",
    "before": "order_id < ${}",
    "placed_from": "order_id >= ${}",
    "placed_before": "order_id < ${}",
    "contacts": "contact_hash = ANY (${}::bytea[])",
    "sku": "jsonb_path_query_array(lines, '$[*].sku') @> jsonb_build_array(${}::text)",
}

# All orders of an address or a product are found by its index first. Otherwise the planner, which does not
# know how many there are, might look for them among all orders, newest first.
_INDEXED = ("contacts", "sku")
_FOUND = """order_id = ANY (ARRAY(
    WITH found AS MATERIALIZED (SELECT order_id, number, status FROM orders WHERE {indexed})
    SELECT order_id FROM found WHERE {filters} ORDER BY order_id DESC LIMIT $1
))"""

# A page of an owner's orders is merged from a page of each shopper id that the owner has, each read by an
# index. The number of guests is limited, so that an account merged with ever more guests does not slow the
# query down.
_MOST_GUESTS = 500
_OWNED = f"""order_id = ANY (ARRAY(
    SELECT placed.order_id FROM (
        SELECT {{owner}}::uuid AS placed_by
        UNION ALL (SELECT guest_id FROM merged_guests WHERE user_id = {{owner}}
            ORDER BY merged_at DESC LIMIT {_MOST_GUESTS})
    ) AS shoppers CROSS JOIN LATERAL (
        SELECT order_id FROM orders WHERE shopper_id = placed_by AND claimed_by IS NULL{{filters}}
        ORDER BY order_id DESC LIMIT $1
    ) AS placed
    UNION ALL (SELECT order_id FROM orders WHERE claimed_by = {{owner}}{{filters}}
        ORDER BY order_id DESC LIMIT $1)
)) AND {_OWNER} = {{owner}}"""  # noqa: S608

_FIND_OWNER = f"SELECT order_id, {_OWNER} AS shopper_id, status FROM orders WHERE {{key}} = $1"  # noqa: S608

_TIMELINE = f"""
    SELECT order_id, number, {_OWNER} AS shopper_id, event_id, type, said_by, time, causation_id, traceparent,
        data::text
    FROM orders LEFT JOIN timeline USING (order_id) WHERE {{key}} = $1 ORDER BY time, event_id
"""  # noqa: S608

# An event's name in `Last-Event-ID` is its type if its id is derived from the type and the order alone, since
# an order has only one of these; otherwise it is its id. `delivered` lists names, comma-separated.
_NAME = "CASE event_id WHEN type || '/' || timeline.order_id THEN type ELSE event_id END"
_STATE = "CASE WHEN action_url IS NULL THEN orders.status ELSE 'action_required' END"
_CHANGES = f"""
    SELECT n, changes.* FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
        AS stream (order_id, state, delivered, n)
    CROSS JOIN LATERAL (
        SELECT {_STATE} AS state, orders.status, number, reason, orders.order_id,
            {_OWNER} AS shopper_id, action_url, action_expires_at, event_id, type, {_NAME} AS name, said_by,
            time, causation_id, traceparent, data::text
        FROM orders LEFT JOIN timeline
            ON timeline.order_id = stream.order_id AND {_NAME} <> ALL (string_to_array(stream.delivered, ','))
        WHERE orders.order_id = stream.order_id AND ({_STATE} <> stream.state OR type IS NOT NULL)
        OFFSET 0  -- makes the planner find each stream's few rows by their keys, whatever the statistics say
    ) AS changes
    ORDER BY n, time, event_id
"""  # noqa: S608

_STAFF_ACTIONS = """
    SELECT action, done_by, done_at, why, about::text FROM staff_action
    WHERE order_id = $1 ORDER BY done_at, action_id
"""


class Orders:
    """Reads for HTTP, outside any transaction; `schemas` turns the rows into responses."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, order: UUID | str) -> Row | None:
        """The order with this id or number."""
        return _first(await self._of(_FIND, order))

    async def owner(self, order: UUID | str) -> Row | None:
        """The id, owner and status of the order with this id or number."""
        return _first(await self._of(_FIND_OWNER, order))

    async def contact(self, number: str) -> str | None:
        """The encrypted address with which the order with this number was placed; none if it was
        anonymised."""
        found = _first(await fetch(self._engine, "SELECT contact FROM orders WHERE number = $1", number))
        contact: str | None = found["contact"] if found else None
        return contact

    async def page(self, limit: int, *, owner: UUID | None = None, **filters: Any) -> Sequence[Row]:
        """At most `limit` orders, newest first, of one owner or of all. Filters: `status`, `ids`, `number`,
        `before` an id, ids from when they were `placed_from` and `placed_before`, `contacts` (hashes), `sku`;
        `None` means no filter."""
        given = {name: value for name, value in filters.items() if value is not None}
        conditions = {name: _FILTERS[name].format(n) for n, name in enumerate(given, 2)}
        values = [*given.values()]
        where = " AND ".join(conditions.values()) or "true"
        if owner is not None:
            values.append(owner)
            where = _OWNED.format(owner=f"${len(values) + 1}", filters=f" AND {where}")
        elif indexed := [conditions.pop(name) for name in _INDEXED if name in conditions]:
            others = " AND ".join(conditions.values()) or "true"
            where = _FOUND.format(indexed=" AND ".join(indexed), filters=others)
        query = f"SELECT {_COLUMNS} FROM orders WHERE {where} ORDER BY order_id DESC LIMIT $1"  # noqa: S608
        return await fetch(self._engine, query, limit, *values)

    async def timeline(self, order: UUID | str) -> Sequence[Row]:
        """The order's events, each row with the owner; no rows for an unknown order. An order without events
        yet has one row, in which the event's columns are null."""
        return await self._of(_TIMELINE, order)

    async def staff_actions(self, order_id: UUID) -> Sequence[Row]:
        """What staff did to the order, the oldest first."""
        return await fetch(self._engine, _STAFF_ACTIONS, order_id)

    async def changes(
        self, ids: Sequence[UUID], states: Sequence[str], delivered: Sequence[str]
    ) -> Sequence[Row]:
        """What each stream was not sent yet, in order of time; a row's `n`, from 1, says which stream. An
        order's `state` is its status, or `action_required` while its shopper has to confirm with her bank."""
        return await fetch(self._engine, _CHANGES, ids, states, delivered)

    async def _of(self, query: str, order: UUID | str) -> Sequence[Row]:
        key = "number" if isinstance(order, str) else "order_id"
        return await fetch(self._engine, query.format(key=key), order)


def _first(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


# The columns of JSON, which raw statements read and write as text.
_JSON = {
    column.name: TypeAdapter(column.type.type_) for column in orders.columns if isinstance(column.type, Json)
}
_NAMES = [column.name for column in orders.columns]
_READ = f"""
    SELECT {", ".join(f"{name}::text" if name in _JSON else name for name in _NAMES)}, xmin
    FROM orders WHERE order_id = $1
"""  # noqa: S608


def stored(order: Order, names: Iterable[str]) -> dict[str, Any]:
    """The values of these columns, as a part of a composed statement takes them."""
    values = {name: getattr(order, name) for name in names}
    for name in values.keys() & _JSON.keys():
        if values[name] is not None:
            values[name] = _JSON[name].dump_json(values[name]).decode()
    return values


def placeholder(name: str) -> str:
    """The parameter for this column in a part of a composed statement."""
    return f":{name}::jsonb" if name in _JSON else f":{name}"


@dataclass(frozen=True)
class VersionedOrder:
    """An order that was read without a lock, to be changed only if nobody else has changed it since.

    `version`: the transaction that wrote the row, PostgreSQL's `xmin`. Every update of the row gives it
        another one. Source: PostgreSQL's manual, section 5.6, System Columns.
    """

    order: Order
    version: int

    @classmethod
    async def read(cls, engine: AsyncEngine, order_id: UUID) -> Self | None:
        row = _first(await fetch(engine, _READ, order_id))
        if row is None:
            return None
        values = dict(row)
        version = values.pop("xmin")
        for name in _JSON:
            if values[name] is not None:
                values[name] = _JSON[name].validate_json(values[name])
        return cls(Order(**values), version)

    def changing(self, changed: Order, done: Callable[[], None]) -> Part:
        """A part of a composed statement: write what has changed. It returns no row if the order is not as it
        was read; otherwise `done` is called after the commit."""
        before, after = vars(self.order), vars(changed)
        names = [name for name in _NAMES if before[name] != after[name]]
        sql = f"""
            UPDATE orders SET {", ".join(f"{name} = {placeholder(name)}" for name in names)}
            WHERE order_id = :order_id AND xmin = :version::xid RETURNING true
        """  # noqa: S608
        guard = {"order_id": changed.order_id, "version": self.version}
        return Part("changed", sql, stored(changed, names) | guard, done)


def recording(action: StaffAction, *, given: str) -> Part:
    """A part of a composed statement: record what staff did if the part `given` returned a row."""
    values = vars(action) | {"about": orjson.dumps(action.about).decode()}
    return Part("recorded", _RECORD.format(given=given), values)


_RECORD = """
    INSERT INTO staff_action (action_id, order_id, action, done_by, done_at, why, about)
    SELECT :action_id, :order_id, :action, :done_by, :done_at, :why, :about::jsonb FROM {given}
"""
