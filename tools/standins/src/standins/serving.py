"""A stand-in inside the event loop of the test that needs it, instead of in a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

STARTED_WITHIN = 10


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
