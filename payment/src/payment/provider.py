"""The payment provider: makes intended calls through Stripe's SDK and tells how they ended.

Every call carries its intent's key, so a repeat changes nothing at Stripe and is answered as the first one
was. A repeated answer may be old news, and a server error may be repeated for as long as the key lives;
so what an answer leaves open is looked up. Whether the shopper has confirmed with her bank is only ever
looked up: it is she who does it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import stripe
import structlog

from chassis.outbound.circuit import Circuit
from chassis.saga.intents import OutcomePending
from chassis.saga.tx import Intent
from chassis.telemetry.privacy import reason
from contracts import NOT_CONFIRMED
from payment import answers, lookups, reconciliation, refusals
from payment.answers import Read, Redirect
from payment.found import Found, Page
from payment.outcomes import ActionRequired, Declined, Outcome, Refunded, RefundRefused
from payment.refusals import Refusal, RequestRefused, Unknown

# How long after a key's end Stripe's search may still miss what was created with it, and then some.
SEARCH_LAG = timedelta(hours=2)

# In seconds: whether the shopper has confirmed is asked again after a share of the time that she has taken so
# far, so that who took a minute waits for a few seconds more. A webhook is faster.
SOONEST, LATEST, SHARE = 1.0, 15.0, 1 / 8

_TROUBLE = (
    stripe.APIError,
    stripe.APIConnectionError,
    stripe.RateLimitError,
    RequestRefused,
    aiohttp.ClientError,
    TimeoutError,
)

log = structlog.get_logger()


class Provider:
    """Stripe, or the server at `base` that speaks like it. `timeout` is seconds for one request, of which
    a call makes three at most. After `failures` calls in a row that met trouble, none for `reset` seconds.
    A shopper whose bank asks has `action_time` to confirm; `seal` is for the address of the bank's page."""

    def __init__(
        self,
        api_key: str,
        *,
        base: str | None = None,
        timeout: float = 10,
        failures: int = 5,
        reset: float = 5,
        cipher: Callable[[str], str] = lambda text: text,
        action_time: timedelta = timedelta(minutes=10),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        stripe.enable_telemetry = False  # a tenth of a call's CPU, and nothing that the shop gains from
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=timeout))
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": base.rstrip("/")} if base else None,
            max_network_retries=0,
            http_client=self._http,
        )
        self._circuit = Circuit("stripe", failures=failures, reset=reset, counts=_TROUBLE)
        self._cipher = cipher
        self._action_time = action_time
        self._clock = clock
        self._failures = failures
        self._refused: list[str] = []

    async def call(self, intent: Intent) -> Outcome | Found | Page:
        """Make the call, or read. Raises whatever left its outcome unknown, OutcomePending while the shopper
        may still confirm."""
        outcome = await self._circuit.call(lambda: self._make(intent))
        if isinstance(outcome, OutcomePending):
            raise outcome
        if isinstance(outcome, Redirect):
            expires_at = self._clock() + self._action_time
            return ActionRequired(outcome.payment_id, self._cipher(outcome.url), expires_at)
        return outcome

    def issues(self) -> dict[str, str]:
        """Whether Stripe refuses whatever is asked of it: no card is to blame, and no shopper can mend it."""
        if len(self._refused) < self._failures:
            return {}
        return {"provider": f"refuses our requests: {self._refused[-1]}"}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _make(self, intent: Intent) -> Outcome | Redirect | OutcomePending | Found | Page:
        try:
            outcome = await self._ask(intent)
        except refusals.OURS as error:
            ours = refusals.ours(error)
            self._refused = [*self._refused, reason(ours)][-self._failures :]
            log.error("request refused", intent=intent.key, error=self._refused[-1])
            raise ours from error
        self._refused = []
        return outcome

    async def _ask(self, intent: Intent) -> Outcome | Redirect | OutcomePending | Found | Page:
        if intent.kind == "confirm":
            return await self._confirmation(intent)
        if intent.kind == "look":
            return await lookups.payment(self._get, intent.payload["payment_id"])
        if intent.kind == reconciliation.KIND:
            wanted = intent.payload
            return await lookups.page(self._get, wanted["list"], wanted["since"], wanted["after"])
        expired = self._clock() - datetime.fromisoformat(intent.payload["key_expires"])
        if expired > timedelta(0):
            return await self._without_key(intent, expired)
        return await self._with_key(intent)

    async def _confirmation(self, intent: Intent) -> Outcome | Redirect | OutcomePending:
        """Whether the shopper has confirmed, and if not, whether she still may."""
        found = await self._get(intent.payload["path"])
        outcome = answers.READ["confirm"](found)
        if outcome is not None:
            return outcome
        now, expires_at = self._clock(), datetime.fromisoformat(intent.payload["expires_at"])
        if now >= expires_at and found["status"] == "requires_action":
            return Declined(NOT_CONFIRMED)
        taken = now - datetime.fromisoformat(intent.payload["asked_at"])
        again_in = min(max(SOONEST, SHARE * taken.total_seconds()), LATEST)
        left = max(SOONEST, (expires_at - now).total_seconds())
        return OutcomePending(f"the shopper may confirm until {expires_at:%H:%M:%S} UTC", min(again_in, left))

    async def _with_key(self, intent: Intent) -> Outcome | Redirect:
        try:
            answer = await self._post(intent)
        except (stripe.CardError, stripe.InvalidRequestError) as refusal:
            return await self._turned_down(intent, refusal)
        except (stripe.APIError, stripe.IdempotencyError) as error:
            if error.http_status == 409:
                raise Unknown("an earlier request with this key is still under way") from error
            behind = await self._look(intent)
            if behind is None:
                raise
            return behind
        outcome = answers.READ[intent.kind](answer) or await self._look(intent)
        if outcome is None:
            raise Unknown(f"{answer['object']} is {answer['status']}")
        return outcome

    async def _turned_down(self, intent: Intent, refusal: Refusal) -> Outcome | Redirect:
        """Raises the refusal where it is ours."""
        code = refusals.code_of(intent.kind, refusal)
        if intent.kind == "authorize":
            if refusals.is_shoppers(refusal) or refusals.is_for_good(intent.kind, refusal):
                return Declined(code)
            raise refusal
        outcome = await self._look(intent)
        if outcome is None and code == "charge_already_refunded" and intent.kind == "refund":
            return Refunded(None)
        if outcome is not None:
            return outcome
        if not refusals.is_for_good(intent.kind, refusal):
            raise refusal
        return Declined(code) if intent.kind == "capture" else RefundRefused(code)

    async def _without_key(self, intent: Intent, expired: timedelta) -> Outcome | Redirect:
        """Too late to repeat blindly. What acts on a payment is refused by Stripe when it was done before, so
        it may be tried again; so may a part of a refund that is not in the payment's list. A second
        authorization would be one more, so it never is."""
        outcome = await self._look(intent)
        if outcome is not None:
            return outcome
        if intent.kind != "authorize":
            return await self._with_key(intent)
        if expired < SEARCH_LAG:
            raise Unknown("not found yet, and too late to ask again")
        return Declined("no_answer")

    async def _look(self, intent: Intent) -> Read:
        """How things stand at Stripe; `None` when that decides nothing."""
        form = intent.payload["form"]
        if intent.kind == "authorize":
            query = f"metadata['order_id']:'{intent.subject}'"
            return answers.held(await self._get("/v1/payment_intents/search", query=query))
        if intent.kind == "refund":
            return answers.refunded(await self._refunds(form["payment_intent"]), str(intent.subject))
        if intent.kind == "refund_part":
            return self._part(await self._refunds(form["payment_intent"]), intent)
        try:
            found = await self._get(intent.payload["path"].rpartition("/")[0], expand=["latest_charge"])
        except stripe.InvalidRequestError:
            return None
        return answers.READ[intent.kind](found)

    def _part(self, refunds: Sequence[Mapping[str, Any]], intent: Intent) -> Outcome | None:
        """`None` when it was never made: then, and only then, it may be asked for anew."""
        found = answers.of_part(refunds, str(intent.subject))
        if found is None:
            return None
        outcome = answers.refund_part(found)
        if outcome is None:
            raise Unknown(f"the refund is {found['status']}")
        return outcome

    async def _refunds(self, payment_id: str) -> Sequence[Mapping[str, Any]]:
        """All refunds of a payment. The list is of this moment, unlike a search."""
        found: list[Mapping[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = await self._get("/v1/refunds", payment_intent=payment_id, limit=100, **after)
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"starting_after": found[-1]["id"]}

    async def _post(self, intent: Intent) -> Mapping[str, Any]:
        # The raw request spares the SDK building objects of what is read once: two thirds of a call's CPU.
        response = await self._stripe.raw_request_async(
            "post", intent.payload["path"], idempotency_key=intent.key, **intent.payload["form"]
        )
        return cast("Mapping[str, Any]", response.data)

    async def _get(self, path: str, **query: Any) -> Mapping[str, Any]:
        response = await self._stripe.raw_request_async("get", path, **query)
        return cast("Mapping[str, Any]", response.data)
