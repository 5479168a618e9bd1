"""A target as the stage of scenarios: where it is, and how its services are stopped and started again."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from devstack import Stack
from devstack.programs import choose, programs
from devstack.supervisor import Supervisor
from scenarios import Shop
from shop.errors import ShopError
from shop.remote import RemoteTarget
from shop.targets import Target

_STOP_SECONDS = 30
_START_SECONDS = 60
_STOPPED = {"STOPPED", "EXITED", "FATAL"}

Order = Callable[[str], Awaitable[None]]


def stage(target: Target) -> Shop:
    """Scenarios may stop and start services: through the supervisor here, by the commands told elsewhere."""
    stop: Order
    start: Order
    if isinstance(target, RemoteTarget):
        stop, start = target.stop, target.start
    else:
        assert isinstance(target, Stack)
        stop, start = partial(_stop, target), partial(_start, target)
    return Shop(
        gateway_url=target.gateway_url,
        sandbox_url=target.sandbox_url,
        mailbox_url=target.mailbox_url,
        amqp_url=target.operator_amqp_url,
        admin_email=target.admin_email,
        admin_password=target.admin_password,
        stop=stop,
        start=start,
    )


async def _stop(stack: Stack, name: str) -> None:
    supervisor = Supervisor(stack)
    await asyncio.to_thread(supervisor.stop, name)
    async with asyncio.timeout(_STOP_SECONDS):
        while (await asyncio.to_thread(supervisor.info))[name]["statename"] not in _STOPPED:
            await asyncio.sleep(0.05)


async def _start(stack: Stack, name: str) -> None:
    [program] = choose([name], programs(stack))
    await asyncio.to_thread(Supervisor(stack).start, name)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await program.is_ready(stack):
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise ShopError(f"{name} did not come back: look at `shop logs {name}`") from error
