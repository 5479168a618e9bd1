"""Bringing a broker back to its definitions."""

from dataclasses import dataclass

import httpx

from shop.audit.trail import Audit, AuditedAction, operator
from shop.broker import topology
from shop.broker.checking import read
from shop.broker.definitions import Difference, differences, surplus, with_live_passwords
from shop.broker.topology import Definitions
from shop.errors import ShopError
from shop.http import management, operator_of
from shop.targets import Target


@dataclass(frozen=True)
class Restoring:
    """What differs, what to import, and what to take away before, as it was when the broker was asked."""

    found: list[Difference]
    wanted: Definitions
    surplus: Definitions


async def prepare(target: Target, declared: Definitions) -> Restoring:
    """What differs, and what would be imported. Raises ShopError when that is not possible."""
    live, _ = await read(target)
    name = operator_of(target)
    found = differences(declared, live, operator=name)
    try:
        wanted = with_live_passwords(declared, live)
    except LookupError as error:
        raise ShopError(
            f"the broker has lost {error}, and with the user the password: `shop up` brings both back here,"
            " `docker compose run --rm definitions` in containers"
        ) from error
    return Restoring(found, wanted, surplus(declared, live, operator=name))


async def restore(target: Target, what: Restoring, why: str) -> None:
    """Do it, audited. A queue or an exchange that is different stays so: it would have to be deleted first.

    Raises ShopError when the broker refuses."""
    before = {"differences": [str(one) for one in what.found]}
    async with (
        Audit.opened(target, operator()) as audit,
        audit.record(AuditedAction("restore", why, before=before)),
    ):
        await apply(target, what)


async def apply(target: Target, what: Restoring) -> None:
    try:
        async with management(target) as broker:
            await topology.apply(broker, what.wanted, what.surplus)
    except (httpx.HTTPError, ShopError) as error:
        raise ShopError(
            f"the broker did not accept its definitions: {error or type(error).__name__}"
        ) from error
