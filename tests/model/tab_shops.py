"""The carts that tabs submit, and what happens to them meanwhile."""

from tests.model.tabs import ACCOUNT, GUEST, Change, Tabs

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
