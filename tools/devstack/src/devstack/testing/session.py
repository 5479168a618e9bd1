"""One test session's folder with the stacks that its tests have asked for."""

import asyncio
import os
import shutil
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from devstack import Stack, ports
from devstack.down import purge
from devstack.gateway import RATE_FACTOR
from devstack.guard import exclusive
from devstack.layout import Layout
from devstack.programs import choose, programs
from devstack.up import up
from shop.errors import ShopError
from shop.project import project_root
from shop.targets import SERVICES

T = TypeVar("T")
_READY_SECONDS = 150.0
_TALKATIVE = {"LOG_LEVEL": "debug"}  # even so nothing private is logged
_SETTINGS = {  # all of a test's shoppers share one address
    **dict.fromkeys(SERVICES, _TALKATIVE),
    "gateway": _TALKATIVE | {RATE_FACTOR: "1000"},
    "auth": _TALKATIVE | {"REGISTRATION_CONFLICTS": "1000", "LOGIN_ATTEMPTS_PER_ADDRESS": "10000"},
}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do asynchronous work from a plain fixture, in a thread of its own: the test's loop is not used."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class Session:
    folder: Path

    @classmethod
    def opened(cls, root: Path) -> "Session":
        """The controller's; nothing is written before a test asks for a server."""
        return cls(root / ".local" / "test" / _owner(os.getpid()))

    @classmethod
    def joined(cls, folder: str) -> "Session":
        return cls(Path(folder))

    def servers(self, name: str) -> Stack:
        """The bare PostgreSQL or RabbitMQ of this session, running."""
        return self._running("servers", [name], None)

    def shop(self) -> Stack:
        return self._running("shop", [], project_root() / "deploy" / "rabbitmq" / "definitions.json")

    def close(self) -> None:
        _remove(self.folder)

    def _running(self, kind: str, only: list[str], topology: Path | None) -> Stack:
        known = programs()
        with exclusive(Layout(self.folder)):
            _remove_abandoned(self.folder)
            stack = self._stack(self.folder / kind, topology)
            up(stack, choose(only, known), known, lambda *_: None, _READY_SECONDS)
        return stack

    def _stack(self, folder: Path, topology: Path | None) -> Stack:
        try:
            return Stack.load(folder)
        except ShopError:
            return Stack.create(
                folder, ports.free_base(), durable=False, topology=topology, settings=_SETTINGS
            )


def _owner(pid: int) -> str:
    return f"{pid}.{psutil.Process(pid).create_time():.0f}"


def _remove_abandoned(ours: Path) -> None:
    """Sessions that were killed could not tidy up after themselves."""
    for folder in ours.parent.iterdir():
        pid = folder.name.partition(".")[0]
        if folder != ours and pid.isdigit() and not _is_alive(folder.name, int(pid)):
            _remove(folder)


def _is_alive(name: str, pid: int) -> bool:
    try:
        return _owner(pid) == name
    except psutil.NoSuchProcess:
        return False


def _remove(folder: Path) -> None:
    for state in folder.glob("*/state.json"):
        purge(Stack.load(state.parent))
    shutil.rmtree(folder, ignore_errors=True)
