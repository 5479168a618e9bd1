"""The provider's lists as a witness: read with its own API, as they would be of a real account."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import stripe

from shop.errors import ShopError
from shop.ledger import provider
from shop.ledger.evidence import ChargeRecord
from shop.targets import Target
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

KEY = "sk_test_ledger"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Account:
    """Where the provider is, for a reader of its lists."""

    provider_url: str
    provider_key: str = KEY


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


async def charge(sandbox: Embedded, order: str, *, capture: bool = True) -> str:
    client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=stripe.HTTPXClient())
    params: Any = {
        "amount": 2000,
        "currency": "gbp",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "capture_method": "automatic" if capture else "manual",
        "confirm": True,
        "metadata": {"order_id": order},
    }
    return (await client.v1.payment_intents.create_async(params)).id


async def refund(sandbox: Embedded, payment: str, amount: int) -> str:
    client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=stripe.HTTPXClient())
    return (await client.v1.refunds.create_async({"payment_intent": payment, "amount": amount})).id


async def seen(sandbox: Embedded, since: datetime | None = None) -> tuple[tuple[ChargeRecord, ...], bool]:
    return await provider.charges(cast("Target", Account(sandbox.url)), since)


async def test_all_that_moved_is_seen_and_the_balances(sandbox: Embedded) -> None:
    paid, held = await charge(sandbox, "paid"), await charge(sandbox, "held", capture=False)
    kept, failed = await refund(sandbox, paid, 300), await refund(sandbox, paid, 500)
    await sandbox.control("POST", "refunds", {"refund": failed})
    _, dispute = await sandbox.control("POST", "disputes", {"payment_intent": paid})

    charges, balanced = await seen(sandbox)
    by_id = {one.payment_id: one for one in charges}
    one = by_id[paid]
    assert balanced
    assert (one.order_id, one.authorized, one.captured, one.refunded) == ("paid", 2000, 2000, 300)
    assert {(r.id, r.status, r.order_id) for r in one.refunds} == {
        (kept, "succeeded", None),
        (failed, "failed", None),
    }
    assert [(d.id, d.status) for d in one.disputes] == [(dispute["id"], "needs_response")]
    assert (by_id[held].authorized, by_id[held].captured) == (2000, 0)


async def test_what_expired_unused_was_never_given_back(sandbox: Embedded) -> None:
    held = await charge(sandbox, "held", capture=False)
    await sandbox.control("POST", "expirations", {"payment_intent": held})

    (one,), balanced = await seen(sandbox)
    assert balanced
    assert (one.authorized, one.captured, one.refunded, one.refunds) == (0, 0, 0, ())


async def test_lists_are_read_to_their_ends_and_back_to_when_is_asked(
    sandbox: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "PAGE", 2)
    made = {await charge(sandbox, f"order-{n}") for n in range(5)}

    charges, _ = await seen(sandbox, LONG_AGO)
    assert {one.payment_id for one in charges} == made
    assert (await seen(sandbox, datetime.now(UTC) + timedelta(hours=1)))[0] == ()


async def test_a_provider_that_refuses_or_is_away_is_told_in_a_line(sandbox: Embedded) -> None:
    for account in (Account(sandbox.url, "sk_test_wrong"), Account("http://127.0.0.1:9")):
        with pytest.raises(ShopError, match="the payment provider at") as refused:
            await provider.charges(cast("Target", account), None)
        assert "\n" not in str(refused.value)
