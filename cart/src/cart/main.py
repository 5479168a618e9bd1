"""Cart: what a shopper intends to buy."""

from datetime import timedelta

from cart import api, jobs, saga
from cart.products import Products
from cart.settings import Settings
from cart.store import Carts
from chassis.http.idempotency import IdempotencyKeys
from chassis.outbound import ServiceClient
from chassis.runtime.service import Chassis, Components, Service


def build(settings: Settings, chassis: Chassis) -> Components:
    product = ServiceClient(
        "product",
        settings.product_url,
        timeout=settings.product_timeout,
        total=settings.product_patience,
    )
    keep = timedelta(hours=settings.idempotency_keep_hours)
    keys = IdempotencyKeys(chassis.engine, keep=keep)
    return Components(
        routers=[api.router],
        provide=[Carts(chassis.engine), Products(product, known_for=settings.known_for), keys],
        jobs=jobs.periodic(settings, chassis.engine, keys),
        closing=[product.aclose],
    )


service = Service(saga.participant, Settings, build, description="A shopper's or guest's own cart.")
