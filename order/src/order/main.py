"""The order service: checkout, orders until they end, and returns."""

from datetime import timedelta
from functools import partial

from chassis.http.idempotency import IdempotencyKeys
from chassis.http.origin import Proxies
from chassis.messaging.encryption import Cipher
from chassis.outbound import ServiceClient
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts
from order import api, claims, jobs, lookup, returns_api, saga, stream_api
from order.action import Actions, origins
from order.budget import Budgets, LineBudget, Rate
from order.checkout import Checkout
from order.claims import Claims
from order.clients import Carts, OfferLoader, read_offers
from order.lookup import Lookups
from order.placing import Placing
from order.privacy import Addresses, Networks
from order.returns import ReturnPeriod
from order.settings import Settings
from order.store import Orders
from order.stream_limits import StreamLimits
from order.stream_tickets import StreamTickets
from order.tables import idempotency_keys
from order.watch import Watch, wake_on_commit


def build(settings: Settings, chassis: Chassis) -> Components:
    """Wire the components."""
    cart, product = _client(settings, "cart"), _client(settings, "product")
    read = partial(read_offers, product)
    offers = OfferLoader(
        read,
        batch_window=settings.price_linger,
        per_call=settings.prices_per_call,
        shared=settings.prices_shared,
    )
    keep = timedelta(hours=settings.idempotency_keep_hours)
    keys = IdempotencyKeys(chassis.engine, idempotency_keys, keep=keep)
    orders, actions = Orders(chassis.engine), Actions(Cipher.of(settings.action_key))
    tickets = StreamTickets.of(settings.contact_key, seconds=settings.ticket_seconds)
    attempts = Attempts(chassis.engine, settings.lookup_window_seconds)
    watch = _watch(settings, chassis, orders, actions)
    return Components(
        routers=[api.router, claims.router, lookup.router, returns_api.router, stream_api.router],
        provide=[
            _checkout(settings, chassis, Carts(cart), offers, keys),
            orders,
            Networks(settings.contact_key),
            actions,
            origins(settings.return_origins),
            chassis.transactions,
            keys,
            ReturnPeriod(days=settings.return_days),
            watch,
            Claims.of(settings.contact_key, chassis.transactions),
            _lookups(settings, orders, actions, attempts, tickets),
            tickets,
            Proxies.of(settings.trusted_proxies),
        ],
        jobs=jobs.periodic(settings, chassis.transactions, keys, attempts),
        closing=[
            wake_on_commit(chassis.engine, watch.wake),
            watch.aclose,
            offers.aclose,
            cart.aclose,
            product.aclose,
        ],
    )


def _client(settings: Settings, name: str) -> ServiceClient:
    return ServiceClient(
        name,
        getattr(settings, f"{name}_url"),
        timeout=settings.neighbour_timeout,
        total=settings.neighbour_total,
    )


def _checkout(
    settings: Settings, chassis: Chassis, carts: Carts, offers: OfferLoader, keys: IdempotencyKeys
) -> Checkout:
    return Checkout(
        carts,
        offers,
        Placing(chassis.transactions, settings.caps),
        keys,
        Cipher.of(settings.contact_key),
        _budgets(settings),
        limits=settings.limits,
        guest_pieces=settings.guest_open_pieces,
        lifetime=timedelta(seconds=settings.order_deadline),
    )


def _lookups(
    settings: Settings, orders: Orders, actions: Actions, attempts: Attempts, tickets: StreamTickets
) -> Lookups:
    return Lookups(
        orders,
        actions,
        Addresses(Cipher.of(settings.contact_key)),
        tickets,
        attempts,
        per_number=settings.lookups_per_number,
        per_network=settings.lookups_per_network,
        stream_seconds=settings.lookup_stream_seconds,
    )


def _budgets(settings: Settings) -> Budgets:
    at_once = 2 * settings.max_lines
    return Budgets(
        guests=LineBudget(
            settings.guest_lines_per_minute,
            settings.large_order,
            Rate(settings.guest_large_lines_per_second, at_once),
        ),
        accounts=LineBudget(
            settings.lines_per_minute, settings.large_order, Rate(settings.large_lines_per_second, at_once)
        ),
    )


def _watch(settings: Settings, chassis: Chassis, orders: Orders, actions: Actions) -> Watch:
    return Watch(
        orders,
        actions,
        chassis.stopping,
        every=settings.watch_every,
        gap=settings.watch_gap,
        heartbeat=settings.stream_heartbeat,
        timeline_wait=settings.stream_patience,
        limits=StreamLimits(
            per_order=settings.max_streams_per_order,
            per_caller=settings.max_streams_per_caller,
            most=settings.max_streams,
        ),
    )


service = Service(saga.participant, Settings, build, description="Checkout, and orders until they end.")
