"""What the stand-ins share: settings from the environment, and running inside the event loop of a test."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp

STARTED_WITHIN = 10

T = TypeVar("T")


class Misconfigured(Exception):
    """A setting is missing or invalid; the message names it and says what it should be."""


def read_settings(settings: type[T], variables: Mapping[str, str], env: Mapping[str, str] = os.environ) -> T:
    """The settings as the environment has them. Raises Misconfigured.

    `variables`: the variable of each field. An empty one counts as unset; `NAME_FILE` may name the file that
    holds a value, whose last newline is not part of it.
    """
    given = {field: value for field, name in variables.items() if (value := _value(env, name))}
    try:
        return TypeAdapter(settings).validate_python(given)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = variables.get(str(problem["loc"][0])) if problem["loc"] else None
        if name and problem["type"].startswith("missing"):
            raise Misconfigured(f"set {name} (or {name}_FILE)") from None
        raise Misconfigured(f"{name}: {problem['msg']}" if name else in_one_line(error)) from None


def in_one_line(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in problem["loc"])
    return f"{field}: {problem['msg']}".removeprefix(": ").replace("Value error, ", "")


def _value(env: Mapping[str, str], name: str) -> str:
    path = env.get(f"{name}_FILE")
    if not path:
        return env.get(name, "")
    if env.get(name):
        raise Misconfigured(f"{name}_FILE: {name} is given as well")
    try:
        value = Path(path).read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise Misconfigured(f"{name}_FILE: cannot read {path}") from problem
    if not value:
        raise Misconfigured(f"{name}_FILE: {path} is empty")
    return value


def http_server(app: ASGIApp, host: str, port: int, **options: Any) -> uvicorn.Server:
    """Not yet started. It logs no request, names no server and speaks no WebSocket; 3 s to stop."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            ws="none",
            access_log=False,
            server_header=False,
            **{"timeout_graceful_shutdown": 3} | options,
        )
    )


@asynccontextmanager
async def served(server: uvicorn.Server) -> AsyncIterator[str]:
    """The base URL of the server while it runs; port 0 in its settings picks a free one."""
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(STARTED_WITHIN):
        while not server.started:
            if task.done():
                raise RuntimeError("the server did not start") from task.exception()
            await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task
