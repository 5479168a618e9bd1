"""The stack's programs as data: what each starts after, how its readiness is probed, when it stops."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from devstack.stack import HOST, Stack

Probe = Callable[[Stack], Awaitable[bool]]

_PROBE_SECONDS = 2.0
# Programs that are starting accept a connection and let it wait: one thread for each.
_THREADS = ThreadPoolExecutor(32, "probe")


async def _immediately(_: Stack) -> bool:
    return True


async def nothing_more(_: Stack, __: frozenset[str]) -> None: ...


@dataclass(frozen=True)
class Program:
    """`wave`: the highest is stopped first. `after`: programs that must be settled first."""

    name: str
    command: Callable[[Stack], list[str]]
    environment: Callable[[Stack], Mapping[str, str]] = lambda _: {}
    ports: tuple[str, ...] = ()
    wave: int = 2
    after: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    prepare: Callable[[Stack], None] = lambda _: None
    is_ready: Probe = _immediately
    settle: Callable[[Stack, frozenset[str]], Awaitable[None]] = nothing_more


def http_answers(program: str, path: str | None) -> Probe:
    """Ready when the path answers 200; with no path, when anything at all is answered."""

    async def probe(stack: Stack) -> bool:
        status = await status_of(stack.ports[program], path or "/")
        return status is not None if path is None else status == HTTPStatus.OK

    return probe


async def status_of(port: int, path: str, user: tuple[str, str] | None = None) -> int | None:
    """The status code of a GET on this machine, None if there is no answer within two seconds."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _get, port, path, user)


def _get(port: int, path: str, user: tuple[str, str] | None) -> int | None:
    secret = base64.b64encode(":".join(user).encode()).decode() if user else ""
    connection = HTTPConnection(HOST, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {secret}"} if user else {})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
