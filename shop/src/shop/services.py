"""The services: their names, their parts in the saga, and their databases, which an operator only reads."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import any_, bindparam, inspect, select
from sqlalchemy import types as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import auth.operations
import cart.operations
import notification.operations
import order.operations
import payment.operations
import product.operations
from chassis.errors import ChassisError
from chassis.saga.topology import Participant
from chassis.saga.tx import key_of
from chassis.storage.database import connect
from chassis.storage.raw_sql import fetch
from shop.errors import ShopError
from shop.targets import SERVICES, Target

PARTICIPANTS: tuple[Participant, ...] = (
    order.operations.participant,
    product.operations.participant,
    payment.operations.participant,
    cart.operations.participant,
    notification.operations.participant,
    auth.operations.participant,
)
"""From which topology and documents are generated."""

TIMEOUT_SECONDS = 15

Row = TypeVar("Row")
Record = TypeVar("Record")


@dataclass(frozen=True)
class ReadOnlyDatabases:
    """All databases of a shop, by the service's name."""

    engines: Mapping[str, AsyncEngine]

    async def rows(self, service: str, query: str, *parameters: Any) -> Sequence[Any]:
        return await fetch(self.engines[service], query, *parameters)

    async def records(
        self, service: str, record: Callable[..., Record], query: str, *parameters: Any
    ) -> tuple[Record, ...]:
        """Each row as a record that has its columns as fields, in the same sequence."""
        return tuple(record(*row) for row in await self.rows(service, query, *parameters))

    async def load(
        self, service: str, row_type: type[Row], ids: Collection[UUID], *, by: str | None = None
    ) -> dict[UUID, Row]:
        """The service's own domain objects by key, so that their own rules can be asked; those whose key, or
        whose attribute `by`, is among the ids."""
        column = getattr(row_type, by) if by else inspect(row_type).primary_key[0]
        wanted = any_(bindparam(None, list(ids), type_=sql.ARRAY(sql.Uuid)))
        async with AsyncSession(self.engines[service], expire_on_commit=False) as session:
            found = (await session.scalars(select(row_type).where(column == wanted))).all()
        return {key_of(row): row for row in found}


@asynccontextmanager
async def open_databases(
    target: Target, timeout: float = TIMEOUT_SECONDS
) -> AsyncIterator[ReadOnlyDatabases]:
    """A statement may take `timeout` seconds. Raises ShopError if PostgreSQL does not answer."""
    async with AsyncExitStack() as closing:
        engines = {}
        for name in SERVICES:
            url = target.operator_dsn(name).replace("postgresql:", "postgresql+asyncpg:", 1)
            engines[name] = connect(url, pool_size=2, statement_timeout=timeout, read_only=True)
            closing.push_async_callback(engines[name].dispose)
        try:
            yield ReadOnlyDatabases(engines)
        except (OSError, DBAPIError, asyncpg.PostgresError, ChassisError) as error:
            reason = str(error).split("\n")[0] or repr(error)
            raise ShopError(f"PostgreSQL: {reason}; see `shop status`") from error


async def find_saga(
    databases: ReadOnlyDatabases, key: UUID | str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order with that id or number, and its timeline, as order's API shows them.

    Raises ShopError if there is none.
    """
    found = await order.operations.find_saga(databases.engines["order"], key)
    if found is None:
        raise ShopError(f"no order {key}: `shop saga list --state pending` lists some")
    return found
