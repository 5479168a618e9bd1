"""The shops that are explored, and what is found in one."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.model import returns
from tests.model.downstream import Broken
from tests.model.explore import Note, Violation, explore
from tests.model.promises import Promises
from tests.model.provider import ProviderFaults
from tests.model.provider_ledger import LaterEvents
from tests.model.saga_world import SagaWorld, Shop
from tests.model.tab_promises import TabPromises
from tests.model.tabs import ACCOUNT, GUEST, Change, Tabs, TabsWorld
from tests.model.world import State, World

_DECLINES = frozenset({"authorize", "capture"})
_HONEST = ProviderFaults(declines=_DECLINES)
_FORGETFUL = ProviderFaults(declines=_DECLINES, refusals=1, loses=True)
_BROKEN = ProviderFaults(declines=_DECLINES, refusals=1, loses=True, breaks=True)
_MISTAKEN = ProviderFaults(declines=_DECLINES, loses=True, misstates=_DECLINES)
_ASKING = ProviderFaults(declines=_DECLINES, loses=True, asks=True)
_SILENT = ProviderFaults(declines=_DECLINES, refusals=1, loses=True, stalls=True)

ONE_ORDER = (
    Shop("one order, the provider says yes or no", provider=_HONEST),
    Shop("one order, answers are lost", provider=_FORGETFUL, guest=False),
    Shop("one order, answers are errors", provider=_BROKEN),
    Shop("one order, the provider is silent for a day", provider=_SILENT),
    Shop("one order, out of stock", stock={"A": 0}, provider=_BROKEN),
    Shop("one order, a message is lost for good", provider=_HONEST, losses=1),
    Shop("one order, other amounts than were asked for", provider=_MISTAKEN),
    Shop("one order, its amount is edited on its way to payment", provider=_HONEST, edited=30),
)
# With answers that are errors as well it is millions of states: that is left to the machine of many orders.
ASKED = Shop("one order, its shopper's bank asks", provider=_ASKING)
ASKED_AND_LOST = Shop(
    "one order, its shopper's bank asks, a message is lost for good",
    provider=ProviderFaults(asks=True),
    losses=1,
)
FREE = Shop("one free order, a message is lost for good", provider=_HONEST, losses=1, price=0)
MERGED = Shop("one order, its guest logs in, another account claims it", provider=_HONEST, merges=True)
RETURNS = (
    Shop(
        "one order is fulfilled, returned and refunded in part",
        orders=({"A": 2},),
        stock={"A": 2},
        provider=ProviderFaults(refusals=1, loses=True),
        returns=returns.OPTIONAL,
    ),
    Shop(
        "one order is returned, a message is lost for good",
        orders=({"A": 2},),
        stock={"A": 2},
        losses=1,
        returns=returns.OPTIONAL,
    ),
)
LATER = (
    Shop("one order is disputed, and cancelled", provider=ProviderFaults(later=LaterEvents(disputes=True))),
    Shop(
        "one order is disputed, and refunded in part",
        cancels=False,
        provider=ProviderFaults(later=LaterEvents(disputes=True)),
        returns=returns.BY_STAFF,
    ),
    Shop(
        "one order is refunded elsewhere",
        provider=ProviderFaults(loses=True, refusals=1, later=LaterEvents(refunds=(200, None))),
    ),
    Shop(
        "one order is returned, and refunded elsewhere",
        orders=({"A": 2},),
        stock={"A": 2},
        provider=ProviderFaults(later=LaterEvents(refunds=(200,))),
        returns=returns.OPTIONAL,
    ),
    Shop(
        "one order, a refund comes back",
        provider=ProviderFaults(later=LaterEvents(bounces=1)),
        returns=returns.BY_STAFF,
    ),
)
# What may happen to patient shoppers may happen to fickle ones, too: it is for tests, which have less time.
PATIENT = Shop("two orders for the last piece", orders=({"A": 1}, {"A": 1}), cancels=False)
FICKLE = Shop("two orders for the last piece, shoppers cancel", orders=({"A": 1}, {"A": 1}))
WAITING = (
    Shop("one order waits for another's piece", others=({"A": 1},), provider=_FORGETFUL, impatient=True),
    Shop(
        "one order waits for two products",
        orders=({"A": 1, "B": 1},),
        stock={"A": 1, "B": 1},
        others=({"A": 1}, {"B": 1}),
        provider=_HONEST,
    ),
    Shop(
        "one order waits, stock comes in and is written off",
        orders=({"A": 2},),
        stock={"A": 2},
        others=({"A": 1},),
        adjusts=True,
        most=3,
    ),
)
_PUTS = {"puts B into": Change(GUEST, {"B": 1})}
_TWO_CARTS = {GUEST: {"A": 1}, ACCOUNT: {"B": 1}}
# Three tabs, a change and all that may happen to each order come to a million states and more: so `cancels`
# and `declines` leave some of it out, which other shops have.
RESUBMITTED = Tabs("one cart, submitted three times", (GUEST,) * 3, {GUEST: {"A": 1}})
CHANGED = Tabs(
    "one cart, submitted twice, changed and emptied",
    (GUEST,) * 2,
    {GUEST: {"A": 1}},
    _PUTS | {"empties": Change(GUEST, {}, whole=True)},
)
BOUGHT_IN_PART = Tabs(
    "one cart, submitted three times and changed",
    (GUEST,) * 3,
    {GUEST: {"A": 1}},
    _PUTS,
    cancels=1,
    declines=False,
)
CARRIED = Tabs(
    "a guest's cart is the account's after the login",
    (GUEST, ACCOUNT, ACCOUNT),
    {GUEST: {"A": 1}},
    logs_in=True,
    cancels=2,
)
TWO_CARTS = Tabs(
    "two carts are merged by the login",
    (GUEST, ACCOUNT, ACCOUNT),
    _TWO_CARTS,
    logs_in=True,
    cancels=2,
    declines=False,
)
TWO_CARTS_CHANGED = Tabs(
    "two carts are merged by the login, and changed",
    (GUEST, ACCOUNT),
    _TWO_CARTS,
    {"puts C into": Change(ACCOUNT, {"C": 1})},
    logs_in=True,
)
TABS = (RESUBMITTED, CHANGED, BOUGHT_IN_PART, CARRIED, TWO_CARTS, TWO_CARTS_CHANGED)
SHOPS = (
    *ONE_ORDER,
    FREE,
    MERGED,
    ASKED,
    ASKED_AND_LOST,
    *RETURNS,
    *LATER,
    *WAITING,
    *TABS,
    FICKLE,
)


@dataclass
class Result:
    """What there was to see; `ends` counts how orders ended over all final states."""

    name: str
    states: int = 0
    transitions: int = 0
    final: int = 0
    seconds: float = 0
    ends: Counter[str] = field(default_factory=Counter)
    violation: tuple[World, Violation] | None = None


def search(shop: Shop | Tabs, note: Note | None = None) -> Result:
    """Explore a shop to the end, or to the first broken promise."""
    began = time.monotonic()
    world, promises, end = _opened(shop)
    result = Result(shop.name)
    try:
        explored = explore(world, promises.always, promises.at_the_end, note)
    except Broken as broken:
        result.violation = broken.world, broken.violation
    else:
        result.states, result.transitions = len(explored.states), explored.transitions
        result.final = len(explored.final)
        result.ends = Counter(end(state) for state in explored.final)
        result.violation = (world, explored.violation) if explored.violation else None
    result.seconds = time.monotonic() - began
    return result


def _opened(shop: Shop | Tabs) -> tuple[World, Promises | TabPromises, Callable[[State], str]]:
    if isinstance(shop, Tabs):
        tabs = TabsWorld(shop)
        return tabs, (looked_at := TabPromises(tabs)), looked_at.end
    world = SagaWorld(shop)
    return world, Promises(world), partial(_end, world)


def _end(world: SagaWorld, state: State) -> str:
    return " and ".join(sorted(_how(world, state, n) for n in range(len(world.orders))))


def _how(world: SagaWorld, state: State, n: int) -> str:
    snapshot = world.snapshot(state, n)
    if snapshot.order.status != "cancelled":
        return snapshot.order.status
    return "refunded" if snapshot.given_back else "cancelled"
