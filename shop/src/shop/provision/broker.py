"""A broker that runs already, brought to the shop's topology and to users with the vault's passwords."""

import asyncio
import json
import time
from collections.abc import Callable

import httpx

from chassis.tls import distrust
from shop.broker import topology
from shop.errors import ShopError
from shop.http import BrokerRefused, Management
from shop.targets import OPERATOR

_IMPORTED = "saga-shop-definitions"  # the broker keeps what it was given: the next file's gaps are taken away
_POLL_SECONDS = 0.5


async def provide(
    broker: Management, declared: topology.Definitions, password_of: Callable[[str], str], timeout: float
) -> None:
    """Waits up to `timeout` seconds for a broker that is still starting. Raises ShopError when it stays away
    or refuses; then what has been changed is finished by the next run."""
    await _until_it_answers(broker, timeout)
    new = topology.render(declared, OPERATOR, password_of)
    ourselves = [user for user in new["users"] if user["name"] == OPERATOR]
    others = [user for user in new["users"] if user not in ourselves]
    try:
        kept = {one["name"]: one["value"] for one in await broker.get("global-parameters")}
        before = json.loads(kept.get(_IMPORTED, "{}"))
        await topology.apply(broker, new | {"users": others}, before)
        await broker.delete("users", "guest")
        await broker.put("global-parameters", _IMPORTED, body={"value": json.dumps(declared)})
        await broker.post("definitions", body={"users": ourselves})  # last: it may bring another password
    except (BrokerRefused, httpx.HTTPError) as error:
        raise ShopError(f"the broker did not accept the topology: {error or type(error).__name__}") from error


async def _until_it_answers(broker: Management, timeout: float) -> None:
    """A node that starts refuses even its operator for a moment."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            await broker.get("whoami")
            return
        except (BrokerRefused, httpx.HTTPError) as error:
            if why := distrust(error):
                raise ShopError(f"RabbitMQ's certificate: {why}; see SHOP_AMQP_CA_FILE") from error
            if time.monotonic() > deadline:
                raise ShopError(
                    f"the broker did not accept the operator's login within {timeout:g} s: {error!r}"
                ) from error
        await asyncio.sleep(_POLL_SECONDS)
