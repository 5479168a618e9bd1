"""Stopping within the grace period while the broker does not answer, and readiness of a stuck process."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from chassis.runtime import worker as worker_
from chassis.runtime.service import health_routes
from chassis.runtime.worker import Worker
from lab.chaos.network import Proxy

from ..things import ThingMade
from .conftest import World

GRACE = 2.0


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[Proxy]:
    """A proxy between the seller and its broker."""
    parts = urlsplit(world.settings.amqp_url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy()
    port = await proxy.listen(partial(asyncio.open_connection, parts.hostname, parts.port))
    there = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    world.settings = world.settings.model_copy(update={"amqp_url": there, "shutdown_grace": GRACE})
    yield proxy
    proxy.restore()
    await world.stop()
    await proxy.close()


async def readiness(world: World, worker: Worker) -> tuple[int, dict[str, str]]:
    app = FastAPI()
    app.include_router(health_routes(world.engine, worker))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seller") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


async def test_a_frozen_broker_does_not_keep_a_process_from_ending(
    world: World, proxy: Proxy, made: ThingMade
) -> None:
    transactions = world.transactions()
    worker = await world.start(transactions=transactions)
    await world.publish(made)
    await world.sold()
    proxy.stall()
    async with transactions() as tx:
        tx.publish(ThingMade(id=uuid4()))
    began = time.monotonic()
    await worker.stop()
    # Once the grace period, and at the most the least time for tasks, for what is left, and to close.
    assert time.monotonic() - began < GRACE + 3 * worker_.MIN_GRACE_SECONDS + 1


async def test_consumers_stop_together(world: World, proxy: Proxy) -> None:
    world.participant = replace(world.participant, steps=[*world.participant.steps] * 3)
    worker = await world.start()
    proxy.stall()
    began = time.monotonic()
    await worker.stop()
    assert time.monotonic() - began < GRACE + 3 * worker_.MIN_GRACE_SECONDS + 1


async def test_the_grace_period_begins_with_the_signal(world: World, proxy: Proxy) -> None:
    worker = await world.start()
    proxy.stall()
    worker.begin_to_stop()
    await asyncio.sleep(GRACE)  # the share of open requests
    began = time.monotonic()
    await worker.stop()
    assert time.monotonic() - began < 4 * worker_.MIN_GRACE_SECONDS + 1


async def test_readiness_names_a_stuck_queue(world: World) -> None:
    world.settings = world.settings.model_copy(update={"stuck_after": 0.2})
    steps, going_on = world.participant.steps[0], asyncio.Event()
    [step] = list(steps)

    async def wait(event: ThingMade, tx: Any) -> None:
        await going_on.wait()

    steps._by_type = {key: type(step)(step.event, wait) for key in steps._by_type}
    worker = await world.start()
    assert await readiness(world, worker) == (200, {"database": "ok", "broker": "ok"})
    await world.publish(ThingMade(id=uuid4()))

    async def stuck() -> bool:
        status, checks = await readiness(world, worker)
        return status == 503 and "busy with the same messages" in checks.get("queue seller", "")

    await world.eventually(stuck)
    going_on.set()

    async def ready() -> bool:
        return (await readiness(world, worker))[0] == 200

    await world.eventually(ready)


async def test_readiness_reports_that_nothing_can_be_published(world: World, proxy: Proxy) -> None:
    world.settings = world.settings.model_copy(update={"stuck_after": 0.5, "broker_timeout": 0.2})
    transactions = world.transactions()
    worker = await world.start(transactions=transactions)
    proxy.stall()
    async with transactions() as tx:
        tx.publish(ThingMade(id=uuid4()))

    async def is_reported() -> bool:
        _, checks = await readiness(world, worker)
        return "nothing could be published" in checks.get("outbox", "")

    await world.eventually(is_reported)
    proxy.restore()

    async def ready() -> bool:
        return (await readiness(world, worker))[0] == 200

    await world.eventually(ready)
