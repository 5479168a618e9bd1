"""A message that crashes the process repeatedly: a real process on a real broker."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from chassis.runtime.consumer import MAX_CRASHES, SUSPECT_AFTER

from ..things import ThingMade
from .conftest import World


@asynccontextmanager
async def seller(world: World) -> AsyncIterator[Process]:
    settings = world.settings
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "AMQP_URL": settings.amqp_url,
        "JWKS_URL": settings.jwks_url,
        "TOKEN_ISSUER": "tests",
        "TOKEN_AUDIENCE": "tests",
    }
    script = str(Path(__file__).with_name("dying.py"))
    process = await asyncio.create_subprocess_exec(sys.executable, script, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_only_the_message_that_crashes_the_process_is_dead_lettered(world: World) -> None:
    """All messages are prefetched together, so each is redelivered as often as the one that crashes."""
    deadly = ThingMade(id=uuid4(), note="deadly")
    others = [ThingMade(id=uuid4()) for _ in range(60)]
    await world.publish(*others[:20], deadly, *others[20:])
    ends = 0

    async def all_sold() -> bool:
        return bool(await world.count("sale") == len(others))

    while not await all_sold():
        assert ends <= SUSPECT_AFTER + MAX_CRASHES
        async with seller(world) as process:
            selling = asyncio.create_task(world.eventually(all_sold))
            ending = asyncio.create_task(process.wait())
            await asyncio.wait([selling, ending], return_when=asyncio.FIRST_COMPLETED)
            selling.cancel()
            ends += process.returncode == 9
    assert ends == SUSPECT_AFTER + MAX_CRASHES
    dead = await world.next("seller.dead")
    assert dead.message_id == f"thing.made/{deadly.id}"
    assert dead.headers["error"] == f"the process ended {MAX_CRASHES} times while handling it alone"
    assert (
        await world.channel.declare_queue("seller.dead", passive=True)
    ).declaration_result.message_count == 0
    assert await world.count("started") == 0


async def test_a_message_that_was_only_redelivered_often_is_handled(world: World, made: ThingMade) -> None:
    await world.publish(made)
    queue = await world.channel.declare_queue("seller", passive=True)
    for _ in range(SUSPECT_AFTER + 3):
        await (await _next(queue)).reject(requeue=True)
    await world.start()
    assert await world.sold() == [f"thing.sold/{made.id}"]
    assert await world.times(made.id) == 1

    async def forgotten() -> bool:
        return bool(await world.count("started") == 0)

    await world.eventually(forgotten)


async def _next(queue: Any) -> Any:
    async with asyncio.timeout(10):
        while (message := await queue.get(fail=False)) is None:
            await asyncio.sleep(0.01)
    return message
