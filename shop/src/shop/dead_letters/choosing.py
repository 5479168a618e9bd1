"""Which letters an operator means: by the beginnings of their ids, by service, or all."""

from collections.abc import Sequence

from shop.dead_letters.holding import Seen
from shop.dead_letters.letter import STEPS, Letter
from shop.errors import ShopError
from shop.participants import PARTICIPANTS

SHORTEST_PREFIX = 4


def queues_of(service: str | None) -> list[str]:
    """What a service hears, or all of them. Raises ShopError for one that hears nothing."""
    queues = {p.name: [steps.queue for steps in p.steps] for p in PARTICIPANTS if p.steps}
    if service is None:
        return list(STEPS)
    if service not in queues:
        raise ShopError(f"{service} hears nothing: choose from {', '.join(queues)}")
    return queues[service]


def chosen(seen: Seen, ids: Sequence[str], service: str | None, everything: bool) -> list[Letter]:
    """Those named, or all, or all of a service. Raises ShopError when that is unclear, or there are none."""
    if bool(ids) == everything or (service and not everything):
        raise ShopError("name letters, or say --all, or --all and --service")
    if ids:
        return list({letter.id: letter for letter in (find(seen, one) for one in ids)}.values())
    queues = queues_of(service)
    found = [letter for letter in seen.letters if letter.queue in queues]
    if not found:
        raise ShopError("there are no dead letters" + (f" of {service}" if service else ""))
    return found


def find(seen: Seen, prefix: str) -> Letter:
    """The letter whose id begins like that. Raises ShopError unless there is exactly one."""
    found = [letter for letter in seen.letters if letter.id.startswith(prefix.lower())]
    if len(found) == 1 and len(prefix) >= SHORTEST_PREFIX:
        return found[0]
    if len(prefix) < SHORTEST_PREFIX:
        raise ShopError(f"{prefix} is too short: give at least {SHORTEST_PREFIX} signs of the letter's id")
    if found:
        several = ", ".join(f"{letter.id} ({letter.queue})" for letter in found)
        raise ShopError(f"{prefix} may be {several}: give more of it")
    more = "; there are more beyond --limit" if seen.beyond else ""
    raise ShopError(f"there is no dead letter {prefix}: `shop dead-letters list` shows them{more}")
