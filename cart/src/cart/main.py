"""Cart: what a shopper intends to buy."""

from cart import api, saga
from cart.products import Products
from cart.settings import Settings
from cart.store import Carts
from chassis.outbound.service_client import ServiceClient
from chassis.runtime.retention import Rule, retention
from chassis.runtime.service import Chassis, Components, Service

GUEST_CARTS = Rule("cart", at="touched_at", where="guest")
CARTS = Rule("cart", at="touched_at", where="NOT guest")
TAKEN_OUT = Rule("taken_out", key="order_id")


def build(settings: Settings, chassis: Chassis) -> Components:
    product = ServiceClient(
        "product",
        settings.product_url,
        timeout=settings.product_timeout,
        total=settings.product_patience,
    )
    return Components(
        routers=[api.router],
        provide=[
            Carts(chassis.engine),
            Products(product, known_for=settings.known_for),
        ],
        jobs=[
            retention(
                chassis.engine,
                (GUEST_CARTS, settings.guest_cart_keep_days),
                (CARTS, settings.cart_keep_days),
                (TAKEN_OUT, settings.taken_out_keep_days),
            )
        ],
        closing=[product.aclose],
    )


service = Service(saga.participant, Settings, build, description="A shopper's or guest's own cart.")
