"""Stops and starts the services of a running shop, and reads their databases."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg

from devstack import Stack
from devstack.programs import choose, programs
from devstack.supervisor import Supervisor
from scenarios import Shop
from shop.errors import ShopError
from shop.remote import RemoteTarget
from shop.targets import Target

_STOP_SECONDS = 45
_START_SECONDS = 60


def scenario_shop(target: Target) -> Shop:
    """The target as scenarios need it. Services are stopped and started through the supervisor on this
    machine, elsewhere by the commands that the remote target names."""
    stop: Callable[[str], Awaitable[None]]
    start: Callable[[str], Awaitable[None]]
    if isinstance(target, RemoteTarget):
        stop, start = target.stop, target.start
    else:
        assert isinstance(target, Stack)
        stop, start = partial(stop_service, target), partial(_start_and_wait, target)
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


async def stop_service(stack: Stack, service: str) -> None:
    """Stop all copies of a service gracefully. Returns when they have stopped. Raises TimeoutError."""
    supervisor, copies = Supervisor(stack), stack.copies(service)
    for copy in copies:
        await asyncio.to_thread(supervisor.stop, copy)
    async with asyncio.timeout(_STOP_SECONDS):
        while not (await asyncio.to_thread(supervisor.running)).isdisjoint(copies):
            await asyncio.sleep(0.05)


async def start_service(stack: Stack, service: str) -> None:
    """Start all copies of a service, without waiting until they are ready."""
    for copy in stack.copies(service):
        await asyncio.to_thread(Supervisor(stack).start, copy)


async def _start_and_wait(stack: Stack, name: str) -> None:
    await start_service(stack, name)
    try:
        async with asyncio.timeout(_START_SECONDS):
            for program in choose(stack.copies(name), programs(stack)):
                while not await program.is_ready(stack):
                    await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise ShopError(f"{name} was not ready after {_START_SECONDS} s: see `shop logs {name}`") from error


async def fetch(stack: Stack, database: str, query: str, *arguments: object) -> list[Any]:
    """The rows of one query, as the operator's role."""
    connection = await asyncpg.connect(stack.operator_dsn(database), timeout=10, command_timeout=10)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()
