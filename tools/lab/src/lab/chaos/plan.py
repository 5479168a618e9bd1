"""The plan of faults: which and when, drawn before anything runs. Same seed, same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.stack import numbered
from shop.errors import ShopError
from shop.targets import SERVICES

FIRST_AT = 3.0
GAP = (1.5, 4.0)  # seconds from one fault to the next
REST_SECONDS = 10.0  # before the next fault of a target that has to restart or reconnect first
LONG_SECONDS = 15.0
COMPLETE_SECONDS = 120.0  # plans as long as this have every kind
DRAWS = 10
# They delay no order: mails, and what a step ignores.
_HARMLESS = {
    "kill-mailbox",
    "mail-refused",
    "mail-taken-and-not-said",
    "mail-slow",
    "messages-twice",
    "provider-declines",
    "provider-repeats-webhooks",
    "provider-loses-webhooks",
}
LEADER = "leader"  # the node of the broker that leads most queues at that moment


@dataclass(frozen=True)
class Fault:
    """`at` is seconds after the load has begun, `seconds` how long it lasts, 0 for what is over at once."""

    at: float
    kind: str
    target: str
    seconds: float

    @property
    def can_delay_orders(self) -> bool:
        """Whether an order may have to wait because of it."""
        return self.kind not in _HARMLESS and self.target.partition("-")[0] != "notification"

    def __str__(self) -> str:
        return f"{self.kind} {self.target}" + (f" for {self.seconds:.0f} s" if self.seconds else "")


@dataclass(frozen=True)
class Kind:
    """`seconds` is the shortest and the longest that it lasts, `weight` how often a round of faults has it.
    With `needs_rest` its target has to restart or reconnect afterwards."""

    targets: tuple[str, ...]
    seconds: tuple[float, float] = (0.0, 0.0)
    weight: int = 1
    needs_rest: bool = True


def kinds(brokers: int = 1, replicas: int = 1) -> dict[str, Kind]:
    """Every kind of fault there is. The word before the dash is what `--faults` chooses by."""
    nodes = tuple(numbered("rabbitmq", brokers))
    copies = tuple(copy for name in SERVICES for copy in numbered(name, replicas))
    known = {
        "kill-service": Kind(copies, weight=3),
        "kill-broker": Kind(nodes),
        "kill-database": Kind(("postgres",)),
        "kill-provider": Kind(("sandbox",)),
        "kill-mailbox": Kind(("mailbox",)),
        "kill-gateway": Kind(("gateway",)),
        "freeze-service": Kind(copies, (2, 12)),
        "freeze-broker": Kind(nodes, (2, 6)),
        "away-service": Kind(("payment", "notification"), (20, 40)),
        "cut-broker": Kind(SERVICES),
        "cut-database": Kind(SERVICES),
        "cut-provider": Kind(("payment",)),
        "stall-broker": Kind(SERVICES, (2, 25)),
        "stall-database": Kind(SERVICES, (1, 8)),
        "stall-provider": Kind(("payment",), (2, 15)),
        "refuse-broker": Kind(SERVICES, (2, 8)),
        "refuse-database": Kind(SERVICES, (2, 8)),
        "refuse-provider": Kind(("payment",), (2, 8)),
        "provider-declines": Kind(("sandbox",), (3, 8), needs_rest=False),
        "provider-fails": Kind(("sandbox",), (3, 8), needs_rest=False),
        "provider-charges-and-is-silent": Kind(("sandbox",), (3, 8), needs_rest=False),
        "provider-repeats-webhooks": Kind(("sandbox",), (5, 15), needs_rest=False),
        "provider-loses-webhooks": Kind(("sandbox",), (5, 15), needs_rest=False),
        "messages-twice": Kind(("events",), (3, 8), needs_rest=False),
        "messages-reordered": Kind(SERVICES[1:], (2, 5)),
        "mail-refused": Kind(("mailbox",), (2, 6), needs_rest=False),
        "mail-taken-and-not-said": Kind(("mailbox",), (2, 6), needs_rest=False),
        "mail-slow": Kind(("mailbox",), (4, 8), needs_rest=False),
        "broker-refuses-publish": Kind(("order", "product", "payment"), (3, 8)),
        "broker-loses-binding": Kind(("order", "product", "payment", "notification"), (3, 8)),
        "broker-alarm": Kind(nodes, (3, 8)),
    }
    if brokers > 1:
        known["kill-leader"] = Kind((LEADER,))
    return known


def chosen(words: Sequence[str], known: dict[str, Kind]) -> dict[str, Kind]:
    """The kinds of those families (`kill`) or names (`kill-broker`), all for no words. Raises ShopError."""
    wanted: set[str] = set()
    for word in words:
        named = {name for name in known if f"{name}-".startswith(f"{word}-")}
        if not named:
            families = ", ".join(sorted({name.split("-")[0] for name in known}))
            raise ShopError(f"--faults {word}: choose from {families}, or one of {', '.join(known)}")
        wanted |= named
    return {name: kind for name, kind in known.items() if not words or name in wanted}


def draw(seed: int, seconds: float, known: dict[str, Kind]) -> list[Fault]:
    """Faults for so many seconds, the last one over by then, and in two minutes or more every kind."""
    plan: list[Fault] = []
    for attempt in range(DRAWS):  # sometimes many faults of a round want the same target, and time runs out
        plan = _draw(random.Random(f"{seed} {attempt}"), seconds, known)
        if seconds < COMPLETE_SECONDS or {fault.kind for fault in plan} == known.keys():
            break
    return plan


def _draw(rng: random.Random, seconds: float, known: dict[str, Kind]) -> list[Fault]:
    """Rounds of all kinds, each shuffled with the long ones first; two faults at once never have the same
    target."""
    plan: list[Fault] = []
    kinds_left: list[str] = []
    busy: dict[str, float] = {}
    at = FIRST_AT
    while at < seconds:
        if not kinds_left:
            kinds_left = [name for name, kind in known.items() for _ in range(kind.weight)]
            rng.shuffle(kinds_left)
            kinds_left.sort(key=lambda name: known[name].seconds[0] < LONG_SECONDS)
        free = {name: [one for one in known[name].targets if busy.get(one, 0) <= at] for name in kinds_left}
        fitting = [name for name in kinds_left if free[name] and at + known[name].seconds[0] <= seconds]
        if not fitting:
            at += 1
            continue
        name, kind = fitting[0], known[fitting[0]]
        lasts = min(rng.uniform(*kind.seconds), seconds - at)
        fault = Fault(round(at, 1), name, rng.choice(free[name]), round(lasts, 1))
        plan.append(fault)
        kinds_left.remove(name)
        busy[fault.target] = at + fault.seconds + (REST_SECONDS if kind.needs_rest else 0)
        at += rng.uniform(*GAP)
    return plan
