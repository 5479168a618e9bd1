"""The shops that are explored, and what is found in one."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.model import returning
from tests.model.asides import Broken
from tests.model.bank import Manners
from tests.model.core import Core, Shop
from tests.model.explore import Note, Violation, explore
from tests.model.later import Later
from tests.model.promises import Promises
from tests.model.tab_promises import TabPromises
from tests.model.tab_shops import TABS
from tests.model.tabs import Tabs, TabsWorld
from tests.model.world import State, World

_DECLINES = frozenset({"authorize", "capture"})
_HONEST = Manners(declines=_DECLINES)
_FORGETFUL = Manners(declines=_DECLINES, refusals=1, loses=True)
_BROKEN = Manners(declines=_DECLINES, refusals=1, loses=True, breaks=True)
_MISTAKEN = Manners(declines=_DECLINES, loses=True, misstates=_DECLINES)
_ASKING = Manners(declines=_DECLINES, loses=True, asks=True)
_SILENT = Manners(declines=_DECLINES, refusals=1, loses=True, stalls=True)

ONE_ORDER = (
    Shop("one order, the provider says yes or no", manners=_HONEST),
    Shop("one order, answers are lost", manners=_FORGETFUL, guest=False),
    Shop("one order, answers are errors", manners=_BROKEN),
    Shop("one order, the provider is silent for a day", manners=_SILENT),
    Shop("one order, out of stock", stock={"A": 0}, manners=_BROKEN),
    Shop("one order, a message is lost for good", manners=_HONEST, losses=1),
    Shop("one order, other amounts than were asked for", manners=_MISTAKEN),
    Shop("one order, its amount is edited on its way to payment", manners=_HONEST, edited=30),
)
# With answers that are errors as well it is millions of states: that is left to the machine of many orders.
ASKED = Shop("one order, its shopper's bank asks", manners=_ASKING)
ASKED_AND_LOST = Shop(
    "one order, its shopper's bank asks, a message is lost for good", manners=Manners(asks=True), losses=1
)
FREE = Shop("one free order, a message is lost for good", manners=_HONEST, losses=1, price=0)
MERGED = Shop("one order, its guest logs in, another account claims it", manners=_HONEST, merges=True)
RETURNS = (
    Shop(
        "one order is fulfilled, returned and refunded in part",
        orders=({"A": 2},),
        stock={"A": 2},
        manners=Manners(refusals=1, loses=True),
        returns=returning.WHIMS,
    ),
    Shop(
        "one order is returned, a message is lost for good",
        orders=({"A": 2},),
        stock={"A": 2},
        losses=1,
        returns=returning.WHIMS,
    ),
)
LATER = (
    Shop("one order is disputed, and cancelled", manners=Manners(later=Later(disputes=True))),
    Shop(
        "one order is disputed, and refunded in part",
        cancels=False,
        manners=Manners(later=Later(disputes=True)),
        returns=returning.BY_STAFF,
    ),
    Shop(
        "one order is refunded elsewhere",
        manners=Manners(loses=True, refusals=1, later=Later(refunds=(200, None))),
    ),
    Shop(
        "one order is returned, and refunded elsewhere",
        orders=({"A": 2},),
        stock={"A": 2},
        manners=Manners(later=Later(refunds=(200,))),
        returns=returning.WHIMS,
    ),
    Shop(
        "one order, a refund comes back", manners=Manners(later=Later(bounces=1)), returns=returning.BY_STAFF
    ),
)
# What may happen to patient shoppers may happen to fickle ones, too: it is for tests, which have less time.
PATIENT = Shop("two orders for the last piece", orders=({"A": 1}, {"A": 1}), cancels=False)
FICKLE = Shop("two orders for the last piece, shoppers cancel", orders=({"A": 1}, {"A": 1}))
WAITING = (
    Shop("one order waits for another's piece", others=({"A": 1},), manners=_FORGETFUL, impatient=True),
    Shop(
        "one order waits for two products",
        orders=({"A": 1, "B": 1},),
        stock={"A": 1, "B": 1},
        others=({"A": 1}, {"B": 1}),
        manners=_HONEST,
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
    core = Core(shop)
    return core, Promises(core), partial(_end, core)


def _end(core: Core, state: State) -> str:
    return " and ".join(sorted(_how(core, state, n) for n in range(len(core.orders))))


def _how(core: Core, state: State, n: int) -> str:
    seen = core.seen(state, n)
    if seen.order.status != "cancelled":
        return seen.order.status
    return "refunded" if seen.given_back else "cancelled"
