"""The order service: checkout, orders until they end, and returns."""

from datetime import timedelta
from functools import partial

from chassis.http.idempotency import IdempotencyKeys
from chassis.messaging.encryption import Cipher
from chassis.outbound import ServiceClient
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts
from order import api, jobs, returns_api, saga, stream_api
from order.bank_page import Actions
from order.cancelling import Cancelling
from order.checkout import Checkout
from order.clients import OfferLoader, read_offers
from order.guests import Claims, Lookups
from order.placing import Placing
from order.returns import ReturnPeriod
from order.search import ContactHashes
from order.settings import Settings
from order.store import Orders
from order.streams import StreamTickets
from order.watch import Watch, wake_on_commit


def build(settings: Settings, chassis: Chassis) -> Components:
    client = partial(ServiceClient, timeout=settings.neighbour_timeout, total=settings.neighbour_total)
    cart, product = client("cart", settings.cart_url), client("product", settings.product_url)
    offers = OfferLoader(settings, partial(read_offers, product))
    keep = timedelta(hours=settings.idempotency_keep_hours)
    keys = IdempotencyKeys(chassis.engine, keep=keep)
    placing = Placing(chassis.transactions, settings)
    orders, actions = Orders(chassis.engine), Actions(Cipher.of(settings.action_key))
    tickets = StreamTickets.of(settings.contact_key, seconds=settings.ticket_seconds)
    attempts = Attempts(chassis.engine, settings.lookup_window_seconds)
    watch = Watch(settings, orders, actions, chassis.stopping)
    period = ReturnPeriod(days=settings.return_days)
    stop_waking = wake_on_commit(chassis.engine, watch.wake)
    return Components(
        routers=[api.router, returns_api.router, stream_api.router],
        provide=[
            Checkout(settings, cart, offers, placing, keys),
            Cancelling(chassis.transactions, period, watch.wake),
            Claims(settings.contact_key, chassis.transactions),
            Lookups(settings, orders, actions, tickets, attempts),
            settings.trusted_proxies,
            ContactHashes(settings.contact_key),
            *(orders, actions, tickets, keys, watch, period, chassis.transactions),
        ],
        jobs=jobs.periodic(settings, chassis.transactions, keys, attempts),
        closing=[stop_waking, *(one.aclose for one in (watch, offers, cart, product))],
    )


service = Service(saga.participant, Settings, build, description="Checkout, and orders until they end.")
