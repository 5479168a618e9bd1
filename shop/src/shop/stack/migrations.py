"""Databases for the services that are about to start, brought to their newest schema by `migrate`."""

import asyncio
import os
import sys
from pathlib import Path

from shop.errors import ShopError
from shop.stack import environment, postgres
from shop.stack.stack import SERVICES, Stack

_SECONDS = 120


async def settle(stack: Stack, starting: frozenset[str]) -> None:
    services = [service for service in SERVICES if service in starting]
    await postgres.provide(stack)
    if services:
        await _migrate(stack, services)


async def _migrate(stack: Stack, services: list[str]) -> None:
    migrate = Path(sys.executable).with_name("migrate")
    process = await asyncio.create_subprocess_exec(
        migrate,
        *services,
        env={**os.environ, **environment.migration(stack)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ShopError(f"`migrate {' '.join(services)}` did not end within {_SECONDS} s") from None
    stack.layout.log("migrate").write_bytes(output)
    if process.returncode:
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        raise ShopError(
            f"`migrate {' '.join(services)}` failed: {''.join(last)} (see {stack.layout.log('migrate')})"
        )
