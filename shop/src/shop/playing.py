"""The stack of this machine as the stage of scenarios: where it is, and how its services are stopped."""

import asyncio

from scenarios import Shop
from shop.errors import ShopError
from shop.stack import OPERATOR, Stack
from shop.stack.environment import ADMIN_EMAIL
from shop.stack.programs import choose, programs
from shop.stack.supervisor import Supervisor

_STOP_SECONDS = 30
_START_SECONDS = 60
_STOPPED = {"STOPPED", "EXITED", "FATAL"}


def stage(stack: Stack) -> Shop:
    """Scenarios may stop and start the services of a stack that runs here."""
    return Shop(
        gateway_url=stack.gateway_url,
        sandbox_url=stack.sandbox_url,
        mailbox_url=stack.mailbox_url,
        amqp_url=stack.amqp_url(OPERATOR),
        admin_email=ADMIN_EMAIL,
        admin_password=stack.secret("admin-password"),
        stop=lambda name: _stop(stack, name),
        start=lambda name: _start(stack, name),
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
