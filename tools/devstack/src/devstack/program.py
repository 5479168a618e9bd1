"""What the stack is made of, as data: a program starts after some others, is probed, stops in its wave."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from devstack.stack import Stack

Probe = Callable[[Stack], Awaitable[bool]]


async def _at_once(_: Stack) -> bool:
    return True


async def nothing_more(_: Stack, __: frozenset[str]) -> None: ...


def _no_environment(_: Stack) -> Mapping[str, str]:
    return {}


def _nothing_before(_: Stack) -> None: ...


@dataclass(frozen=True)
class Program:
    """`wave`: the highest is stopped first. `after`: who must be settled before this one starts."""

    name: str
    command: Callable[[Stack], list[str]]
    environment: Callable[[Stack], Mapping[str, str]] = _no_environment
    ports: tuple[str, ...] = ()
    wave: int = 2
    after: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    prepare: Callable[[Stack], None] = _nothing_before
    is_ready: Probe = _at_once
    settle: Callable[[Stack, frozenset[str]], Awaitable[None]] = nothing_more
