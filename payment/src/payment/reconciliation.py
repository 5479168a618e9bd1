"""Once a day all that the provider has is compared with what is known here, whoever has done something to it
and whether or not a webhook has told of it.

Each page of the provider's lists is a call like any other: it is committed first, repeated until it is
answered, and leads to the next one. What differs is looked up; money of no order of ours is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from chassis.saga.tx import Intent

KIND = "list"
# How far each list is read back, from what may still become of the things on it: money is held for a week, a
# refund may fail for a month, a dispute takes months.
LISTS: Mapping[str, timedelta] = {
    "payment_intents": timedelta(days=8),
    "refunds": timedelta(days=35),
    "disputes": timedelta(days=200),
}
_PAGES = UUID("80ff9dd5-328a-4f2b-bb8e-fa551f815910")


@dataclass(eq=False)
class Reconciliation:
    """When a list was last begun to be read, and when it was last read to its end."""

    name: str
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(eq=False)
class Stray:
    """Money at the provider of no order of ours, or beside what its order knows. `amount` is in the
    provider's units. `settled_at` is when it was seen to be gone."""

    payment_id: str
    order_id: str | None
    amount: int
    currency: str
    created_at: datetime
    seen_at: datetime
    settled_at: datetime | None = None


@dataclass(frozen=True)
class Compared:
    """What a page comes to: payments to look up, by order; strays, and those that are none any more."""

    name: str
    looks: Mapping[UUID, str]
    strays: tuple[Stray, ...] = ()
    settled: tuple[str, ...] = ()
    after: str | None = None


def first_page(name: str, now: datetime, ended_at: datetime | None, oldest_stray: datetime | None) -> Intent:
    """The intent to begin with a list: as far back as matters, and as was missed since it was last read."""
    since = now - LISTS[name]
    if name == "payment_intents":
        since = min(filter(None, (since, ended_at, oldest_stray)))
    return page(name, int(since.timestamp()))


def page(name: str, since: int, after: str | None = None) -> Intent:
    """The intent to read a page of that list, of what was created since then, in seconds since 1970."""
    return Intent(
        KIND, uuid5(_PAGES, f"{name} {after or ''}"), {"list": name, "since": since, "after": after}
    )
