"""How calls to Stripe are made and retried, through Stripe's SDK.

Every call carries its intent's key, so that a repeat changes nothing at Stripe and gets the answer of the
first request. Such an answer may be out of date, and Stripe repeats a server error for as long as it
remembers the key; so what an answer leaves open is looked up. Whether the shopper has confirmed with her bank
is only looked up, because she is the one who confirms.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

import aiohttp
import stripe
import structlog

from chassis.outbound import Circuit
from chassis.saga.intents import OutcomePending
from chassis.saga.tx import Intent
from chassis.telemetry.privacy import reason
from contracts import NOT_CONFIRMED
from payment import lookups, stripe_answers
from payment.lookups import Answer, Found, Page
from payment.outcomes import ActionRequired, Declined, Outcome, Refunded, RefundRefused
from payment.settings import Settings
from payment.stripe_answers import SHOPS_FAULT, OutcomeUnknown, Read, Redirect, Refusal, RequestRefused
from payment.stripe_requests import LIST, LOOKUP, REFUND_PART

# Stripe's search may miss what was created with a key for about an hour after the key's end; twice that is
# safe.
SEARCH_LAG = timedelta(hours=2)

# In seconds: the shopper's confirmation is looked up again after a share of the time that she has taken so
# far, within these bounds. A webhook is faster.
SOONEST, LATEST, SHARE = 1.0, 15.0, 1 / 8

PAGE_SIZE = 100
MAX_PAGES = 10  # of one payment's refunds or disputes: more than anybody makes

_OUTAGE_ERRORS = (
    stripe.APIError,
    stripe.APIConnectionError,
    stripe.RateLimitError,
    RequestRefused,
    aiohttp.ClientError,
    TimeoutError,
)

log = structlog.get_logger()


class StripeClient:
    """Makes the calls of intents. `encrypt` is for the address of the bank's page."""

    def __init__(
        self,
        settings: Settings,
        encrypt: Callable[[str], str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        stripe.enable_telemetry = False  # a tenth of a call's CPU, and of no use to the shop
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=settings.stripe_timeout))
        base = settings.stripe_api_base
        self._stripe = stripe.StripeClient(
            settings.stripe_api_key.get_secret_value(),
            base_addresses={"api": base.rstrip("/")} if base else None,
            max_network_retries=0,
            http_client=self._http,
        )
        self._failures = settings.breaker_failures
        self._circuit = Circuit(
            "stripe", failures=self._failures, reset=settings.breaker_reset, counts=_OUTAGE_ERRORS
        )
        self._encrypt = encrypt
        self._action_time = timedelta(minutes=settings.action_minutes)
        self._clock = clock
        self._refused: list[str] = []

    async def call(self, intent: Intent) -> Outcome | Found | Page:
        """Make the call of the intent. Raises the error that left its outcome unknown, and OutcomePending
        while the shopper can still confirm."""
        outcome = await self._circuit.call(lambda: self._call_and_count_refusals(intent))
        if isinstance(outcome, OutcomePending):
            raise outcome
        if isinstance(outcome, Redirect):
            expires_at = self._clock() + self._action_time
            return ActionRequired(outcome.payment_id, self._encrypt(outcome.url), expires_at)
        return outcome

    def issues(self) -> dict[str, str]:
        """Whether Stripe refuses every request: no card is the cause, and no shopper can fix it."""
        if len(self._refused) < self._failures:
            return {}
        return {"provider": f"refuses our requests: {self._refused[-1]}"}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _call_and_count_refusals(
        self, intent: Intent
    ) -> Outcome | Redirect | OutcomePending | Found | Page:
        try:
            outcome = await self._call(intent)
        except SHOPS_FAULT as error:
            refused = stripe_answers.request_refused(error)
            self._refused = [*self._refused, reason(refused)][-self._failures :]
            log.error("request refused", intent=intent.key, error=self._refused[-1])
            raise refused from error
        self._refused = []
        return outcome

    async def _call(self, intent: Intent) -> Outcome | Redirect | OutcomePending | Found | Page:
        if intent.kind == "confirm":
            return await self._confirmation(intent)
        if intent.kind == LOOKUP:
            return await self._payment(intent.payload["payment_id"])
        if intent.kind == LIST:
            return await self._page(intent)
        expired = self._clock() - datetime.fromisoformat(intent.payload["key_expires"])
        if expired > timedelta(0):
            return await self._call_after_key_expired(intent, expired)
        return await self._post_and_read(intent)

    async def _confirmation(self, intent: Intent) -> Outcome | Redirect | OutcomePending:
        """Whether the shopper has confirmed, and if not, whether she still can."""
        payment = await self._get(intent.payload["path"])
        outcome = stripe_answers.OUTCOME_READERS["confirm"](payment)
        if outcome is not None:
            return outcome
        now, expires_at = self._clock(), datetime.fromisoformat(intent.payload["expires_at"])
        if now >= expires_at and payment["status"] == "requires_action":
            return Declined(NOT_CONFIRMED)
        taken = now - datetime.fromisoformat(intent.payload["asked_at"])
        again_in = min(max(SOONEST, SHARE * taken.total_seconds()), LATEST)
        left = max(SOONEST, (expires_at - now).total_seconds())
        return OutcomePending(f"the shopper may confirm until {expires_at:%H:%M:%S} UTC", min(again_in, left))

    async def _post_and_read(self, intent: Intent) -> Outcome | Redirect:
        try:
            answer = await self._post(intent)
        except (stripe.CardError, stripe.InvalidRequestError) as refusal:
            return await self._refused_outcome(intent, refusal)
        except (stripe.APIError, stripe.IdempotencyError) as error:
            if error.http_status == 409:
                raise OutcomeUnknown("an earlier request with this key is still running") from error
            looked_up = await self._look_up(intent)
            if looked_up is None:
                raise
            return looked_up
        outcome = stripe_answers.OUTCOME_READERS[intent.kind](answer) or await self._look_up(intent)
        if outcome is None:
            raise OutcomeUnknown(f"{answer['object']} is {answer['status']}")
        return outcome

    async def _refused_outcome(self, intent: Intent, refusal: Refusal) -> Outcome | Redirect:
        """What the refusal of a call means. Raises the refusal if it is the shop's fault."""
        code = stripe_answers.refusal_code(refusal, intent.kind)
        is_final = stripe_answers.is_final(intent.kind, refusal)
        if intent.kind == "authorize":
            if stripe_answers.is_shoppers_fault(refusal) or is_final:
                return Declined(code)
            raise refusal
        outcome = await self._look_up(intent)
        if outcome is None and code == "charge_already_refunded" and intent.kind == "refund":
            return Refunded(None)
        if outcome is not None:
            return outcome
        if not is_final:
            raise refusal
        return Declined(code) if intent.kind == "capture" else RefundRefused(code)

    async def _call_after_key_expired(self, intent: Intent, expired: timedelta) -> Outcome | Redirect:
        """Stripe has forgotten the key, so a repeat would be a new request. A capture, void or refund that
        was done before is refused by Stripe, so it may be repeated; so may a part that is not among the
        payment's refunds. A second authorization would hold the money twice, so it is never made."""
        outcome = await self._look_up(intent)
        if outcome is not None:
            return outcome
        if intent.kind != "authorize":
            return await self._post_and_read(intent)
        if expired < SEARCH_LAG:
            raise OutcomeUnknown("not found yet, and its key has expired")
        return Declined("no_answer")

    async def _look_up(self, intent: Intent) -> Read:
        """The outcome according to Stripe's objects as they are now; `None` when they leave it open."""
        form = intent.payload["form"]
        if intent.kind == "authorize":
            query = f"metadata['order_id']:'{intent.subject}'"
            search = await self._get("/v1/payment_intents/search", query=query)
            return stripe_answers.searched_authorization(search)
        if intent.kind in ("refund", REFUND_PART):
            # Unlike a search, the list is up to date.
            refunds = await self._all("/v1/refunds", payment_intent=form["payment_intent"])
            if intent.kind == "refund":
                return stripe_answers.listed_refund(refunds, str(intent.subject))
            return stripe_answers.listed_part(refunds, str(intent.subject))
        try:
            payment = await self._get(intent.payload["path"].rpartition("/")[0], expand=["latest_charge"])
        except stripe.InvalidRequestError:
            return None
        return stripe_answers.OUTCOME_READERS[intent.kind](payment)

    async def _payment(self, payment_id: str) -> Found:
        """The payment as it is now. Its refunds and disputes are read only if money was taken."""
        intent = await self._get(f"/v1/payment_intents/{payment_id}")
        if not intent["amount_received"]:
            # Stripe records a void as a refund, too, of money that was never taken.
            return lookups.read_payment(intent)
        refunds = await self._all("/v1/refunds", MAX_PAGES, payment_intent=payment_id)
        disputes = await self._all("/v1/disputes", MAX_PAGES, payment_intent=payment_id)
        return lookups.read_payment(intent, refunds, disputes)

    async def _page(self, intent: Intent) -> Page:
        """One page of a list of Stripe's."""
        name, after = intent.payload["list"], intent.payload["after"]
        query: dict[str, Any] = {"created": {"gte": intent.payload["since"]}, "limit": PAGE_SIZE}
        if after is not None:
            query["starting_after"] = after
        if name == "payment_intents":
            query["expand"] = ["data.latest_charge"]
        answer = await self._get(f"/v1/{name}", **query)
        items = tuple(lookups.ITEM_READERS[name](one) for one in answer["data"])
        return Page(name, items, answer["data"][-1]["id"] if answer["has_more"] else None)

    async def _all(self, path: str, max_pages: int | None = None, **query: str) -> Sequence[Answer]:
        """The items of all pages of a list, or of `max_pages`."""
        items: list[Answer] = []
        after: dict[str, str] = {}
        for _ in range(max_pages) if max_pages else count():
            page = await self._get(path, limit=PAGE_SIZE, **query, **after)
            items += page["data"]
            if not page["has_more"]:
                break
            after = {"starting_after": items[-1]["id"]}
        return items

    async def _post(self, intent: Intent) -> Answer:
        # The raw request saves building the SDK's objects, two thirds of a call's CPU.
        response = await self._stripe.raw_request_async(
            "post", intent.payload["path"], idempotency_key=intent.key, **intent.payload["form"]
        )
        return cast("Answer", response.data)

    async def _get(self, path: str, **query: Any) -> Answer:
        response = await self._stripe.raw_request_async("get", path, **query)
        return cast("Answer", response.data)
