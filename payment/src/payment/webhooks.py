"""The provider's webhooks, payment's only route: whether an event is genuine, which payment it is about, and
what it leads to.

An event is only a hint. A call whose outcome is unknown is repeated at once, and a payment that somebody may
have changed at the provider is looked up.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import stripe
import structlog
from fastapi import APIRouter, Request, Response

from chassis.http.problems import RESPONSES, Problem
from chassis.http.provided import Provided
from chassis.storage.database import Transactions
from chassis.telemetry.logs import without_trace
from payment import store
from payment.domain import Payment
from payment.lookups import uuid_of
from payment.saga import apply
from payment.settings import Settings

log = structlog.get_logger()
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

# Events that the shop's own calls cause: the calls' answers say the same, and mostly earlier.
_ECHOES = frozenset(
    {
        "charge.captured",
        "charge.failed",
        "charge.pending",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
    }
)
# Events that somebody else may have caused, or that come long after the call.
_NEWS = frozenset(
    {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.expired",
        "charge.refund.updated",
        "charge.refunded",
        "payment_intent.canceled",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }
)
CANCELLED = "payment_intent.canceled"
TAKEN = "payment_intent.succeeded"


class InvalidWebhook(Problem):
    """400: the event was not signed by the provider, is too old, or cannot be read."""

    status = 400
    title = "Bad Request"


@dataclass(frozen=True)
class Hint:
    """Something happened to a payment. Most events name its `payment_id`; `order_id` is in the metadata that
    the shop has written, which many objects lack. `is_news` unless it only repeats the answer to a call of
    the shop, for example that the shop's refund was created."""

    event_id: str
    type: str
    order_id: UUID | None
    payment_id: str | None = None
    is_news: bool = False


def read(body: bytes, signature: str | None, settings: Settings) -> Hint | None:
    """The hint in a signed event; `None` for other types and other shops' payments. Raises
    `InvalidWebhook`."""
    secret, tolerance = settings.stripe_webhook_secret.get_secret_value(), settings.webhook_tolerance
    try:
        # Not `construct_event`: it would build the SDK's objects of the whole event.
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance)
    except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
        raise InvalidWebhook("The signature is missing, wrong or too old.") from error
    try:
        return _hint(orjson.loads(body))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InvalidWebhook("The signature is valid, but the body is not a Stripe event.") from error


def _hint(event: Any) -> Hint | None:
    kind, event_id = event["type"] + "", str(event["id"])
    if kind not in _ECHOES | _NEWS:
        return None
    about = event["data"]["object"]
    order_id = uuid_of((about.get("metadata") or {}).get("order_id"))
    payment = about["id"] if about.get("object") == "payment_intent" else about.get("payment_intent")
    payment_id = payment["id"] if isinstance(payment, dict) else payment
    if order_id is None and payment_id is None:
        return None
    is_news = kind in _NEWS and not (kind == "refund.created" and order_id is not None)
    return Hint(event_id, kind, order_id, payment_id, is_news)


class Webhooks:
    """Acts on events. Echoes of the shop's own calls are gathered for a moment, and their payments are found
    by two queries.

    In nearly every checkout the answer was faster than the webhook, and the queries find nothing. An echo
    that is lost in a crash only costs time, because the call is repeated anyway. News is committed before the
    webhook is answered; if the webhook never arrives, the daily reconciliation finds the difference.
    """

    def __init__(self, settings: Settings, transactions: Transactions) -> None:
        self._settings = settings
        self._transactions = transactions
        self._echoes: dict[str, Hint] = {}
        self._task: asyncio.Task[None] | None = None

    async def receive(self, body: bytes, signature: str | None) -> None:
        """Commit news now, and act on an echo soon. Raises InvalidWebhook, and the database's errors."""
        hint = read(body, signature, self._settings)
        if hint is None:
            return
        if hint.is_news:
            await self._commit(hint)
        elif hint.order_id is not None:
            self._gather(hint)

    async def act(self) -> None:
        """Act on the echoes gathered so far."""
        echoes, self._echoes = self._echoes, {}
        engine = self._transactions.engine
        undecided = await store.undecided(engine, _orders(echoes.values()))
        # A payment that the shop captures leaves the state `authorized` before the call: somebody else
        # captured these.
        held = await store.held(engine, _orders(hint for hint in echoes.values() if hint.type == TAKEN))
        for hint in echoes.values():
            if hint.order_id in undecided:
                async with self._transactions() as tx:
                    if await store.remember_webhook(tx.session, hint.event_id):
                        tx.retry_now(hint.order_id)
            elif hint.order_id in held:
                await self._commit(hint)

    async def aclose(self) -> None:
        """Drop the echoes that were not acted on yet."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _commit(self, hint: Hint) -> None:
        order_id = await store.order_of(self._transactions.engine, hint.payment_id, hint.order_id)
        if order_id is None:
            log.info("webhook of unknown payment", payment_id=hint.payment_id, kind=hint.type)
            return
        async with self._transactions() as tx:
            if not await store.remember_webhook(tx.session, hint.event_id):
                return
            payment = await tx.get(Payment, order_id)
            if payment is not None:
                tx.retry_now(order_id)
                apply(payment, payment.look_up(cancelled=hint.type == CANCELLED), tx)

    def _gather(self, hint: Hint) -> None:
        self._echoes[hint.event_id] = hint
        if self._task is None:
            self._task = asyncio.create_task(self._act_soon(), context=without_trace())

    async def _act_soon(self) -> None:
        while self._echoes:
            await asyncio.sleep(self._settings.webhook_linger)
            try:
                await self.act()
            except Exception:
                log.exception("webhook hints dropped")
        self._task = None


def _orders(hints: Iterable[Hint]) -> list[UUID]:
    return [hint.order_id for hint in hints if hint.order_id is not None]


@router.post(
    "/stripe",
    summary="Receive a webhook of the payment provider",
    description="A signed Stripe event, at least once and in any order. It is only a hint: a call whose "
    "outcome is unknown is retried now, and a payment that may have changed at the provider (a refund, a "
    "dispute, a cancellation) is looked up. Events of other types or of unknown payments are answered with "
    "200 and ignored.",
    response_class=Response,
    responses={
        200: {"description": "Received, and committed where it matters"},
        400: RESPONSES[400],
        413: RESPONSES[413],
        503: RESPONSES[503],
    },
    openapi_extra={
        "parameters": [
            {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def receive_webhook(request: Request, webhooks: Provided[Webhooks]) -> Response:
    await webhooks.receive(await request.body(), request.headers.get("stripe-signature"))
    return Response()
