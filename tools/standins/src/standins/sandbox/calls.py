"""Handles calls: looks up the idempotency key, executes and journals the call, responds, and applies
faults."""

import asyncio
import os
from collections.abc import Callable
from typing import get_args

from standins.sandbox import cards, forms, operations, reversals
from standins.sandbox.errors import INVALID, Refusal, error
from standins.sandbox.exchange import Exchange
from standins.sandbox.faults import Before, Fault, Kind
from standins.sandbox.intents import Intent
from standins.sandbox.operations import Call, Effect, Here, fresh_id
from standins.sandbox.render import Json, intent_json, refund_json
from standins.sandbox.settings import Settings
from standins.sandbox.state import Change, Event, State
from standins.sandbox.webhooks import WebhookSender

Operation = Callable[[State, forms.Form, str, Here], Call]
REPLAYED = (b"idempotent-replayed", b"true")
BROKEN = error("An unknown error occurred: the sandbox fails on request.", kind="api_error")
INSTEAD: dict[Kind, tuple[int, Json]] = {
    "error_before": (500, BROKEN),
    "error_after": (500, BROKEN),
    "wrong_key": (401, error("Invalid API Key provided: sk_test_****", kind=INVALID)),
    "no_permission": (403, error("The provided key does not have access to this account.", kind=INVALID)),
    "bad_form": (
        400,
        error("Received unknown parameter: fee", kind=INVALID, code="parameter_unknown", param="fee"),
    ),
}
"""Errors that a fault gives in place of the response."""


class CallHandler:
    def __init__(
        self, settings: Settings, state: State, sender: WebhookSender, clock: Callable[[], float]
    ) -> None:
        self._settings, self._state, self._sender, self._clock = settings, state, sender, clock

    async def serve(self, exchange: Exchange, operation: Operation, name: str) -> None:
        fields = forms.read_form(await exchange.body())
        form, fingerprint = forms.nest(fields), forms.fingerprint(exchange.path, fields)
        key, now = exchange.idempotency_key, self.now
        stored = self._state.keys.find(key, fingerprint, now) if key else None
        call = operation(self._state, form, name, Here(now, exchange.public_url))
        fault = self._fault(call, key, replay=stored is not None)
        if fault and fault.kind in get_args(Before):
            await self._break(exchange, fault)
            return
        change = stored
        if change is None:
            self._state.keys.start(key, fingerprint)
            try:
                await self._delay(fault)
                change = self._carry_out(call, now, exchange.request, key, fingerprint, fault)
            finally:
                self._state.keys.finish(key)
        if not await self._break(exchange, fault):
            replayed = [REPLAYED] if stored else []
            await exchange.answer(change.status, _content(change, forms.expand(form)), *replayed)

    async def answer_query(self, exchange: Exchange, found: Json) -> None:
        fault = self._planned("retrieve", replay=False)
        await self._delay(fault)
        if not await self._break(exchange, fault):
            await exchange.answer(200, found)

    def authenticate(self, name: str, *, passed: bool) -> Intent:
        """Apply the shopper's decision on her bank's page. Raises Refusal if none is awaited."""
        return self.carry_out(operations.authenticate(self._state, name, passed=passed)).intent

    @property
    def now(self) -> int:
        return int(self._clock())

    def carry_out(self, call: Call) -> Change:
        """Execute what a bank or a user of the dashboard does. Raises Refusal."""
        return self._carry_out(call, self.now, f"req_{os.urandom(7).hex()}")

    def _fault(self, call: Call, key: str | None, *, replay: bool) -> Fault | None:
        """The fault of the card if it has not hit this order often enough, or else the first of the plan."""
        tied = cards.fault_of(call.card)
        if tied and tied.concerns(call.operation, replay=replay):
            tally = f"{call.operation}:{call.who or key}"
            if self._state.fired[tally] < (tied.count or 1):
                self._state.record("fired", tally)
                return tied
        return self._planned(call.operation, replay=replay)

    def _planned(self, operation: str, *, replay: bool) -> Fault | None:
        for fault in self._state.faults:
            if fault.concerns(operation, replay=replay) and fault.hits():
                if fault.count is not None:
                    self._state.save_faults()
                return fault
        return None

    def _carry_out(
        self,
        call: Call,
        at: int,
        request: str,
        key: str | None = None,
        fingerprint: str = "",
        fault: Fault | None = None,
    ) -> Change:
        try:
            effect = call.act(fault.decline if fault and fault.kind == "decline" else None)
            status, body = (402 if effect.error else 200), effect.error
        except Refusal as refusal:
            if not refusal.executed or call.intent is None:
                raise
            effect, status, body = Effect(self._state.intents[call.intent]), refusal.status, refusal.error
        if fault and fault.kind == "error_stored":
            status, body = 500, BROKEN
        change = Change(
            at,
            call.operation,
            request,
            key,
            fingerprint,
            status,
            effect.intent,
            effect.refund,
            body,
            effect.dispute,
            tuple(Event(fresh_id("evt"), kind) for kind in effect.events if self._sender.wants(kind)),
        )
        self._state.commit(change)
        for event in change.events:
            self._sender.offer(event, change)
        self._wait_for(change.intent)
        return change

    def resume(self) -> None:
        """After a restart, schedule the later events that were still due."""
        for intent in self._state.intents.values():
            self._wait_for(intent)

    def _wait_for(self, intent: Intent) -> None:
        if any(reversals.due(self._state, intent, self.now)):
            asyncio.get_running_loop().call_later(self._settings.later, self._apply_due, intent.id)

    def _apply_due(self, name: str) -> None:
        for call in list(reversals.due(self._state, self._state.intents[name], self.now)):
            self.carry_out(call)

    async def _delay(self, fault: Fault | None) -> None:
        if fault and fault.kind == "slow":
            await asyncio.sleep(self._settings.slow if fault.seconds is None else fault.seconds)

    async def _break(self, exchange: Exchange, fault: Fault | None) -> bool:
        """Whether a fault lost the response, or replaced it."""
        if fault and fault.kind in INSTEAD:
            status, body = INSTEAD[fault.kind]
            await exchange.answer(status, {"error": body})
        elif fault and fault.kind in ("timeout_after", "disconnect_after"):
            await exchange.break_off(self._settings.hang if fault.kind == "timeout_after" else 0)
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
