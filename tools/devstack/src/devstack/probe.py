"""Readiness over HTTP, asked ten times a second while the machine is busy starting: hence no HTTP client."""

import asyncio
import base64
from http import HTTPStatus

from devstack.program import Probe
from devstack.stack import HOST, Stack

_SECONDS = 2.0


async def status_of(port: int, path: str, user: tuple[str, str] | None = None) -> int | None:
    """The status code of a GET on this machine, None if there is no answer within two seconds."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _get(port, path, user)
    except (OSError, TimeoutError, ValueError, IndexError):
        return None


def http_answers(program: str, path: str | None) -> Probe:
    """Ready when the path answers 200; with no path, when anything at all is answered."""

    async def probe(stack: Stack) -> bool:
        status = await status_of(stack.ports[program], path or "/")
        return status is not None if path is None else status == HTTPStatus.OK

    return probe


async def _get(port: int, path: str, user: tuple[str, str] | None) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        secret = base64.b64encode(":".join(user).encode()).decode() if user else ""
        authorization = f"Authorization: Basic {secret}\r\n" if user else ""
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{authorization}Connection: close\r\n\r\n"
        writer.write(request.encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
