"""The periodic jobs: delete carts that nobody has touched for long, records of bought lines, and old
idempotency keys."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from cart.settings import Settings
from chassis.http.idempotency import IdempotencyKeys
from chassis.runtime.jobs import Job, Rule, retention

GUEST_CARTS = Rule("cart", at="touched_at", where="guest")
CARTS = Rule("cart", at="touched_at", where="NOT guest")
TAKEN_OUT = Rule("taken_out", key="order_id")


def periodic(settings: Settings, engine: AsyncEngine, keys: IdempotencyKeys) -> Sequence[Job]:
    return [
        Job("delete old idempotency keys", settings.purge_every, keys.prune),
        retention(
            engine,
            (GUEST_CARTS, settings.guest_cart_keep_days),
            (CARTS, settings.cart_keep_days),
            (TAKEN_OUT, settings.taken_out_keep_days),
        ),
    ]
