"""One test session's folder with the stacks that its tests have asked for."""

import asyncio
import shutil
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from devstack import Stack, ports
from devstack.down import purge
from devstack.environment import RATE_FACTOR
from devstack.layout import Layout, exclusive
from devstack.programs import choose, programs
from devstack.up import up
from shop.errors import ShopError
from shop.machine import project_root
from shop.targets import SERVICES

T = TypeVar("T")
_READY_SECONDS = 150.0
_VERBOSE = {"LOG_LEVEL": "debug"}  # even so nothing private is logged
_SETTINGS = {  # all of a test's shoppers share one address
    **dict.fromkeys(SERVICES, _VERBOSE),
    "gateway": _VERBOSE | {RATE_FACTOR: "1000"},
    "auth": _VERBOSE | {"REGISTRATION_CONFLICTS": "1000", "LOGIN_ATTEMPTS_PER_ADDRESS": "10000"},
}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do asynchronous work from a plain fixture, in a thread of its own: the test's loop is not used."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class Session:
    """Nothing is written before a test asks for a server."""

    folder: Path

    def close(self) -> None:
        for state in self.folder.glob("*/state.json"):
            purge(Stack.load(state.parent))
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self, *only: str) -> Stack:
        """The bare server of that name, PostgreSQL or RabbitMQ; the whole shop if none is given."""
        folder, known = self.folder / ("servers" if only else "shop"), programs()
        topology = None if only else project_root() / "deploy" / "rabbitmq" / "definitions.json"
        with exclusive(Layout(self.folder)):
            self._close_abandoned()
            try:
                stack = Stack.load(folder)
            except ShopError:
                base = ports.free_base()
                stack = Stack.create(folder, base, durable=False, topology=topology, settings=_SETTINGS)
            up(stack, choose(only, known), known, lambda *_: None, _READY_SECONDS)
        return stack

    def _close_abandoned(self) -> None:
        """Sessions that were killed could not stop their servers themselves."""
        alive = {folder_name(process) for process in psutil.process_iter(["create_time"])}
        for folder in self.folder.parent.iterdir():
            names_a_process = folder.name.partition(".")[0].isdigit()
            if folder != self.folder and names_a_process and folder.name not in alive:
                Session(folder).close()


def folder_name(process: psutil.Process) -> str:
    """Of the session that this process controls; a later process may get its pid, not its start time."""
    return f"{process.pid}.{process.create_time():.0f}"
