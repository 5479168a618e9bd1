"""The order service: checkout over HTTP, and the end of every order."""

from datetime import timedelta
from functools import partial

from chassis.idempotency import IdempotencyKeys
from chassis.neighbour import Neighbour
from chassis.periodic import Periodic
from chassis.sealed import Seal
from chassis.service import Chassis, Parts, Service
from order import api, saga
from order.checkout import Checkout
from order.clients import Carts, Offers, read_offers
from order.deadline import expire_orders
from order.placing import Placing
from order.settings import Settings
from order.store import Orders
from order.tables import idempotency_keys
from order.watch import Watch, wake_on_commit


def build(settings: Settings, chassis: Chassis) -> Parts:
    """Put the parts together."""
    cart = Neighbour("cart", settings.cart_url)
    product = Neighbour("product", settings.product_url)
    offers = Offers(
        partial(read_offers, product), linger=settings.price_linger, per_call=settings.prices_per_call
    )
    orders = Orders(chassis.engine)
    keys = IdempotencyKeys(
        chassis.engine, idempotency_keys, keep=timedelta(hours=settings.idempotency_keep_hours)
    )
    watch = Watch(
        orders,
        chassis.stopping,
        every=settings.watch_every,
        gap=settings.watch_gap,
        heartbeat=settings.stream_heartbeat,
        most=settings.max_streams,
    )
    placing = Placing(
        chassis.transactions,
        lease=0 if settings.role == "api" else settings.lease,
        max_open=settings.max_open_orders,
    )
    checkout = Checkout(
        Carts(cart),
        offers,
        placing,
        keys,
        Seal(settings.contact_key.split(",")),
        limits=settings.limits,
        patience=timedelta(seconds=settings.order_deadline),
    )
    expire = partial(expire_orders, chassis.transactions, settings.sweep_batch)
    return Parts(
        routers=[api.router],
        state={
            "orders": orders,
            "checkout": checkout,
            "transactions": chassis.transactions,
            "watch": watch,
        },
        periodic=[
            Periodic("expire orders", settings.sweep_every, expire),
            Periodic("purge idempotency keys", settings.purge_every, partial(purge, keys)),
        ],
        closing=[
            offers.aclose,
            cart.aclose,
            product.aclose,
            watch.aclose,
            wake_on_commit(chassis.engine, watch.wake),
        ],
    )


async def purge(keys: IdempotencyKeys) -> None:
    """Forget old keys, all of them."""
    while await keys.purge():
        pass


service = Service(saga.participant, Settings, build, description="Checkout, and orders until they end.")
