"""Selecting dead letters: by prefixes of their ids, by service, or all."""

from collections.abc import Sequence

from shop.dead_letters.dead_letter import STEPS, DeadLetter
from shop.dead_letters.deliveries import Listing
from shop.errors import ShopError
from shop.services import PARTICIPANTS

SHORTEST_PREFIX = 4


def queues_of(service: str | None) -> list[str]:
    """The queues of a service, or all queues. Raises ShopError for a service that consumes nothing."""
    queues = {p.name: [steps.queue for steps in p.steps] for p in PARTICIPANTS if p.steps}
    if service is None:
        return list(STEPS)
    if service not in queues:
        raise ShopError(f"{service} consumes no events: choose one of {', '.join(queues)}")
    return queues[service]


def select(listing: Listing, ids: Sequence[str], service: str | None, everything: bool) -> list[DeadLetter]:
    """By id, or all, or all of a service. Raises ShopError when the options are unclear, or none is found."""
    if bool(ids) == everything or (service and not everything):
        raise ShopError("give ids of dead letters, or --all, or --all and --service")
    if ids:
        return list({letter.id: letter for letter in (find(listing, one) for one in ids)}.values())
    queues = queues_of(service)
    found = [letter for letter in listing.letters if letter.queue in queues]
    if not found:
        raise ShopError("there are no dead letters" + (f" of {service}" if service else ""))
    return found


def find(listing: Listing, prefix: str) -> DeadLetter:
    """The dead letter whose id starts with `prefix`. Raises ShopError unless there is exactly one."""
    found = [letter for letter in listing.letters if letter.id.startswith(prefix.lower())]
    if len(found) == 1 and len(prefix) >= SHORTEST_PREFIX:
        return found[0]
    if len(prefix) < SHORTEST_PREFIX:
        raise ShopError(f"{prefix} is too short: give at least {SHORTEST_PREFIX} characters of the id")
    if found:
        several = ", ".join(f"{letter.id} ({letter.queue})" for letter in found)
        raise ShopError(f"{prefix} is ambiguous ({several}): give more characters")
    more = "; there are more than --limit" if listing.beyond else ""
    raise ShopError(f"no dead letter {prefix}: `shop dead-letters list` shows them{more}")
