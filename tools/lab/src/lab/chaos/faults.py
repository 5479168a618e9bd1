"""Does what the plan says to processes, connections, messages and the outside world."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aio_pika
import httpx
import stamina

from chassis.saga.topology import EVENTS_EXCHANGE
from devstack import Stack, rabbitmq
from devstack.supervisor import Supervisor
from lab.chaos.network import Proxies
from lab.chaos.plan import LEADER, Fault
from lab.chaos.recovery import Injected
from lab.services import start_service, stop_service
from scenarios.broker import OperatorsBroker
from shop.broker.checking import declared
from shop.broker.restoring import apply, prepare
from shop.errors import ShopError

CONTROL_SECONDS = 5
REMOVE_SECONDS = 60
NO_MEMORY = 0.0001  # as a share of the machine's: every node has more in use
MOST_REORDERED = 500
_QUEUES = {"order": ("order", "order.timeline")}
# What a service publishes and consumes that orders wait for; or mails, for notification.
_PUBLISHES = {"order": "order.created", "product": "stock.reserved", "payment": "order.paid"}
_CONSUMES = {
    "order": "order.paid",
    "product": "order.created",
    "payment": "order.created",
    "notification": "order.paid",
}
_ERRORS = (ShopError, OSError, TimeoutError, httpx.HTTPError, aio_pika.exceptions.AMQPException)


class FaultInjector:
    def __init__(self, stack: Stack, proxies: Proxies) -> None:
        self._stack = stack
        self._proxies = proxies
        self._supervisor = Supervisor(stack)
        self.injected: list[Injected] = []
        self.failed: list[tuple[Fault, str]] = []

    async def inject(self, fault: Fault) -> None:
        """Returns when the fault is over. One that another makes impossible is noted as failed."""
        disturbances: dict[str, Callable[[Fault], AbstractAsyncContextManager[None]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "away": self._stop,
            **dict.fromkeys(("cut", "stall", "refuse"), self._disturb_connections),
            **dict.fromkeys(("provider", "mail"), self._disturb_stand_in),
            "messages": self._disturb_messages,
            "broker": self._disturb_broker,
        }
        began = time.monotonic()
        try:
            async with disturbances[fault.kind.split("-")[0]](fault):
                await asyncio.sleep(fault.seconds)
        except _ERRORS as error:
            self.failed.append((fault, repr(error)))
        else:
            self.injected.append(Injected(fault, began, time.monotonic()))

    async def remove_all(self) -> None:
        """Provider and mailbox behave again, every proxy forwards, the broker is as its definitions say."""
        for proxy in self._proxies.values():
            proxy.restore()
        for control in ("provider", "webhooks", "mailbox"):
            await self._control(control)
        await _retried(self._restore_broker)("")
        for node in self._stack.nodes:
            await _retried(self._end_alarm)(node)

    @asynccontextmanager
    async def _kill(self, fault: Fault) -> AsyncIterator[None]:
        victim = await self._leader() if fault.target == LEADER else fault.target
        await self._signal(victim, "KILL")
        yield

    async def _leader(self) -> str:
        """The node that leads most queues, by the first node that answers."""
        names = {rabbitmq.node_name(self._stack, node): node for node in self._stack.nodes}
        for node in self._stack.nodes:
            try:
                async with rabbitmq.management(self._stack, node) as broker:
                    queues = await broker.get("queues")
            except _ERRORS:
                continue
            leads = Counter(queue["leader"] for queue in queues if queue.get("leader"))
            if leads:
                return names[leads.most_common(1)[0][0]]
        raise ShopError("no node of the broker reports which one leads")

    @asynccontextmanager
    async def _freeze(self, fault: Fault) -> AsyncIterator[None]:
        await self._signal(fault.target, "STOP")
        try:
            yield
        finally:
            await self._signal(fault.target, "CONT")

    async def _signal(self, program: str, signal: str) -> None:
        await asyncio.to_thread(self._supervisor.signal, program, signal)

    @asynccontextmanager
    async def _stop(self, fault: Fault) -> AsyncIterator[None]:
        await stop_service(self._stack, fault.target)
        try:
            yield
        finally:
            await start_service(self._stack, fault.target)

    @asynccontextmanager
    async def _disturb_connections(self, fault: Fault) -> AsyncIterator[None]:
        act, server = fault.kind.split("-")
        proxy = self._proxies[fault.target, server]
        {"cut": proxy.cut, "stall": proxy.stall, "refuse": proxy.refuse}[act]()
        yield
        proxy.restore()

    @asynccontextmanager
    async def _disturb_stand_in(self, fault: Fault) -> AsyncIterator[None]:
        control, bodies = _STAND_INS[fault.kind]
        for body in bodies:
            await self._control(control, body)
        yield
        await self._control(control)

    async def _control(self, control: str, body: Mapping[str, Any] | None = None) -> None:
        """Set how a stand-in misbehaves; without a body it behaves again."""
        url = {
            "provider": f"{self._stack.sandbox_url}/_sandbox/faults",
            "webhooks": f"{self._stack.sandbox_url}/_sandbox/webhooks",
            "mailbox": f"{self._stack.mailbox_url}/_mailbox/faults",
        }[control]
        if control == "webhooks":
            body = body or {}
        async with httpx.AsyncClient(timeout=CONTROL_SECONDS) as http:
            method = "DELETE" if body is None else "POST"
            (await http.request(method, url, json=body)).raise_for_status()

    @asynccontextmanager
    async def _disturb_broker(self, fault: Fault) -> AsyncIterator[None]:
        disturb, restore = {
            "broker-refuses-publish": (self._forbid_publish, self._allow_publish),
            "broker-loses-binding": (self._unbind, self._restore_broker),
            "broker-alarm": (self._raise_alarm, self._end_alarm),
        }[fault.kind]
        try:
            await disturb(fault.target)
            yield
        finally:
            await _retried(restore)(fault.target)

    async def _forbid_publish(self, service: str) -> None:
        """The service may not publish its most important event. Its connections are closed, because a channel
        keeps the permissions that it has cached."""
        key = _PUBLISHES[service]
        async with rabbitmq.management(self._stack) as broker:
            body = {"exchange": EVENTS_EXCHANGE, "write": f"^(?!{re.escape(key)}$)", "read": "^$"}
            await broker.put("topic-permissions", "/", service, body=body)
            for connection in await broker.get("connections"):
                if connection.get("user") == service:
                    await broker.delete("connections", connection["name"])

    async def _allow_publish(self, service: str) -> None:
        permissions = declared(self._stack)["topic_permissions"]
        [own] = [one for one in permissions if one["user"] == service]
        async with rabbitmq.management(self._stack) as broker:
            await broker.put("topic-permissions", "/", service, body=own)

    async def _unbind(self, queue: str) -> None:
        async with rabbitmq.management(self._stack) as broker:
            await broker.delete("bindings", "/", "e", EVENTS_EXCHANGE, "q", queue, _CONSUMES[queue])

    async def _restore_broker(self, _: str) -> None:
        """As `shop broker restore` does, without the audit, whose database may be unavailable."""
        await apply(self._stack, await prepare(self._stack, declared(self._stack)))

    async def _raise_alarm(self, node: str) -> None:
        await rabbitmq.set_memory_watermark(self._stack, node, NO_MEMORY)

    async def _end_alarm(self, node: str) -> None:
        await rabbitmq.set_memory_watermark(self._stack, node, rabbitmq.MEMORY_WATERMARK)

    @asynccontextmanager
    async def _disturb_messages(self, fault: Fault) -> AsyncIterator[None]:
        if fault.kind == "messages-twice":
            async with OperatorsBroker.connected(self._stack.operator_amqp_url) as broker:
                (await broker.watch()).echo = True
                yield
            return
        async with self._stop(fault):  # nobody consumes meanwhile
            yield
            async with OperatorsBroker.connected(self._stack.operator_amqp_url) as broker:
                for queue in _QUEUES.get(fault.target, (fault.target,)):
                    if waiting := min(await broker.waiting(queue), MOST_REORDERED):
                        await broker.reverse(queue, waiting)


# What is needed to restore the broker may be broken meanwhile by another fault.
_retried = stamina.retry(
    on=_ERRORS, attempts=None, timeout=REMOVE_SECONDS, wait_initial=0.5, wait_max=0.5, wait_jitter=0
)
_MANY = 1_000_000
_STAND_INS: dict[str, tuple[str, Sequence[Mapping[str, Any]]]] = {
    "provider-declines": ("provider", [{"operation": "authorize", "kind": "decline", "probability": 0.5}]),
    "provider-fails": (
        "provider",
        [
            {"operation": "any", "probability": 0.3, "kind": kind}
            for kind in ("error_before", "error_after", "error_stored", "disconnect_after", "slow")
        ],
    ),
    "provider-charges-and-is-silent": (
        "provider",
        [
            {"operation": "capture", "kind": "timeout_after", "probability": 0.2},
            {"operation": "authorize", "kind": "timeout_after", "probability": 0.1},
        ],
    ),
    "provider-repeats-webhooks": ("webhooks", [{"copies": 3, "reorder": 20, "delay": 0.5}]),
    "provider-loses-webhooks": ("webhooks", [{"copies": 0}]),
    "mail-refused": ("mailbox", [{"kind": "defer", "count": _MANY}]),
    "mail-taken-and-not-said": ("mailbox", [{"kind": "accept_then_disconnect", "count": 5}]),
    "mail-slow": ("mailbox", [{"kind": "slow", "seconds": 4, "count": _MANY}]),
}
