"""The stack's programs as data: which others each starts after, its readiness probe, when it is stopped."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from devstack.stack import Stack

Probe = Callable[[Stack], Awaitable[bool]]


async def _immediately(_: Stack) -> bool:
    return True


async def nothing_more(_: Stack, __: frozenset[str]) -> None: ...


def _no_environment(_: Stack) -> Mapping[str, str]:
    return {}


def _nothing_before(_: Stack) -> None: ...


@dataclass(frozen=True)
class Program:
    """`wave`: the highest is stopped first. `after`: programs that must be settled first."""

    name: str
    command: Callable[[Stack], list[str]]
    environment: Callable[[Stack], Mapping[str, str]] = _no_environment
    ports: tuple[str, ...] = ()
    wave: int = 2
    after: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    prepare: Callable[[Stack], None] = _nothing_before
    is_ready: Probe = _immediately
    settle: Callable[[Stack, frozenset[str]], Awaitable[None]] = nothing_more
