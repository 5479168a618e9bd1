"""Where calls are served: the key is looked up, the call carried out, journalled and answered, and what is to
go wrong goes wrong."""

import asyncio
import time
from collections.abc import Callable

from standins.sandbox import cards, forms
from standins.sandbox.book import Book
from standins.sandbox.change import Change, Event
from standins.sandbox.courier import Courier
from standins.sandbox.errors import Refusal, error
from standins.sandbox.exchange import Exchange
from standins.sandbox.faults import Fault
from standins.sandbox.operations import Call, Effect, fresh_id
from standins.sandbox.render import Json, intent_json, refund_json
from standins.sandbox.settings import Settings

Operation = Callable[[Book, forms.Form, str, int], Call]
REPLAYED = (b"idempotent-replayed", b"true")
BROKEN = error("An unknown error occurred: the sandbox was told to fail.", kind="api_error")


class Counter:
    def __init__(
        self, settings: Settings, book: Book, courier: Courier, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._book, self._courier, self._clock = settings, book, courier, clock

    async def serve(self, exchange: Exchange, operation: Operation, name: str) -> None:
        fields = forms.read_form(await exchange.body())
        form, fingerprint = forms.nest(fields), forms.fingerprint(exchange.path, fields)
        key, now = exchange.idempotency_key, int(self._clock())
        stored = self._book.keys.find(key, fingerprint, now) if key else None
        call = operation(self._book, form, name, now)
        fault = self._fault(call, key, replay=stored is not None)
        if key and not stored:
            self._book.keys.start(key, fingerprint)
        try:
            if fault and fault.kind == "slow":
                await asyncio.sleep(self._settings.slow if fault.seconds is None else fault.seconds)
            if fault and fault.kind == "error_before":
                await exchange.answer(500, {"error": BROKEN})
                return
            change = stored or self._carry_out(call, fault, exchange.request, key, fingerprint, now)
        finally:
            if key and not stored:
                self._book.keys.finish(key)
        await self._respond(exchange, change, fault, forms.expand(form), replay=stored is not None)

    async def look(self, exchange: Exchange, found: Json) -> None:
        fault = self._planned("retrieve", replay=False)
        if fault and fault.kind == "slow":
            await asyncio.sleep(self._settings.slow if fault.seconds is None else fault.seconds)
        if not await self._break(exchange, fault):
            await exchange.answer(200, found)

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

    def _carry_out(
        self, call: Call, fault: Fault | None, request: str, key: str | None, fingerprint: str, now: int
    ) -> Change:
        status = 200
        try:
            effect = call.act(fault.decline if fault and fault.kind == "decline" else None)
            status = 402 if effect.error else 200
        except Refusal as refusal:
            if not refusal.executed or call.intent is None:
                raise
            effect, status = Effect(self._book.intents[call.intent], error=refusal.error), refusal.status
        told = effect.error
        if fault and fault.kind == "error_stored":
            told, status = BROKEN, 500
        event = None
        if effect.event and self._courier.wants(effect.event):
            event = Event(fresh_id("evt"), effect.event)
        change = Change(
            now,
            call.operation,
            request,
            key,
            fingerprint,
            status,
            effect.intent,
            effect.refund,
            told,
            event,
        )
        self._book.commit(change)
        if event:
            self._courier.offer(event, change)
        return change

    async def _respond(
        self,
        exchange: Exchange,
        change: Change,
        fault: Fault | None,
        expand: tuple[str, ...],
        *,
        replay: bool,
    ) -> None:
        if await self._break(exchange, fault):
            return
        await exchange.answer(change.status, _content(change, expand), *([REPLAYED] if replay else []))

    async def _break(self, exchange: Exchange, fault: Fault | None) -> bool:
        """Whether the answer was lost on the way."""
        kind = fault.kind if fault else None
        if kind == "timeout_after":
            await exchange.break_off(self._settings.hang)
        elif kind == "disconnect_after":
            await exchange.break_off(0)
        elif kind in ("error_after", "error_before"):
            await exchange.answer(500, {"error": BROKEN})
        else:
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
