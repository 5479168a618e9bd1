"""Making the plan's faults happen: to processes, the ways between them, messages and the world around."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aio_pika
import httpx

from chassis.saga.topology import EVENTS_EXCHANGE
from devstack import Stack, rabbitmq
from devstack.supervisor import Supervisor
from lab.chaos.gate import Gate
from lab.chaos.plan import LEADER, Fault
from lab.chaos.recovery import Injected
from scenarios.broker import OperatorsBroker
from shop.broker.looking import declared
from shop.broker.restoring import apply, prepare
from shop.errors import ShopError
from shop.targets import OPERATOR

CONTROL_SECONDS = 5
STOP_SECONDS = 45
MEND_SECONDS = 60
NO_MEMORY = 0.0001  # as a share of the machine's: every node has more in use
OFTEN = {"operation": "any", "probability": 0.3}
MOST_TURNED = 500
MANY = 1_000_000
_STOPPED = {"STOPPED", "EXITED", "FATAL"}
_QUEUES = {"order": ("order", "order.timeline")}
# What a service publishes and consumes that orders wait for; or mails, for notification.
_PUBLISHES = {"order": "order.created", "product": "stock.reserved", "payment": "order.paid"}
_CONSUMES = {
    "order": "order.paid",
    "product": "order.created",
    "payment": "order.created",
    "notification": "order.paid",
}
_TROUBLE = (ShopError, OSError, TimeoutError, httpx.HTTPError, aio_pika.exceptions.AMQPException)

Gates = Mapping[tuple[str, str], Gate]  # of (client, "broker" | "database" | "provider")
Act = Callable[[Fault], Awaitable[None]]


class Faults:
    def __init__(self, stack: Stack, gates: Gates) -> None:
        self._stack = stack
        self._gates = gates
        self._supervisor = Supervisor(stack)
        self.injected: list[Injected] = []
        self.spoilt: list[tuple[Fault, str]] = []

    async def inject(self, fault: Fault) -> None:
        """Returns when it is over. What could not be done, for what else is broken, is noted as spoilt."""
        began = time.monotonic()
        try:
            await self._acts()[fault.kind.split("-")[0]](fault)
        except _TROUBLE as error:
            self.spoilt.append((fault, repr(error)))
        else:
            self.injected.append(Injected(fault, began, time.monotonic()))

    async def lift(self) -> None:
        """The world around behaves again, every way is open, the broker is as its definitions say."""
        for gate in self._gates.values():
            gate.open()
        await self._tell("DELETE", f"{self._stack.sandbox_url}/_sandbox/faults")
        await self._tell("POST", f"{self._stack.sandbox_url}/_sandbox/webhooks", {})
        await self._tell("DELETE", f"{self._stack.mailbox_url}/_mailbox/faults")
        await _insist(lambda: self._restore(""))
        for node in self._stack.nodes:
            await self._end_alarm(node)

    def _acts(self) -> dict[str, Act]:
        return {
            "kill": self._kill,
            "freeze": self._freeze,
            "away": self._stay_away,
            "cut": self._cut,
            "stall": self._stall,
            "refuse": self._refuse,
            "provider": self._spoil_provider,
            "messages": self._disturb_messages,
            "mail": self._spoil_mail,
            "broker": self._spoil_broker,
        }

    async def _kill(self, fault: Fault) -> None:
        victim = await self._leader() if fault.target == LEADER else fault.target
        await self._signal(victim, "KILL")

    async def _leader(self) -> str:
        """The node that leads most queues, asked of whichever node answers."""
        names = {rabbitmq.node_name(self._stack, node): node for node in self._stack.nodes}
        for node in self._stack.nodes:
            try:
                async with rabbitmq.management(self._stack, node) as broker:
                    queues = await broker.get("queues")
            except _TROUBLE:
                continue
            led = Counter(queue["leader"] for queue in queues if queue.get("leader"))
            if led:
                return names[max(led, key=lambda name: led[name])]
        raise ShopError("no node of the broker says who leads")

    async def _freeze(self, fault: Fault) -> None:
        await self._signal(fault.target, "STOP")
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._signal(fault.target, "CONT")

    async def _stay_away(self, fault: Fault) -> None:
        await self._stop(fault.target)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._start(fault.target)

    async def _cut(self, fault: Fault) -> None:
        self._gate(fault).cut()

    async def _stall(self, fault: Fault) -> None:
        self._gate(fault).stall()
        await asyncio.sleep(fault.seconds)
        self._gate(fault).open()

    async def _refuse(self, fault: Fault) -> None:
        self._gate(fault).shut()
        await asyncio.sleep(fault.seconds)
        self._gate(fault).open()

    def _gate(self, fault: Fault) -> Gate:
        return self._gates[fault.target, fault.kind.split("-")[1]]

    async def _spoil_provider(self, fault: Fault) -> None:
        sandbox = f"{self._stack.sandbox_url}/_sandbox"
        if fault.kind in _WEBHOOKS:
            await self._tell("POST", f"{sandbox}/webhooks", _WEBHOOKS[fault.kind])
            await asyncio.sleep(fault.seconds)
            await self._tell("POST", f"{sandbox}/webhooks", {})
            return
        for one in _PROVIDER[fault.kind]:
            await self._tell("POST", f"{sandbox}/faults", one)
        await asyncio.sleep(fault.seconds)
        await self._tell("DELETE", f"{sandbox}/faults")

    async def _spoil_mail(self, fault: Fault) -> None:
        faults = f"{self._stack.mailbox_url}/_mailbox/faults"
        await self._tell("POST", faults, _MAIL[fault.kind])
        await asyncio.sleep(fault.seconds)
        await self._tell("DELETE", faults)

    async def _spoil_broker(self, fault: Fault) -> None:
        spoil, mend = {
            "broker-refuses-publish": (self._forbid, self._allow),
            "broker-loses-binding": (self._unbind, self._restore),
            "broker-alarm": (self._raise_alarm, self._end_alarm),
        }[fault.kind]
        try:
            await spoil(fault.target)
            await asyncio.sleep(fault.seconds)
        finally:
            await _insist(lambda: mend(fault.target))

    async def _forbid(self, service: str) -> None:
        """From its next connection on the service may not publish its most important event: a channel goes on
        with what it has been allowed."""
        key = _PUBLISHES[service]
        async with rabbitmq.management(self._stack) as broker:
            body = {"exchange": EVENTS_EXCHANGE, "write": f"^(?!{re.escape(key)}$)", "read": "^$"}
            await broker.put("topic-permissions", "/", service, body=body)
            for connection in await broker.get("connections"):
                if connection.get("user") == service:
                    await broker.delete("connections", connection["name"])

    async def _allow(self, service: str) -> None:
        permissions = declared(self._stack)["topic_permissions"]
        [own] = [one for one in permissions if one["user"] == service]
        async with rabbitmq.management(self._stack) as broker:
            await broker.put("topic-permissions", "/", service, body=own)

    async def _unbind(self, queue: str) -> None:
        key = _CONSUMES[queue]
        async with rabbitmq.management(self._stack) as broker:
            await broker.delete("bindings", "/", "e", EVENTS_EXCHANGE, "q", queue, key)

    async def _restore(self, _: str) -> None:
        """As `shop broker restore` does, without the audit: its database may be away."""
        await apply(self._stack, await prepare(self._stack, declared(self._stack)))

    async def _raise_alarm(self, node: str) -> None:
        await rabbitmq.set_memory_watermark(self._stack, node, NO_MEMORY)

    async def _end_alarm(self, node: str) -> None:
        await rabbitmq.set_memory_watermark(self._stack, node, rabbitmq.MEMORY_WATERMARK)

    async def _disturb_messages(self, fault: Fault) -> None:
        if fault.kind == "messages-twice":
            async with OperatorsBroker.connected(self._stack.amqp_url(OPERATOR)) as broker:
                tap = await broker.watch()
                tap.echo = True
                await asyncio.sleep(fault.seconds)
            return
        await self._stop(fault.target)  # nobody consumes what is turned round
        try:
            await asyncio.sleep(fault.seconds)
            async with OperatorsBroker.connected(self._stack.amqp_url(OPERATOR)) as broker:
                for queue in _QUEUES.get(fault.target, (fault.target,)):
                    await _turn_round(broker, queue)
        finally:
            await self._start(fault.target)

    async def _signal(self, program: str, signal: str) -> None:
        await asyncio.to_thread(self._supervisor.signal, program, signal)

    async def _stop(self, service: str) -> None:
        """All copies of it, gracefully."""
        copies = self._stack.copies(service)
        for copy in copies:
            await asyncio.to_thread(self._supervisor.stop, copy)
        async with asyncio.timeout(STOP_SECONDS):
            while True:
                infos = await asyncio.to_thread(self._supervisor.info)
                if all(infos[copy]["statename"] in _STOPPED for copy in copies):
                    return
                await asyncio.sleep(0.2)

    async def _start(self, service: str) -> None:
        for copy in self._stack.copies(service):
            await asyncio.to_thread(self._supervisor.start, copy)

    async def _tell(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> None:
        async with httpx.AsyncClient(timeout=CONTROL_SECONDS) as http:
            (await http.request(method, url, json=body)).raise_for_status()


async def _insist(mend: Callable[[], Awaitable[None]]) -> None:
    """Until it is done: what it needs may have been broken meanwhile by another fault."""
    deadline = time.monotonic() + MEND_SECONDS
    while True:
        try:
            return await mend()
        except _TROUBLE:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.5)


async def _turn_round(broker: OperatorsBroker, queue: str) -> None:
    """Put what waits there back, the last first; confirmed before the original is acknowledged."""
    waiting = min(await broker.waiting(queue), MOST_TURNED)
    if waiting:
        await broker.reverse(queue, waiting)


_PROVIDER: dict[str, tuple[dict[str, Any], ...]] = {
    "provider-declines": ({"operation": "authorize", "kind": "decline", "probability": 0.5},),
    "provider-fails": tuple(
        OFTEN | {"kind": kind}
        for kind in ("error_before", "error_after", "error_stored", "disconnect_after", "slow")
    ),
    "provider-charges-and-is-silent": (
        {"operation": "capture", "kind": "timeout_after", "probability": 0.2},
        {"operation": "authorize", "kind": "timeout_after", "probability": 0.1},
    ),
}
_WEBHOOKS: dict[str, dict[str, Any]] = {
    "provider-repeats-webhooks": {"copies": 3, "reorder": 20, "delay": 0.5},
    "provider-loses-webhooks": {"copies": 0},
}
_MAIL: dict[str, dict[str, Any]] = {
    "mail-refused": {"kind": "defer", "count": MANY},
    "mail-taken-and-not-said": {"kind": "accept_then_disconnect", "count": 5},
    "mail-slow": {"kind": "slow", "seconds": 4, "count": MANY},
}
