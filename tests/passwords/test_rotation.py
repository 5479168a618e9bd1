"""Passwords of all services are rotated while shoppers check out: no request fails, every order is paid."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aio_pika
import asyncpg
import httpx
import pytest

from devstack import Stack, postgres, rabbitmq
from devstack.operated import OperatedStack
from devstack.programs import script
from lab.services import fetch, scenario_shop
from scenarios.play import logged_in
from scenarios.shopper import Shopper, must
from shop.audit.trail import Audit
from shop.ledger import CHECKS
from shop.ledger.gather import gather, until_quiet
from shop.passwords import rotation
from shop.provision.databases import owner_of
from shop.targets import SERVICES

pytestmark = pytest.mark.timeout(300)

_SKU = "ROTATED"
_SHOPPERS = 3
_ORDERS_AFTER_EACH_STEP = 3
ROLES = [role for service in SERVICES for role in (service, owner_of(service))]


@dataclass
class Shoppers:
    """Guests who come, check out and wait until they have paid, again and again."""

    stack: Stack
    http: httpx.AsyncClient
    answers: Counter[int] = field(default_factory=Counter)
    paid: int = 0

    async def keep_coming(self) -> None:
        while True:
            shopper = await Shopper.guest(self.http)
            await shopper.fill_cart({_SKU: 1})
            await shopper.until(await shopper.check_out(), "paid", 60)
            self.paid += 1

    async def some_more(self) -> None:
        before = self.paid
        async with asyncio.timeout(120):
            while self.paid < before + _ORDERS_AFTER_EACH_STEP:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def shopping(stack: Stack) -> AsyncIterator[Shoppers]:
    """At the end each of them has had an answer below 400 to every request, and has paid every order."""
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        shop = scenario_shop(stack)
        product = {"sku": _SKU, "name": "Rotated", "stock": 100_000, "price": 500, "currency": "GBP"}
        admin = await logged_in(http, shop)
        must(await http.post("/v1/products/bulk", json={"items": [product]}, headers=admin), 200)
        shoppers = Shoppers(stack, http)

        async def count(answer: httpx.Response) -> None:
            shoppers.answers[answer.status_code] += 1

        http.event_hooks["response"].append(count)
        async with asyncio.TaskGroup() as group:
            coming = [group.create_task(shoppers.keep_coming()) for _ in range(_SHOPPERS)]
            await shoppers.some_more()
            yield shoppers
            await shoppers.some_more()
            for task in coming:
                task.cancel()
    assert max(shoppers.answers) < 400, shoppers.answers


async def rotate(stack: Stack, *services: str, why: str = "a test") -> None:
    await rotation.rotate(OperatedStack.load(stack.folder), rotation.names(services), why)


async def rotate_by_command(stack: Stack, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(script("shop"), "secrets", "rotate", *arguments),
        env={**os.environ, "SHOP_STACK": str(stack.folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, output.decode()
    for name in rotation.names([]):
        assert stack.secret(name) not in output.decode()


def urls(stack: Stack) -> dict[str, str]:
    """How each role and each user connects with the passwords of now."""
    databases = {f"postgres {role}": _dsn(stack, role) for role in ROLES}
    return databases | {f"rabbitmq {service}": stack.amqp_url(service) for service in SERVICES}


def _dsn(stack: Stack, role: str) -> str:
    database = role.removesuffix("_owner")
    return stack.database_url(role, database).replace("postgresql+asyncpg:", "postgresql:")


async def connect(url: str) -> None:
    if url.startswith("amqp"):
        await (await aio_pika.connect(url, timeout=15)).close()
    else:
        await (await asyncpg.connect(url, timeout=15)).close()


async def refused(found: dict[str, str]) -> set[str]:
    """The names of those that are not let in."""
    names = set()
    for name, url in found.items():
        try:
            await connect(url)
        except (asyncpg.InvalidPasswordError, aio_pika.exceptions.ProbableAuthenticationError):
            names.add(name)
    return names


async def ledger_findings(stack: Stack) -> dict[str, list[str]]:
    await until_quiet(stack, 60)
    evidence = await gather(stack)
    found = {check.name: list(check.violations(evidence)) for check in CHECKS}
    return {name: violations for name, violations in found.items() if violations}


async def test_shoppers_notice_nothing_of_a_rotation_and_the_old_passwords_are_refused(stack: Stack) -> None:
    old = urls(stack)
    async with shopping(stack) as shoppers:
        await rotate_by_command(stack, "--why", "a colleague has left")
        await shoppers.some_more()
    new = urls(stack)
    assert await refused(old) == set(old)
    assert await refused(new) == set()
    assert await ledger_findings(stack) == {}


async def test_a_service_that_starts_afterwards_uses_the_new_password(stack: Stack) -> None:
    await rotate(stack, "cart")
    shop = scenario_shop(stack)
    await shop.stop("cart")
    await shop.start("cart")
    async with shopping(stack):
        pass


async def test_an_interrupted_rotation_is_completed_by_running_it_again(stack: Stack) -> None:
    local, vault, names = OperatedStack.load(stack.folder), stack.secrets, rotation.names([])
    half = names[: len(names) // 2]

    async def begin() -> None:
        rotation.begin(vault, names)

    async def begin_half() -> None:
        rotation.begin(vault, half)

    async def set_half() -> None:
        rotation.begin(vault, names)
        await postgres.set_passwords(stack)

    async def set_all() -> None:
        rotation.begin(vault, names)
        await local.set_passwords()

    async def finish_half() -> None:
        await set_all()
        rotation.finish(vault, half)

    async with shopping(stack) as shoppers:
        for interrupted in (begin_half, begin, set_half, set_all, finish_half):
            old = urls(stack)
            await interrupted()
            await shoppers.some_more()
            await rotate(stack)
            lines = {name: len(stack.secret(name).splitlines()) for name in names}
            assert lines == dict.fromkeys(names, 1), interrupted.__name__
            assert await refused(old) == set(old), interrupted.__name__
            assert await refused(urls(stack)) == set(), interrupted.__name__


async def test_the_shop_goes_on_when_all_connections_with_old_passwords_are_ended(stack: Stack) -> None:
    await rotate(stack)
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY($1)"
    await fetch(stack, "postgres", end, ROLES)
    async with rabbitmq.management(stack) as api:
        for connection in await api.get("connections"):
            if connection["user"] in SERVICES:
                await api.delete("connections", connection["name"])
    async with httpx.AsyncClient(timeout=30) as http, asyncio.timeout(60):
        for service in SERVICES:
            while (await http.get(stack.http(service) + "/readyz")).status_code != httpx.codes.OK:
                await asyncio.sleep(0.1)
    async with shopping(stack):
        pass
    assert await ledger_findings(stack) == {}


async def test_a_rotation_is_in_the_audit_without_the_passwords(stack: Stack) -> None:
    await rotate(stack, "order", why="to be looked up")
    async with Audit.opened(stack, "tests") as audit:
        [entry] = await audit.entries(limit=1)
    assert (entry.action, entry.why, entry.state) == ("secrets rotate", "to be looked up", "done")
    assert entry.before == {"passwords": rotation.names(["order"])}
    assert not [name for name in rotation.names(["order"]) if stack.secret(name) in str(entry)]
