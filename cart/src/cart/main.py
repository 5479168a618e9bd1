"""Cart: what a shopper means to buy."""

from cart import api, saga
from cart.products import Products
from cart.settings import Settings
from cart.store import Carts
from chassis.neighbour import Neighbour
from chassis.service import Chassis, Parts, Service


def build(settings: Settings, chassis: Chassis) -> Parts:
    product = Neighbour(
        "product",
        settings.product_url,
        timeout=settings.product_timeout,
        total=settings.product_patience,
    )
    return Parts(
        routers=[api.router],
        state={
            "carts": Carts(chassis.engine),
            "products": Products(product, known_for=settings.known_for),
        },
        closing=[product.aclose],
    )


service = Service(saga.participant, Settings, build, description="A shopper's or guest's own cart.")
