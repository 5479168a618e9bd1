"""Where calls are served: the key is looked up, the call carried out, journalled and answered, and what is to
go wrong goes wrong."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from standins.sandbox import cards, forms, later, operations
from standins.sandbox.book import Book
from standins.sandbox.change import Change, Event
from standins.sandbox.courier import Courier
from standins.sandbox.errors import INVALID, Refusal, error
from standins.sandbox.exchange import Exchange
from standins.sandbox.faults import Fault
from standins.sandbox.intents import Intent
from standins.sandbox.operations import Call, Effect, Here, fresh_id
from standins.sandbox.render import Json, intent_json, refund_json
from standins.sandbox.settings import Settings

Operation = Callable[[Book, forms.Form, str, Here], Call]
REPLAYED = (b"idempotent-replayed", b"true")
BROKEN = error("An unknown error occurred: the sandbox was told to fail.", kind="api_error")
BEFORE = {
    "error_before": (500, BROKEN),
    "wrong_key": (401, error("Invalid API Key provided: sk_test_****", kind=INVALID)),
    "no_permission": (403, error("The provided key does not have access to this account.", kind=INVALID)),
    "bad_form": (
        400,
        error("Received unknown parameter: fee", kind=INVALID, code="parameter_unknown", param="fee"),
    ),
}
"""What is answered before anything is done."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked call, the key that it came under, and what is to go wrong with it."""

    call: Call
    request: str
    key: str | None
    fingerprint: str
    at: int
    fault: Fault | None


class Counter:
    def __init__(
        self, settings: Settings, book: Book, courier: Courier, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._book, self._courier, self._clock = settings, book, courier, clock

    async def serve(self, exchange: Exchange, operation: Operation, name: str) -> None:
        fields = forms.read_form(await exchange.body())
        form, fingerprint = forms.nest(fields), forms.fingerprint(exchange.path, fields)
        key, now = exchange.idempotency_key, self.now
        stored = self._book.keys.find(key, fingerprint, now) if key else None
        call = operation(self._book, form, name, Here(now, exchange.public_url))
        fault = self._fault(call, key, replay=stored is not None)
        if fault and fault.kind in BEFORE:
            status, told = BEFORE[fault.kind]
            await exchange.answer(status, {"error": told})
            return
        change = stored or await self._first(Asked(call, exchange.request, key, fingerprint, now, fault))
        if not await self._break(exchange, fault):
            replayed = [REPLAYED] if stored else []
            await exchange.answer(change.status, _content(change, forms.expand(form)), *replayed)

    async def look(self, exchange: Exchange, found: Json) -> None:
        fault = self._planned("retrieve", replay=False)
        await self._dawdle(fault)
        if not await self._break(exchange, fault):
            await exchange.answer(200, found)

    def authenticate(self, name: str, *, passed: bool) -> Intent:
        """What the shopper decides at her bank's page. Raises Refusal when she is not asked."""
        return self.carry_out(operations.authenticate(self._book, name, passed=passed)).intent

    @property
    def now(self) -> int:
        return int(self._clock())

    def carry_out(self, call: Call) -> Change:
        """What a bank does, or a person at the provider: no request of the shop's. Raises Refusal."""
        return self._carry_out(Asked(call, f"req_{os.urandom(7).hex()}", None, "", self.now, None))

    def _fault(self, call: Call, key: str | None, *, replay: bool) -> Fault | None:
        tied = cards.fault_of(call.card)
        tally = f"{call.operation}:{call.who or key}"
        if tied and self._book.faults.tied(tied, call.operation, tally, replay=replay):
            self._book.fire(tally)
            return tied
        return self._planned(call.operation, replay=replay)

    def _planned(self, operation: str, *, replay: bool) -> Fault | None:
        fault = self._book.faults.planned(operation, replay=replay)
        if fault and fault.count is not None:
            self._book.save_faults()
        return fault

    async def _first(self, asked: Asked) -> Change:
        """Carries out what was not asked before; its key is in use meanwhile."""
        if asked.key:
            self._book.keys.start(asked.key, asked.fingerprint)
        try:
            await self._dawdle(asked.fault)
            return self._carry_out(asked)
        finally:
            if asked.key:
                self._book.keys.finish(asked.key)

    def _carry_out(self, asked: Asked) -> Change:
        fault, name = asked.fault, asked.call.intent
        try:
            effect = asked.call.act(fault.decline if fault and fault.kind == "decline" else None)
            status, told = (402 if effect.error else 200), effect.error
        except Refusal as refusal:
            if not refusal.executed or name is None:
                raise
            effect, status, told = Effect(self._book.intents[name]), refusal.status, refusal.error
        if fault and fault.kind == "error_stored":
            status, told = 500, BROKEN
        change = Change(
            asked.at,
            asked.call.operation,
            asked.request,
            asked.key,
            asked.fingerprint,
            status,
            effect.intent,
            effect.refund,
            told,
            effect.dispute,
            tuple(Event(fresh_id("evt"), kind) for kind in effect.events if self._courier.wants(kind)),
        )
        self._book.commit(change)
        for event in change.events:
            self._courier.offer(event, change)
        self._wait_for(change.intent)
        return change

    def resume(self) -> None:
        """What was to happen later when the sandbox ended, happens a little later."""
        for intent in self._book.intents.values():
            self._wait_for(intent)

    def _wait_for(self, intent: Intent) -> None:
        if any(later.due(self._book, intent, self.now)):
            asyncio.get_running_loop().call_later(self._settings.later, self._happen, intent.id)

    def _happen(self, name: str) -> None:
        for call in list(later.due(self._book, self._book.intents[name], self.now)):
            self.carry_out(call)

    async def _dawdle(self, fault: Fault | None) -> None:
        if fault and fault.kind == "slow":
            await asyncio.sleep(self._settings.slow if fault.seconds is None else fault.seconds)

    async def _break(self, exchange: Exchange, fault: Fault | None) -> bool:
        """Whether the answer was lost on the way."""
        match fault.kind if fault else None:
            case "timeout_after":
                await exchange.break_off(self._settings.hang)
            case "disconnect_after":
                await exchange.break_off(0)
            case "error_after":
                await exchange.answer(500, {"error": BROKEN})
            case str(kind) if kind in BEFORE:
                status, told = BEFORE[kind]
                await exchange.answer(status, {"error": told})
            case _:
                return False
        return True


def _content(change: Change, expand: tuple[str, ...]) -> Json:
    if change.error and (change.operation == "refund" or change.status == 500):
        return {"error": change.error}
    if change.error:
        return {"error": change.error | {"payment_intent": intent_json(change.intent)}}
    if change.refund:
        return refund_json(change.refund)
    return intent_json(change.intent, expand)
