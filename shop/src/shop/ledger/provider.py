"""Evidence from the payment provider: its lists, read with its API, of Stripe or the sandbox.

A restricted key that can read payments, refunds and disputes is enough.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import stripe

from shop.errors import ShopError
from shop.http import TIMEOUT_SECONDS
from shop.ledger.evidence import ChargeRecord, DisputeRecord, RefundRecord
from shop.targets import Target

PAGE = 100
GIVES_BACK = ("succeeded", "pending")

Json = Mapping[str, Any]


async def charges(target: Target, since: datetime | None) -> tuple[tuple[ChargeRecord, ...], bool]:
    """All payments created since then, and whether its amounts are consistent: each payment's refunded
    amount is the sum of its refunds. Raises ShopError if the provider refuses or is unavailable."""
    created = {"created": {"gte": int(since.timestamp())}} if since else {}
    async with _client(target) as client:
        intents = await _all(client, "payment_intents", expand=["data.latest_charge"], **created)
        refunds = _by_payment(await _all(client, "refunds", **created))
        disputes = _by_payment(await _all(client, "disputes", **created))
    seen = [_charge(one, refunds[one["id"]], disputes[one["id"]]) for one in intents]
    return tuple(seen), all(map(_balances, intents, seen))


@asynccontextmanager
async def _client(target: Target) -> AsyncIterator[stripe.StripeClient]:
    http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
    try:
        yield stripe.StripeClient(
            target.provider_key,
            base_addresses={"api": target.provider_url},
            max_network_retries=2,
            http_client=http,
        )
    except stripe.StripeError as error:
        raise ShopError(
            f"the payment provider at {target.provider_url}: {' '.join(str(error).split())}"
        ) from error
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


async def _all(client: stripe.StripeClient, name: str, **query: Any) -> list[Json]:
    found: list[Json] = []
    after: dict[str, str] = {}
    while True:
        answer: Any = await client.raw_request_async("get", f"/v1/{name}", limit=PAGE, **query, **after)
        found += answer.data["data"]
        if not answer.data["has_more"]:
            return found
        after = {"starting_after": found[-1]["id"]}


def _by_payment(objects: Iterable[Json]) -> defaultdict[str, list[Json]]:
    found: defaultdict[str, list[Json]] = defaultdict(list)
    for one in objects:
        found[one["payment_intent"] or ""].append(one)
    return found


def _charge(intent: Json, refunds: Iterable[Json], disputes: Iterable[Json]) -> ChargeRecord:
    # A voided authorization is booked as a refund, too, of money that was never captured.
    taken = [one for one in refunds if intent["amount_received"]]
    return ChargeRecord(
        intent["id"],
        intent["metadata"].get("order_id"),
        intent["status"],
        intent["amount"] if intent["status"] in ("requires_capture", "succeeded") else 0,
        intent["amount_received"],
        sum(one["amount"] for one in taken if one["status"] in GIVES_BACK),
        intent["currency"].upper(),
        tuple(
            RefundRecord(
                one["id"], one["amount"], one["status"], notes.get("order_id"), notes.get("refund_id")
            )
            for one in taken
            for notes in [one["metadata"] or {}]
        ),
        tuple(DisputeRecord(one["id"], one["status"], one["amount"]) for one in disputes),
    )


def _balances(intent: Json, seen: ChargeRecord) -> bool:
    charge = intent["latest_charge"]
    refunded = charge["amount_refunded"] if charge and seen.captured else seen.refunded
    return bool(refunded == seen.refunded <= seen.captured <= intent["amount"])
