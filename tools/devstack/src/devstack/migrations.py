"""Databases for the services that are about to start, brought to their newest schema by `migrate`."""

import os
import sys
from pathlib import Path

from devstack import environment, postgres
from devstack.stack import Stack
from shop.errors import ShopError
from shop.running import last_line, run
from shop.targets import SERVICES

_SECONDS = 120


async def settle(stack: Stack, starting: frozenset[str]) -> None:
    services = [service for service in SERVICES if service in starting]
    await postgres.provide(stack)
    if services:
        await _migrate(stack, services)


async def _migrate(stack: Stack, services: list[str]) -> None:
    migrate, log = Path(sys.executable).with_name("migrate"), stack.layout.log("migrate")
    shown = f"`migrate {' '.join(services)}`"
    environ = {**os.environ, **environment.migration(stack)}
    code, output = await run([str(migrate), *services], shown, _SECONDS, environ)
    log.write_bytes(output)
    if code:
        raise ShopError(f"{shown} failed: {last_line(output)} (see {log})")
